import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { least } from './base-values.ts'
import { acceptedValues } from './known-values.ts'
import { at, over, render, type Values, withoutHelm } from './render.ts'
import { rendered } from './rendered-variants.ts'
import { typeProblems } from './typed.ts'
import { type Container, dataOf, find, ofKind, workloadsOf } from './workloads.ts'

const skip = withoutHelm
const example = (name: string) => join(import.meta.dirname, 'examples', `${name}.yaml`)

const sides = ['backend', 'auth'] as const
const envFrom = (side: string) => [
  { configMapRef: { name: `{{ include "common.fullname" . }}-${side}` } },
  { secretRef: { name: `{{ include "common.fullname" . }}-${side}` } },
]
const probe = (port: number) => ({
  initialDelaySeconds: 10,
  periodSeconds: 5,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
  httpGet: { path: '/healthz', port },
})

/** What somebody has who copied whole sections of the public chart's values, and put in what is theirs. */
const copied: Values = {
  fullnameOverride: 'rafiki',
  imageOverride: { repository: 'registry.example/mirror' },
  versionOverride: '1.2.3',
  config: {
    frontend: {
      enabled: true,
      port: 3010,
      serviceUrls: { GRAPHQL_URL: 'http://rafiki-backend-service.rafiki:3001/graphql' },
    },
    backend: {
      shouldCreateSecrets: true,
      redisUrl: { value: 'redis://redis:6379', secretKeyRef: { key: 'REDIS_URL' } },
      databaseUrl: { secretKeyRef: { key: 'DATABASE_URL' } },
      webhookSignatureSecret: {
        value: 'signed',
        secretKeyRef: { name: 'rafiki-backend', key: 'SIGNATURE_SECRET' },
      },
      telemetry: { enabled: 'false', livenet: 'false', enableIlpTimingTelemetry: 'true' },
      autoPeering: { enabled: 'false' },
      trustProxy: 'true',
      withdrawalThrottleDelay: '',
      walletAddressRedirectHtmlPage: '',
      cards: { service: '', webhookService: '' },
      key: { pvk: '', mount: '/mnt/keys/pvk.pem' },
      useTigerbeetle: false,
    },
    auth: {
      shouldCreateSecrets: true,
      redisUrl: { secretKeyRef: { key: 'REDIS_URL' } },
      interaction: { quote: 'false', cookieSameSite: 'lax' },
    },
    cards: {
      enabled: true,
      port: 13007,
      tenant: { id: '', secret: { value: '', secretKeyRef: { key: 'TENANT_SECRET' } } },
    },
    pos: { enabled: false, useHttp: 'false' },
  },
  deployments: {
    backend: {
      name: 'backend',
      enabled: true,
      replicaCount: 1,
      imagePullPolicy: 'IfNotPresent',
      envFrom: envFrom('backend'),
      autoscaling: { enabled: false },
      serviceAccount: {},
      ports: [{ name: 'open-payments', containerPort: 3000, protocol: 'TCP' }],
      resources: { requests: { memory: '256Mi', cpu: 1 }, limits: { memory: '2048Mi', cpu: 1 } },
      livenessProbe: probe(3000),
      readinessProbe: probe(3000),
      volumeMounts: [{ name: 'keys', mountPath: '/mnt/keys', readOnly: true }],
      podDisruptionBudget: { enabled: false, minAvailable: 1 },
      topologySpreadConstraints: [],
    },
    auth: {
      name: 'auth',
      enabled: true,
      replicaCount: 1,
      envFrom: envFrom('auth'),
      livenessProbe: probe(3007),
      securityContext: {},
    },
    frontend: { name: 'frontend', image: { name: 'rafiki-frontend' } },
    cards: { name: 'cards', image: { name: 'rafiki-card-service' } },
  },
  services: {
    backend: {
      name: 'backend-service',
      enabled: true,
      type: 'ClusterIP',
      annotations: {},
      ports: [
        { port: 3000, targetPort: 3000, protocol: 'TCP', name: 'open-payments' },
        { port: 3001, targetPort: 3001, protocol: 'TCP', name: 'admin' },
        { port: 3002, targetPort: 3002, protocol: 'TCP', name: 'connector' },
        { port: 3005, targetPort: 3005, protocol: 'TCP', name: 'auto-peering' },
      ],
    },
    auth: { name: 'auth-service', ports: [{ port: 3006, targetPort: 3006, name: 'auth' }] },
    frontend: { name: 'frontend-service', ports: [{ port: 3010, name: 'http' }] },
  },
  configMaps: {
    backend: {
      name: 'backend',
      contentMap: [
        { key: 'ADMIN_PORT', valueRef: 'config.backend.port.admin' },
        { key: 'ENABLE_AUTO_PEERING', valueRef: 'config.backend.autoPeering.enabled' },
        { key: 'ENABLE_AUTO_PEERING', valueRef: 'config.backend.autoPeering.enabled' },
        { key: 'SLIPPAGE', valueRef: 'config.backend.slippage' },
        { key: 'ADMIN_API_SIGNATURE_TTL_SECONDS   ', valueRef: 'config.backend.admin.signatureTtlSeconds ' },
      ],
    },
    frontend: { contentMap: [{ key: 'AUTH_ENABLED', valueRef: 'config.frontend.kratos.enabled' }] },
  },
  secretsMaps: {
    backend: {
      name: 'backend',
      contentMap: [{ key: 'STREAM_SECRET', valueRef: 'config.backend.ilp.streamSecret.value' }],
    },
  },
  ingress: { frontend: { enabled: false }, backend: { enabled: false, className: 'nginx' } },
}

describe('values of the public chart', { skip }, () => {
  const manifests = skip
    ? []
    : render(over(least, copied, at('config.backend.databaseUrl.value', 'postgresql://plain-test@db/x')))

  test('names of objects and ports are the ones that others refer to', () => {
    for (const side of sides) {
      find(manifests, 'ConfigMap', `rafiki-${side}`)
      find(manifests, 'Secret', `rafiki-${side}`)
    }
    const ports = (name: string) =>
      Object.fromEntries(
        find(manifests, 'Service', name).spec.ports.map((port: { name: string; port: number }) => [
          port.name,
          port.port,
        ]),
      )
    assert.deepEqual(ports('rafiki-backend-service'), { admin: 3001, connector: 3002, 'open-payments': 3000 })
    assert.deepEqual(ports('rafiki-auth-service'), {
      auth: 3006,
      admin: 3003,
      introspection: 3007,
      interaction: 3009,
      serviceapi: 3011,
    })
    const keyed = render(
      over(
        least,
        copied,
        at('config.backend.databaseUrl.value', 'postgresql://plain-test@db/x'),
        at('config.backend.key.pvk', Buffer.from('-----BEGIN PRIVATE KEY-----').toString('base64')),
      ),
    )
    assert.ok('pvk.pem' in dataOf(find(keyed, 'Secret', 'rafiki-backend-keys')))
  })

  test('a Service that has other ports than its pods is called at its own', () => {
    const services = {
      backend: { ports: [{ name: 'admin', port: 81 }] },
      auth: {
        ports: [
          { name: 'introspection', port: 82 },
          { name: 'serviceapi', port: '83' },
        ],
      },
    }
    const others = render(over(least, { services }))
    const { data } = find(others, 'ConfigMap', 'ase-a-upesi-backend')
    assert.equal(data.AUTH_SERVER_INTROSPECTION_URL, 'http://ase-a-upesi-auth-service:82')
    assert.equal(data.AUTH_SERVICE_API_URL, 'http://ase-a-upesi-auth-service:83')
    const [container] =
      workloadsOf([find(others, 'Pod', 'ase-a-upesi-test-payment')])[0]?.spec.containers ?? []
    const url = container?.env?.find(({ name }) => name === 'GRAPHQL_URL')?.value
    assert.equal(url, 'http://ase-a-upesi-backend-service:81/graphql')
  })

  test('whole sections that were copied do no harm', async () => {
    assert.deepEqual(await typeProblems(manifests), [])
    const config = dataOf(find(manifests, 'ConfigMap', 'rafiki-backend'))
    assert.equal(config.ADMIN_PORT, '3001')
    assert.ok(
      !('SLIPPAGE' in config) && !('WITHDRAWAL_THROTTLE_DELAY' in config) && !('CARD_SERVICE_URL' in config),
    )
    for (const { manifest, spec } of workloadsOf(manifests)) {
      const [container] = spec.containers as [Container]
      // Its own image, no port or probe that only one of the processes has, no reference twice.
      assert.match(
        container.image,
        /^registry\.example\/mirror\/upesi(-connector)?:1\.2\.3$/,
        manifest.metadata.name,
      )
      const references = JSON.stringify(container.envFrom ?? [])
      assert.doesNotMatch(references, /include|(rafiki-[a-z]+)".*configMapRef/)
      if (manifest.kind !== 'Deployment') continue
      assert.equal(container.readinessProbe?.httpGet?.path, '/readyz')
      assert.equal(container.envFrom?.length, 2, references)
      assert.equal(manifest.spec.replicas, 1)
    }
    assert.deepEqual(ofKind(manifests, 'HorizontalPodAutoscaler'), [])
    assert.deepEqual(
      ofKind(manifests, 'PodDisruptionBudget').map(({ metadata }) => metadata.name),
      ['rafiki-auth'],
    )
    const { livenessProbe, resources } =
      workloadsOf([find(manifests, 'Deployment', 'rafiki-open-payments')])[0]?.spec.containers[0] ?? {}
    assert.deepEqual(
      [(livenessProbe as { periodSeconds?: number }).periodSeconds, resources?.limits?.memory],
      [5, '2048Mi'],
    )
  })

  test('values that set nothing here are taken, and make nothing', () => {
    const with_ = render(over(least, ...acceptedValues.map(([path, value]) => at(path, value))))
    assert.deepEqual(with_, rendered('least'))
  })

  test('older names of a value count, and newer ones before them', () => {
    const config = (...values: Values[]) =>
      dataOf(find(render(over(least, ...values)), 'ConfigMap', 'ase-a-upesi-backend'))
    const old = config(at('config.backend.slippage', 0.03), at('config.backend.webhook.timeout', 2500))
    assert.deepEqual([old.SLIPPAGE, old.WEBHOOK_TIMEOUT], ['0.03', '2500'])
    const both = config(at('config.backend.slippage', 0.03), at('config.backend.ilp.slippage', 0.02))
    assert.equal(both.SLIPPAGE, '0.02')
    const pem = Buffer.from('-----BEGIN PRIVATE KEY-----').toString('base64')
    const mounted = config(
      at('config.backend.key', { id: 'k', pvk: pem, mount: null }),
      at('config.backend.pvk', '/keys/pvk.pem'),
    )
    assert.equal(mounted.PRIVATE_KEY_FILE, '/keys/pvk.pem')
  })

  test('services that this project does not have make nothing', () => {
    assert.deepEqual(
      manifests.filter(({ metadata }) => /frontend|cards|-pos/.test(metadata.name)),
      [],
    )
  })
})

describe('examples', { skip }, () => {
  for (const name of ['ase-a', 'ase-b'])
    test(`${name} of the reference deployment renders, with no secret in it`, async () => {
      const manifests = render({}, { release: 'rafiki', namespace: `rafiki-${name}`, files: [example(name)] })
      assert.deepEqual(await typeProblems(manifests), [])
      const written = ofKind(manifests, 'Secret').map(dataOf)
      assert.deepEqual(
        written.flatMap((data) =>
          Object.entries(data).filter(([key, value]) => !(key === 'REDIS_URL' && value === 'none')),
        ),
        [],
      )
      const config = dataOf(find(manifests, 'ConfigMap', 'rafiki-backend'))
      assert.equal(config.OPEN_PAYMENTS_URL, `https://op.${name}.example`)
      assert.equal(config.WALLET_ADDRESS_URL, `https://op.${name}.example/.well-known/pay`)
      assert.equal(config.AUTH_SERVER_GRANT_URL, `https://auth.${name}.example`)
      assert.equal(config.AUTH_SERVER_INTROSPECTION_URL, 'http://rafiki-auth-service:3007')
    })

  test('each peers with the other: their connectors are public, and under what they tell peers', () => {
    const a = render({}, { release: 'rafiki', files: [example('ase-a')] })
    assert.deepEqual(find(a, 'HTTPRoute', 'rafiki-connector').spec.hostnames, ['ilp.ase-a.example'])
    const b = render({}, { release: 'rafiki', files: [example('ase-b')] })
    const rule = find(b, 'Ingress', 'rafiki-backend').spec.rules.find(
      ({ host }: { host: string }) => host === 'ilp.ase-b.example',
    )
    assert.deepEqual(rule.http.paths[0].backend.service, {
      name: 'rafiki-backend-service',
      port: { name: 'connector' },
    })
  })
})
