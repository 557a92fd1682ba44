import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { least } from './base-values.ts'
import { at, type Manifest, over, refusal, render, type Values, withoutHelm } from './render.ts'
import { placedWorkloads, rendered } from './rendered-variants.ts'
import { type Container, dataOf, find, isKnative, ofKind, workloadsOf } from './workloads.ts'

interface Trigger {
  name: string
  type: string
  about: Record<string, string>
}

const skip = withoutHelm
/** What runs until it is stopped, and says how it is. */
const servers = skip
  ? []
  : placedWorkloads().filter(({ manifest }) => !['Job', 'CronJob', 'Pod'].includes(manifest.kind))

describe('what runs', { skip }, () => {
  test('what serves is asked how it is, at ports that it has', () => {
    for (const { where, spec, manifest } of servers) {
      const [container] = spec.containers as [Container]
      const probes = isKnative(manifest)
        ? [container.readinessProbe, container.livenessProbe]
        : [container.startupProbe, container.readinessProbe, container.livenessProbe]
      for (const probe of probes) {
        const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port
        assert.ok(
          container.ports?.some(({ name, containerPort }) => name === port || containerPort === port),
          `${where}: ${port}`,
        )
      }
      if (!container.readinessProbe?.httpGet) continue
      assert.equal(container.readinessProbe.httpGet.path, '/readyz')
      assert.equal(container.livenessProbe?.httpGet?.path, '/livez')
    }
  })

  test('a pod has longer to end than its process takes', () => {
    const drainSeconds: Record<string, number> = { connector: 35 + 35 + 5, tigerbeetle: 0 }
    for (const { where, spec, manifest, manifests, labels } of servers) {
      if (isKnative(manifest)) continue
      const role = labels['app.kubernetes.io/component'] ?? ''
      const sleep = spec.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0
      const config = manifests.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('-backend'),
      )
      const noticeMs = Number(config?.data.CONNECTOR_SHUTDOWN_NOTICE_MS ?? 2000)
      const least = sleep + (drainSeconds[role] ?? 30) + (role === 'connector' ? noticeMs / 1000 : 0)
      assert.ok((spec.terminationGracePeriodSeconds ?? 30) >= least, where)
    }
  })

  test('the connector rolls without a gap, and its grace follows its notice', () => {
    const connector = (values: Values) =>
      find(render(over(least, values)), 'Deployment', 'ase-a-upesi-connector').spec
    const { strategy, replicas } = connector({})
    assert.deepEqual(strategy, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } })
    // Without a Redis there are no shared totals, so one.
    assert.equal(replicas, 1)
    const noticed = connector({ config: { backend: { shutdownNoticeMs: 20_000 } } })
    assert.equal(noticed.template.spec.terminationGracePeriodSeconds, 105)
  })

  test('who turns scaling off keeps the processes; what scales the backend makes no second connector', () => {
    const off = render(over(least, at('deployments.backend.autoscaling.enabled', false)))
    for (const { metadata, spec } of ofKind(off, 'Deployment'))
      assert.ok(spec.replicas === undefined || spec.replicas > 0, metadata.name)
    assert.equal(find(off, 'Deployment', 'ase-a-upesi-admin').spec.replicas, 2)
    const on = at('deployments.backend.autoscaling.enabled', true)
    const scaled = (values: Values) =>
      ofKind(render(over(least, on, values)), 'HorizontalPodAutoscaler').map(({ metadata }) =>
        metadata.name.replace('ase-a-upesi-', ''),
      )
    assert.deepEqual(scaled({}).sort(), ['admin', 'auth', 'open-payments', 'payments', 'webhooks'])
    const redis = over(
      at('config.backend.redisUrl.value', 'redis://redis.example'),
      at('queue.driver', 'redis'),
    )
    assert.ok(scaled(redis).includes('connector') && !scaled(redis).includes('relay'))
    assert.match(
      refusal(over(least, at('deployments.connector.autoscaling.enabled', true))),
      /several connectors need a Redis/,
    )
  })

  test('a budget leaves a pod to evict, or the drain of a node would never end', () => {
    const budgets = (values: Values) =>
      Object.fromEntries(
        ofKind(render(over(least, values)), 'PodDisruptionBudget').map(({ metadata, spec }) => [
          metadata.name.replace('ase-a-upesi-', ''),
          spec.minAvailable === undefined ? `-${spec.maxUnavailable}` : spec.minAvailable,
        ]),
      )
    const leastOf = (minAvailable: unknown) =>
      at('deployments.backend.podDisruptionBudget.minAvailable', minAvailable)
    const others = { admin: 1, auth: '-1', 'open-payments': 1 }
    // One connector without Redis, two of the others.
    assert.deepEqual(budgets(leastOf(1)), { ...others, connector: '-1', payments: 1, webhooks: 1 })
    assert.deepEqual(budgets(over(leastOf(1), { keda: { enabled: true, minReplicas: 1 } })), {
      ...others,
      connector: '-1',
      payments: '-1',
      webhooks: '-1',
    })
    assert.equal(budgets(over(leastOf(1), at('deployments.backend.replicaCount', 1))).admin, '-1')
    const parts: [string, number, string][] = [
      ['50%', 2, '50%'],
      ['51%', 2, '-1'],
      ['100%', 2, '-1'],
      ['50%', 1, '-1'],
      ['67%', 4, '67%'],
    ]
    for (const [least, replicas, expected] of parts) {
      const values = over(leastOf(least), at('deployments.backend.replicaCount', replicas))
      const alone = at('deployments.connector.replicaCount', 1)
      assert.equal(budgets(over(values, alone)).admin, expected, `${least} of ${replicas}`)
    }
    assert.equal(budgets(at('deployments.auth.podDisruptionBudget.maxUnavailable', 0)).auth, '-0')
  })

  test('tasks and migrations mount what the processes mount, and run where they run', () => {
    const own = {
      nodeSelector: { pool: 'ilp' },
      tolerations: [{ key: 'ilp', operator: 'Exists' }],
      volumes: [{ name: 'ca', secret: { secretName: 'database-ca' } }],
      // The public chart's values mount the key by hand.
      volumeMounts: [
        { name: 'ca', mountPath: '/ca', readOnly: true },
        { name: 'keys', mountPath: '/mnt/keys', readOnly: true },
      ],
    }
    const values = over(least, at('schedule.enabled', true), at('deployments.backend', own))
    const ofBackend = (labels: Record<string, string>) =>
      !/^(auth|test)/.test(labels['app.kubernetes.io/component'] ?? '')
    for (const key of [{}, at('config.backend.key.existingSecret', 'node-key')])
      for (const { manifest, spec, labels } of workloadsOf(render(over(values, key)))) {
        if (!ofBackend(labels)) continue
        const { name } = manifest.metadata
        assert.deepEqual((spec as { nodeSelector?: unknown }).nodeSelector, own.nodeSelector, name)
        assert.deepEqual((spec as { tolerations?: unknown }).tolerations, own.tolerations, name)
        const volumes = spec.volumes?.map((volume) => volume.name) ?? []
        const mounts = spec.containers[0]?.volumeMounts?.map((mount) => mount.name) ?? []
        assert.ok(volumes.includes('ca') && mounts.includes('ca'), name)
        for (const mount of mounts) assert.ok(volumes.includes(mount), `${name}: ${mount}`)
      }
  })

  test('the schedule is the project’s, and CronJobs do all of it where roles may have no process', () => {
    const schedule = readFileSync(new URL('../schedule.json', import.meta.url), 'utf8')
    assert.equal(
      readFileSync(new URL('upesi/files/schedule.json', import.meta.url), 'utf8'),
      schedule,
      'copy infra/schedule.json to infra/helm/upesi/files/',
    )
    const tasksOf = (variant: string) =>
      ofKind(rendered(variant), 'CronJob').flatMap(({ spec }) => {
        const [node, script, ...tasks] = spec.jobTemplate.spec.template.spec.containers[0].command
        assert.equal(node, 'node')
        const [, role] = /^dist\/([a-z-]+)\/task\.mjs$/.exec(script) ?? []
        return (tasks as string[]).map((task) => `${role} ${task}`)
      })
    const entries = JSON.parse(schedule) as { role: string; task: string }[]
    const of = (...roles: string[]) =>
      entries
        .filter(({ role }) => roles.includes(role))
        .map(({ role, task }) => `${role} ${task}`)
        .sort()
    const isAbsent = (role: string) => role === 'relay' || role === 'auto-peering'
    const everything = [...new Set(entries.map(({ role }) => role))].filter((role) => !isAbsent(role))
    assert.deepEqual(tasksOf('metrics, schedule, names').sort(), of(...everything))
    assert.deepEqual(tasksOf('Postgres queue with KEDA, down to none').sort(), of('webhooks', 'payments'))
    assert.deepEqual(tasksOf('Knative').sort(), of('admin', 'auth'))
    const proofs = tasksOf('Knative with SQS, KEDA, auto-peering').filter((task) =>
      task.startsWith('auto-peering'),
    )
    assert.deepEqual(proofs, of('auto-peering'))
    assert.deepEqual(tasksOf('SQS queue with KEDA'), [])
    assert.deepEqual(tasksOf('least'), [])
  })

  test('workers are scaled by what waits in their own queue', () => {
    const triggers = (variant: string): Trigger[] =>
      ofKind(rendered(variant), 'ScaledObject').map(({ metadata, spec }) => {
        const [{ type, metadata: about }] = spec.triggers
        return {
          name: metadata.name.replace('ase-a-upesi-', ''),
          type: String(type),
          about: about as Record<string, string>,
        }
      })
    const [payments, webhooks] = triggers('Postgres queue with KEDA, down to none') as [Trigger, Trigger]
    assert.equal(payments.type, 'postgresql')
    assert.match(payments.about.query ?? '', /'outgoing-payments', 'incoming-payments'/)
    assert.match(webhooks.about.query ?? '', /queue in \('webhooks'\)/)
    assert.deepEqual(
      triggers('Redis queue with KEDA, down to none').map(({ type, about }) => [
        type,
        about.stream,
        about.address,
        about.enableTLS,
        'lagCount' in about,
      ]),
      [
        ['redis-streams', 'upesi:queue:payments', 'redis.example:6380', 'true', true],
        ['redis-streams', 'upesi:queue:webhooks', 'redis.example:6380', 'true', true],
      ],
    )
    assert.deepEqual(
      triggers('SQS queue with KEDA').map(({ name, type, about }) => [name, type, about.queueURL]),
      [
        ['payments', 'aws-sqs-queue', 'https://sqs.example/1/payments'],
        ['webhooks', 'aws-sqs-queue', 'https://sqs.example/1/webhooks'],
      ],
    )
    const looksAt = (url: string, more: Values = {}) => {
      const keda = { enabled: true, ...more }
      const values = over(least, at('config.backend.redisUrl.value', url), at('queue.driver', 'redis'), {
        keda,
      })
      const [{ spec }] = ofKind(render(values), 'ScaledObject') as [Manifest]
      const { databaseIndex, enableTLS } = spec.triggers[0].metadata
      return [databaseIndex, enableTLS]
    }
    assert.deepEqual(looksAt('redis://redis.example'), ['0', 'false'])
    assert.deepEqual(looksAt('rediss://:x@redis.example:6380/3?family=6'), ['3', 'true'])
    assert.deepEqual(looksAt('redis://redis.example/3', { redis: { database: 0 } }), ['0', 'false'])
    const login = (url: string, more: Values = {}) =>
      dataOf(
        find(
          render(
            over(least, at('config.backend.redisUrl.value', url), at('queue.driver', 'redis'), more, {
              keda: { enabled: true },
            }),
          ),
          'Secret',
          'ase-a-upesi-keda',
        ),
      )
    assert.deepEqual(login('redis://upesi:a%2Fb%3Ac%40d@redis.example'), {
      REDIS_USERNAME: 'upesi',
      REDIS_PASSWORD: 'a/b:c@d',
    })
    assert.deepEqual(login('redis://:plain@redis.example'), { REDIS_PASSWORD: 'plain' })
    const apart = over(least, { keda: { enabled: true } }, at('config.backend.databasePassword.value', 'x'))
    assert.match(refusal(apart), /set keda.postgres.connectionSecretKeyRef/)
    const named = at('keda.postgres.connectionSecretKeyRef', { name: 'keda-login', key: 'url' })
    assert.deepEqual(
      find(render(over(apart, named)), 'TriggerAuthentication', 'ase-a-upesi-queue').spec.secretTargetRef,
      [{ parameter: 'connection', name: 'keda-login', key: 'url' }],
    )
    // The relay is what fills the queue.
    for (const variant of ['Redis queue with KEDA, down to none', 'SQS queue with KEDA'])
      assert.ok(find(rendered(variant), 'Deployment', 'ase-a-upesi-relay').spec.replicas > 0, variant)
  })

  test('changed configuration and secrets restart pods, and nothing else does', () => {
    const checksums = (values: Values) =>
      find(render(over(least, values)), 'Deployment', 'ase-a-upesi-open-payments').spec.template.metadata
        .annotations
    const before = checksums({})
    assert.deepEqual(
      checksums({ ingress: { auth: { enabled: true, hosts: [{ host: 'auth.ase-a.example' }] } } }),
      before,
    )
    assert.notEqual(
      checksums({ config: { backend: { logLevel: 'debug' } } })['checksum/config'],
      before['checksum/config'],
    )
    assert.notEqual(
      checksums({ config: { backend: { webhookSignatureSecret: { value: 'x' } } } })['checksum/secrets'],
      before['checksum/secrets'],
    )
  })

  test('migrations run before everything else, with what they read', () => {
    const manifests = rendered('least')
    const job = find(manifests, 'Job', 'ase-a-upesi-migrate')
    const secret = find(manifests, 'Secret', 'ase-a-upesi-migrate')
    const hook = ({ metadata }: Manifest) => metadata.annotations?.['helm.sh/hook']
    assert.equal(hook(job), 'pre-install,pre-upgrade')
    assert.equal(hook(secret), 'pre-install,pre-upgrade')
    const weight = ({ metadata }: Manifest) => Number(metadata.annotations?.['helm.sh/hook-weight'])
    assert.ok(weight(secret) < weight(job))
    assert.deepEqual(Object.keys(dataOf(secret)).sort(), ['AUTH_DATABASE_URL', 'DATABASE_URL'])
    for (const side of ['backend', 'auth'])
      assert.equal(find(manifests, 'ConfigMap', `ase-a-upesi-${side}`).data.ENABLE_MANUAL_MIGRATIONS, 'true')
    // Everything that the role reads, wherever it comes from.
    const passwords = ['databasePassword', 'ledgerDatabasePassword', 'ledgerDatabaseUrl'].map((name) =>
      at(`config.backend.${name}`, `of-${name}`),
    )
    const told = render(over(least, ...passwords, at('config.auth.databasePassword', 'of-auth')))
    const [container] = workloadsOf([find(told, 'Job', 'ase-a-upesi-migrate')])[0]?.spec.containers ?? []
    const names = [
      ...Object.keys(dataOf(find(told, 'Secret', 'ase-a-upesi-migrate'))),
      ...(container?.env ?? []).map(({ name }) => name),
    ]
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
    const [, section = ''] = /^## functions\/migrate\n([\s\S]*?)^## /m.exec(page) ?? []
    const read = [...section.matchAll(/`([A-Z_]+)` \|/g)].map(([, name]) => name)
    assert.ok(read.length >= 7)
    assert.deepEqual(names.sort(), read.sort())
    const without = rendered('no policies, no migrations, no budgets')
    assert.equal(find(without, 'ConfigMap', 'ase-a-upesi-backend').data.ENABLE_MANUAL_MIGRATIONS, undefined)
  })

  test('on Knative each public listener is a Service, and each private one a local Service', () => {
    const services = ofKind(rendered('Knative'), 'Service').filter(isKnative)
    const visibility = Object.fromEntries(
      services.map(({ metadata, spec }) => [
        metadata.name.replace('ase-a-upesi-', ''),
        [
          metadata.labels?.['networking.knative.dev/visibility'] ?? 'public',
          spec.template.spec.containers[0].env?.[0]?.value ?? '',
          spec.template.spec.containers[0].ports[0].containerPort,
        ],
      ]),
    )
    assert.deepEqual(visibility, {
      admin: ['cluster-local', '', 3001],
      auth: ['public', 'auth', 3006],
      'auth-admin': ['cluster-local', 'admin', 3003],
      'auth-interaction': ['cluster-local', 'interaction', 3009],
      'auth-introspection': ['cluster-local', 'introspection', 3007],
      'auth-service-api': ['cluster-local', 'service', 3011],
      'open-payments': ['public', '', 3000],
    })
    const config = find(rendered('Knative'), 'ConfigMap', 'ase-a-upesi-backend').data
    assert.equal(
      config.AUTH_SERVER_INTROSPECTION_URL,
      'http://ase-a-upesi-auth-introspection.rafiki-ase-a.svc.cluster.local',
    )
  })

  test('on Knative a number of replicas is the least, if somebody said it', () => {
    const scales = (values: Values) => {
      const service = ofKind(render(over(least, { mode: 'knative' }, values)), 'Service').find(
        (each) => isKnative(each) && each.metadata.name.endsWith('open-payments'),
      )
      return service?.spec.template.metadata.annotations['autoscaling.knative.dev/min-scale']
    }
    assert.equal(scales({}), '0')
    assert.equal(scales({ knative: { minScale: 1 } }), '1')
    assert.equal(scales({ deployments: { 'open-payments': { replicaCount: 3 } } }), '3')
  })
})
