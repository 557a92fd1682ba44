import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { least, variants } from './base-values.ts'
import { at, type Manifest, over, refusal, render, type Values, withoutHelm } from './render.ts'
import { called, rendered, variantNames } from './rendered-variants.ts'
import { find, isKnative, ofKind, workloadsOf } from './workloads.ts'

const skip = withoutHelm
const PUBLIC = ['open-payments', 'auth', 'connector', 'auto-peering']

/** The name of the listener behind a Service's port, given by number or by name. */
function listenerOf(manifests: readonly Manifest[], service: string, port: string | number): string {
  const ports = find(manifests, 'Service', service).spec.ports as { name: string; port: number }[]
  return ports.find((each) => each.name === port || each.port === port)?.name ?? `none: ${port}`
}

/** Every listener that something shows to the outside, as `<service> <listener>`. */
const shown = (manifests: readonly Manifest[]): string[] => [
  ...ofKind(manifests, 'HTTPRoute').flatMap(({ spec }) =>
    spec.rules.flatMap(({ backendRefs }: { backendRefs: { name: string; port: number }[] }) =>
      backendRefs.map(({ name, port }) => `${name} ${listenerOf(manifests, name, port)}`),
    ),
  ),
  ...ofKind(manifests, 'Ingress').flatMap(({ spec }) =>
    spec.rules.flatMap(
      ({
        http,
      }: {
        http: {
          paths: { backend: { service: { name: string; port: { name?: string; number?: number } } } }[]
        }
      }) =>
        http.paths.map(
          ({ backend: { service } }) =>
            `${service.name} ${listenerOf(manifests, service.name, service.port.name ?? service.port.number ?? 0)}`,
        ),
    ),
  ),
  ...ofKind(manifests, 'Service')
    .filter(
      (service) =>
        isKnative(service) &&
        service.metadata.labels?.['networking.knative.dev/visibility'] !== 'cluster-local',
    )
    .map(({ metadata }) => `knative ${metadata.name.replace('ase-a-upesi-', '')}`),
]

const ingress = (side: string, paths: readonly object[], more: Values = {}): Values => ({
  ingress: { [side]: { enabled: true, hosts: [{ host: 'x.example', paths }], ...more } },
})

describe('what is public', { skip }, () => {
  test('nothing private is, in any variant', () => {
    let seen = 0
    for (const variant of variantNames)
      for (const each of shown(rendered(variant))) {
        const [service = '', listener = ''] = each.split(' ')
        seen++
        assert.ok(
          PUBLIC.includes(listener) && !(listener === 'auth' && service.includes('backend')),
          `${variant}: ${each}`,
        )
      }
    assert.ok(seen >= 10)
    for (const variant of variantNames)
      for (const { kind, apiVersion, spec, metadata } of rendered(variant))
        if (kind === 'Service' && apiVersion === 'v1')
          assert.ok([undefined, 'ClusterIP'].includes(spec.type), `${variant}: ${metadata.name}`)
  })

  test('by default nothing is; peers reach the connector only where somebody says so', () => {
    assert.deepEqual(shown(rendered('least')), [])
    const gateway = { gateway: { enabled: true, parentRefs: [{ name: 'public' }] } }
    for (const unsaid of [{}, at('gateway.routes.connector', null)])
      assert.deepEqual(shown(render(over(least, gateway, unsaid))).sort(), [
        'ase-a-upesi-auth-service auth',
        'ase-a-upesi-backend-service open-payments',
      ])
    assert.deepEqual(shown(rendered('Gateway, peers and auto-peering')).sort(), [
      'ase-a-upesi-auth-service auth',
      'ase-a-upesi-backend-service auto-peering',
      'ase-a-upesi-backend-service connector',
      'ase-a-upesi-backend-service open-payments',
    ])
    const hosts = ofKind(rendered('Gateway, peers and auto-peering'), 'HTTPRoute').map(
      ({ metadata, spec }) => [metadata.name.replace('ase-a-upesi-', ''), spec.hostnames[0]],
    )
    assert.deepEqual(Object.fromEntries(hosts), {
      'open-payments': 'op.ase-a.example',
      auth: 'auth.ase-a.example',
      connector: 'ilp.ase-a.example',
      'auto-peering': 'peering.ase-a.example',
    })
  })

  test('an Ingress to a private listener is refused, by number, by name and by service', () => {
    for (const [side, service] of [
      ['backend', { port: 3001 }],
      ['backend', { port: 'admin' }],
      ['backend', { port: { name: 'admin' } }],
      ['backend', { name: 'ase-a-upesi-auth-service', port: 3007 }],
      ['backend', { name: '{{ include "common.fullname" . }}-connector', port: 3012 }],
      ['backend', { name: 'ase-a-upesi-metrics', port: 'metrics' }],
      ['auth', { port: 3003 }],
      ['auth', { port: 'introspection' }],
      ['auth', { port: 'interaction' }],
      ['auth', { port: 3011 }],
    ] as const)
      assert.match(
        refusal(over(least, ingress(side, [{ path: '/', service }]))),
        /is private/,
        JSON.stringify(service),
      )
    // Another number for the Service's port changes nothing.
    const renumbered = {
      services: {
        backend: {
          ports: [
            { name: 'admin', port: 80 },
            { name: 'open-payments', port: 8080 },
          ],
        },
      },
    }
    assert.match(
      refusal(over(least, renumbered, ingress('backend', [{ path: '/', service: { port: 80 } }]))),
      /is private/,
    )
    const manifests = render(
      over(least, renumbered, ingress('backend', [{ path: '/', service: { port: 8080 } }])),
    )
    assert.deepEqual(shown(manifests), ['ase-a-upesi-backend-service open-payments'])
  })

  test('a Service that would be public is refused: private listeners are on it too', () => {
    for (const type of ['LoadBalancer', 'NodePort'])
      for (const side of ['backend', 'auth'])
        assert.match(refusal(over(least, { services: { [side]: { type } } })), /private listeners/)
  })

  test('paths reach the node as they are, with any class of Ingress, under names of their own', () => {
    for (const className of ['nginx', 'traefik', undefined]) {
      const manifests = render(
        over(least, variants.Ingress ?? {}, { ingress: { backend: { className }, auth: { className } } }),
      )
      const found = ofKind(manifests, 'Ingress')
      assert.deepEqual(found.map(({ metadata }) => metadata.name).sort(), [
        'ase-a-upesi-auth',
        'ase-a-upesi-backend',
      ])
      for (const each of found) {
        assert.equal(each.spec.ingressClassName, className)
        assert.doesNotMatch(JSON.stringify(each), /rewrite/)
      }
    }
    for (const name of [
      'nginx.ingress.kubernetes.io/rewrite-target',
      'traefik.ingress.kubernetes.io/rewrite-path',
    ])
      assert.match(
        refusal(over(least, ingress('backend', [{ path: '/' }], { annotations: { [name]: '/' } }))),
        /signatures of requests cover them/,
      )
    for (const route of ofKind(rendered('Gateway, peers and auto-peering'), 'HTTPRoute'))
      assert.doesNotMatch(JSON.stringify(route), /filters|rewrite/i)
  })

  test('pods take nothing that no policy names, private listeners only from the node and its wallets', () => {
    for (const variant of variantNames.filter((name) => !name.startsWith('no policies'))) {
      const manifests = rendered(variant)
      const policies = ofKind(manifests, 'NetworkPolicy')
      const deny = policies.find(({ metadata }) => metadata.name.endsWith('default-deny'))
      assert.deepEqual(deny?.spec.policyTypes, ['Ingress', 'Egress'])
      assert.equal(deny?.spec.ingress, undefined)
      for (const policy of policies)
        for (const { ports = [], from } of (policy.spec.ingress ?? []) as {
          ports?: { port: number }[]
          from?: unknown[]
        }[]) {
          if (from) continue
          // Open to everybody: public listeners alone.
          const listeners = workloadsOf(manifests).flatMap(({ spec, labels, manifest }) =>
            labels['app.kubernetes.io/component'] ===
              policy.spec.podSelector.matchLabels['app.kubernetes.io/component'] && !isKnative(manifest)
              ? spec.containers.flatMap((container) => container.ports ?? [])
              : [],
          )
          for (const { port } of ports)
            assert.ok(
              PUBLIC.includes(listeners.find(({ containerPort }) => containerPort === port)?.name ?? ''),
              `${variant}: ${called(policy)} opens ${port}`,
            )
        }
    }
    const admin = find(rendered('metrics, schedule, names'), 'NetworkPolicy', 'rafiki-admin').spec.ingress
    assert.deepEqual(JSON.stringify(admin).match(/wallet-ase-a/g)?.length, 1)
    const auth = find(rendered('metrics, schedule, names'), 'NetworkPolicy', 'rafiki-auth').spec.ingress as {
      ports: { port: number }[]
      from?: unknown[]
    }[]
    const toWallets = auth
      .filter(({ from }) => JSON.stringify(from ?? '').includes('wallet-ase-a'))
      .map(({ ports }) => ports[0]?.port)
    assert.deepEqual(toWallets.sort(), [3003, 3009])
  })

  test('URLs of others lead to no private network', () => {
    const { egress } = find(rendered('least'), 'NetworkPolicy', 'ase-a-upesi-egress').spec
    const internet = JSON.stringify(egress).match(/"except":\[[^\]]*\]/)?.[0] ?? ''
    for (const network of [
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '169.254.0.0/16',
      '100.64.0.0/10',
    ])
      assert.ok(internet.includes(network), network)
  })

  test('with Knative the connector is published as it is without, and nothing else is by a Gateway or an Ingress', () => {
    const knative = over(least, at('mode', 'knative'))
    const before = shown(render(knative)).filter((each) => !each.startsWith('knative'))
    assert.deepEqual(before, [])
    const gateway = {
      gateway: {
        enabled: true,
        parentRefs: [{ name: 'public' }],
        routes: { connector: { enabled: true }, 'auto-peering': { hostnames: ['peering.ase-a.example'] } },
      },
    }
    const autoPeering = { config: { backend: { autoPeering: { enabled: true }, instanceName: 'A' } } }
    const peered = render(over(knative, gateway, autoPeering))
    const notOfKnative = (manifests: readonly Manifest[]) =>
      shown(manifests).filter((each) => !each.startsWith('knative'))
    assert.deepEqual(notOfKnative(peered), ['ase-a-upesi-backend-service connector'])
    assert.deepEqual(
      ofKind(peered, 'DomainMapping')
        .map(({ metadata, spec }) => [metadata.name, spec.ref.name])
        .sort(),
      [
        ['auth.ase-a.example', 'ase-a-upesi-auth'],
        ['op.ase-a.example', 'ase-a-upesi-open-payments'],
        ['peering.ase-a.example', 'ase-a-upesi-auto-peering'],
      ],
    )
    assert.deepEqual(notOfKnative(render(over(knative, ingress('backend', [{ service: { port: 3002 } }])))), [
      'ase-a-upesi-backend-service connector',
    ])
  })

  test('pods reach the ports of their databases, and those of a ledger outside the chart where there is one', () => {
    const ports = (values: Values) =>
      find(render(over(least, values)), 'NetworkPolicy', 'ase-a-upesi-egress')
        .spec.egress.filter(({ to }: { to?: unknown }) => to === undefined)
        .flatMap((rule: { ports: { port: number }[] }) => rule.ports.map(({ port }) => port))
    assert.deepEqual(ports({}), [5432, 6379])
    const said = over(
      at('config.backend.databaseUrl.value', 'postgresql://a:b%40c:7@one.example:6432,two.example:6433/r'),
      at('config.backend.redisUrl.value', 'rediss://:secret@[fd00::5]:6380/0'),
      at('config.auth.databaseUrl.value', 'postgresql://upesi:p/a:8@db.example/auth?application_name=x:9'),
    )
    assert.deepEqual(ports(said), [5432, 6379, 6432, 6433, 6380])
    const outside = over(
      at('config.backend.useTigerbeetle', true),
      at('config.backend.tigerbeetle.replicaAddresses', '10.9.0.1:3001,10.9.0.2:3001'),
    )
    assert.deepEqual(ports(outside), [5432, 6379, 3001])
    assert.deepEqual(ports({ tigerbeetle: { enabled: true, clusterId: '117' } }), [5432, 6379])
  })

  test('with Knative its own pods reach the proxies, and its autoscaler their metrics', () => {
    const { ingress: ways } = find(rendered('Knative'), 'NetworkPolicy', 'ase-a-upesi-open-payments').spec
    assert.deepEqual(
      ways.map(({ ports }: { ports: { port: number }[] }) => ports.map(({ port }) => port)),
      [[8012, 8022, 8112, 9090]],
    )
    assert.match(JSON.stringify(ways[0].from), /knative-serving/)
  })

  test('with Knative an Ingress is refused, and a cluster without Knative is not passed over', () => {
    assert.match(
      refusal(over(least, { mode: 'knative' }, ingress('auth', [{ path: '/' }]))),
      /it is Knative that publishes/,
    )
    const cluster = ['v1/Secret']
    assert.match(
      refusal(over(least, { mode: 'knative' }), { apiVersions: cluster }),
      /no serving.knative.dev\/v1/,
    )
    assert.ok(
      render(over(least, { mode: 'knative' }), { apiVersions: [...cluster, 'serving.knative.dev/v1'] })
        .length > 0,
    )
    assert.match(
      refusal(over(least, at('keda.enabled', true)), { apiVersions: cluster }),
      /no keda.sh\/v1alpha1/,
    )
    for (const path of ['metrics.port', 'config.backend.port.admin', 'config.auth.port.interaction'])
      assert.match(refusal(over(least, { mode: 'knative' }, at(path, 9090))), /port of Knative's own/, path)
  })

  test('contradictions are refused', () => {
    for (const [values, words] of [
      [at('deployments.connector.replicaCount', 2), /several connectors need a Redis/],
      [at('config.backend.useTigerbeetle', true), /USE_TIGERBEETLE is true/],
      [at('queue.driver', 'redis'), /queue.driver is redis: set config.backend.redisUrl/],
      [at('queue.driver', 'sqs'), /queue.driver is sqs: set/],
      [at('gateway.enabled', true), /set gateway.parentRefs/],
      [at('metrics.serviceMonitor.enabled', true), /set networkPolicy.metricsFrom/],
      [at('services.auth.enabled', false), /services.auth.enabled is false: the node itself/],
      [at('ingress.backend.enabled', true), /set ingress.backend.hosts/],
      [at('image.repository', null), /image.repository is missing/],
      [at('config.backend.autoPeering.enabled', true), /INSTANCE_NAME is missing, and auto-peering/],
      [at('deployments.backend.image.name', 'rafiki-backend'), /the image rafiki-backend is Rafiki's/],
    ] as const)
      assert.match(refusal(over(least, values)), words)
  })
})
