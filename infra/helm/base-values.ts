import { at, over, type Values } from './render.ts'

/** The least that a node needs. Nothing here is anybody's secret. */
export const least: Values = {
  image: { repository: 'registry.example/upesi' },
  config: {
    backend: {
      ilp: {
        host: 'https://op.ase-a.example',
        address: 'g.ase-a',
        connector: 'https://ilp.ase-a.example',
        streamSecret: { value: Buffer.alloc(32, 1).toString('base64') },
      },
      key: { id: 'ase-a-key' },
      tenancy: { tenantId: '5f5b4f0e-8c9f-4b8e-9a57-0d7a4f1c6c11' },
      webhook: { url: 'http://wallet.wallet-ase-a:4000/webhooks' },
      databaseUrl: { value: 'postgresql://upesi:plain-test@db.example/resources' },
      admin: { apiSecret: { value: 'operator-secret' } },
    },
    auth: {
      authServerUrl: 'https://auth.ase-a.example',
      identityServer: {
        domain: 'https://wallet.ase-a.example/consent',
        serverSecret: { value: 'idp-secret' },
      },
      databaseUrl: { value: 'postgresql://upesi:plain-test@db.example/auth' },
      cookieKey: { value: 'cookie-secret' },
    },
  },
}

const redis = at('config.backend.redisUrl', { value: 'rediss://default:redis-secret@redis.example:6380' })
const sqs: Values = {
  queue: {
    driver: 'sqs',
    sqs: {
      webhooksQueueUrl: 'https://sqs.example/1/webhooks',
      paymentsQueueUrl: 'https://sqs.example/1/payments',
      region: 'eu-west-1',
    },
  },
}
const autoPeering: Values = {
  config: { backend: { autoPeering: { enabled: 'true' }, instanceName: 'ASE A' } },
}
const gateway: Values = {
  gateway: { enabled: true, parentRefs: [{ name: 'public', namespace: 'gateways' }] },
}
const ingress: Values = {
  ingress: {
    backend: {
      enabled: true,
      className: 'nginx',
      annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' },
      tls: [{ secretName: 'op-tls', hosts: ['op.ase-a.example'] }],
      hosts: [
        {
          host: 'op.ase-a.example',
          paths: [{ path: '/', pathType: 'Prefix', service: { port: 3000 } }],
        },
        {
          host: 'ilp.ase-a.example',
          paths: [
            { path: '/', pathType: 'Prefix', service: { name: 'ase-a-upesi-backend-service', port: 3002 } },
          ],
        },
      ],
    },
    auth: { enabled: true, className: 'nginx', hosts: [{ host: 'auth.ase-a.example' }] },
  },
}

/** Where the chart writes no Secret, values of secrets would be lost, and it says so. */
const withoutValues = {
  backend: {
    ilp: { streamSecret: null },
    databaseUrl: null,
    admin: { apiSecret: null },
  },
  auth: { identityServer: { serverSecret: null }, databaseUrl: null, cookieKey: null },
}

/** Chart values over {@link least}, by what is special about them. */
export const variants: Readonly<Record<string, Values>> = {
  least: {},
  'several connectors on Redis': redis,
  'Redis queue with KEDA, down to none': over(redis, {
    queue: { driver: 'redis' },
    keda: { enabled: true, minReplicas: 0 },
  }),
  'Postgres queue with KEDA, down to none': { keda: { enabled: true, minReplicas: 0 } },
  'SQS queue with KEDA': over(sqs, { keda: { enabled: true } }),
  Knative: { mode: 'knative' },
  'Knative with SQS, KEDA, auto-peering': over(sqs, autoPeering, {
    mode: 'knative',
    keda: { enabled: true, minReplicas: 0 },
  }),
  'Gateway, peers and auto-peering': over(gateway, autoPeering, {
    gateway: {
      routes: { connector: { enabled: true }, 'auto-peering': { hostnames: ['peering.ase-a.example'] } },
    },
  }),
  Ingress: ingress,
  'metrics, schedule, names': {
    fullnameOverride: 'rafiki',
    schedule: { enabled: true },
    metrics: { serviceMonitor: { enabled: true } },
    networkPolicy: {
      metricsFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      walletsFrom: [
        { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'wallet-ase-a' } } },
      ],
    },
    imagePullSecrets: [{ name: 'registry' }],
  },
  TigerBeetle: { tigerbeetle: { enabled: true, clusterId: '117' } },
  'Secrets of others': {
    config: {
      backend: {
        ...withoutValues.backend,
        existingSecret: 'node-secrets',
        key: { existingSecret: 'node-key' },
      },
      auth: { ...withoutValues.auth, shouldCreateSecrets: 'false' },
    },
    migrations: { serviceAccountName: 'migrator' },
  },
  'no policies, no migrations, no budgets': {
    networkPolicy: { enabled: false },
    migrations: { enabled: false },
    serviceAccount: { name: 'node' },
    deployments: {
      backend: { replicaCount: 1, autoscaling: { enabled: false }, podDisruptionBudget: { enabled: false } },
    },
  },
  'the resource side alone': at('config.auth.enabled', false),
  'the auth side alone': at('config.backend.enabled', false),
}
