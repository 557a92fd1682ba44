import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { describe, test } from 'node:test'
import { least } from './base-values.ts'
import { at, type Manifest, over, refusal, render, type Values, withoutHelm } from './render.ts'
import { rendered, variantNames } from './rendered-variants.ts'
import { type Container, dataOf, find, ofKind, workloadsOf } from './workloads.ts'

const skip = withoutHelm
/** Any kind at all: that a cluster was asked. Nothing is found in it. */
const emptyCluster = { apiVersions: ['v1/Secret'] }
const generate: Values = { secrets: { generate: true } }
/** Without what the chart can make. */
const ungiven: Values = {
  config: {
    backend: { ilp: { streamSecret: null }, admin: { apiSecret: null } },
    auth: { identityServer: { serverSecret: null }, cookieKey: null },
  },
}
const secretOf = (manifests: readonly Manifest[], side: string) =>
  dataOf(find(manifests, 'Secret', `ase-a-upesi-${side}`))

describe('secrets', { skip }, () => {
  test('no value of a secret stands in anything but a Secret', () => {
    const values = over(
      least,
      at('config.backend.redisUrl.value', 'redis://u:in-redis@redis'),
      at('config.backend.connectorRpcSecret', 'in-rpc'),
      at('config.backend.auth.serviceApiSecret', 'in-service'),
      at('config.backend.databasePassword', 'in-password'),
      at('config.backend.secretEnv', { SIGNATURE_SECRET: 'in-signature' }),
      at('config.backend.key.pvk', '-----BEGIN PRIVATE KEY-----\nin-key\n-----END PRIVATE KEY-----'),
      { keda: { enabled: true }, queue: { driver: 'redis' }, mode: 'knative' },
    )
    const manifests = render(values)
    const text = JSON.stringify(manifests.filter(({ kind }) => kind !== 'Secret'))
    const hidden = [
      'in-redis',
      'in-rpc',
      'in-service',
      'in-password',
      'in-signature',
      'in-key',
      'plain-test',
      'operator-secret',
      'idp-secret',
      'cookie-secret',
    ]
    const secrets = JSON.stringify(ofKind(manifests, 'Secret').map(dataOf))
    for (const secret of hidden) {
      assert.ok(!text.includes(secret), `${secret} is in the open`)
      assert.ok(!text.includes(Buffer.from(secret).toString('base64')), `${secret} is in the open`)
      assert.ok(secrets.includes(secret), secret)
    }
  })

  test('a secret among plain variables is refused, wherever it comes from', () => {
    for (const values of [
      at('config.backend.env', { STREAM_SECRET: 'x' }),
      at('config.auth.env', { COOKIE_KEY: 'x' }),
      at('env', { DATABASE_URL: 'postgresql://x' }),
      { configMaps: { backend: { contentMap: [{ key: 'ADMIN_API_SECRET', value: 'x' }] } } },
    ])
      assert.match(refusal(over(least, values)), /is a secret and would stand in a ConfigMap/)
  })

  test('what is missing is made, each time another, and both sides get the same where they must', () => {
    const manifests = render(over(least, ungiven, generate), emptyCluster)
    const backend = secretOf(manifests, 'backend')
    const auth = secretOf(manifests, 'auth')
    for (const name of [
      'STREAM_SECRET',
      'DB_ENCRYPTION_SECRET',
      'ADMIN_API_SECRET',
      'CONNECTOR_RPC_SECRET',
      'AUTH_SERVICE_API_SECRET',
      'SIGNATURE_SECRET',
    ])
      assert.equal(Buffer.from(backend[name] ?? '', 'base64').length, 32, name)
    for (const name of ['COOKIE_KEY', 'IDENTITY_SERVER_SECRET', 'DB_ENCRYPTION_SECRET'])
      assert.equal(Buffer.from(auth[name] ?? '', 'base64').length, 32, name)
    for (const name of ['ADMIN_API_SECRET', 'AUTH_SERVICE_API_SECRET'])
      assert.equal(auth[name], backend[name], name)
    const made = [...Object.values(backend), ...Object.values(auth)].filter((value) =>
      /^[A-Za-z0-9+/]{43}=$/.test(value),
    )
    assert.equal(new Set(made).size, made.length - 2)
    const again = secretOf(render(over(least, ungiven, generate), emptyCluster), 'backend')
    assert.notEqual(again.STREAM_SECRET, backend.STREAM_SECRET)
    for (const secret of ofKind(manifests, 'Secret').filter(
      ({ metadata }) => !metadata.annotations?.['helm.sh/hook'],
    ))
      assert.equal(secret.metadata.annotations?.['helm.sh/resource-policy'], 'keep', secret.metadata.name)
  })

  test('the key of the node is an Ed25519 key, made, given as PEM or as its base64, or another Secret’s', () => {
    const key = (values: Values, options = {}) =>
      dataOf(find(render(over(least, values), options), 'Secret', 'ase-a-upesi-backend-keys'))['pvk.pem'] ??
      ''
    const made = key(generate, emptyCluster)
    assert.equal(createPrivateKey(made).asymmetricKeyType, 'ed25519')
    assert.equal(key(at('config.backend.key.pvk', made)), made)
    assert.equal(key(at('config.backend.key.pvk', Buffer.from(made).toString('base64'))), made)
    const manifests = render(
      over(least, at('config.backend.key', { existingSecret: 'kms-key', mount: '/keys/node.pem' })),
    )
    const [container, volume] = backendPod(manifests)
    assert.deepEqual(volume, {
      name: 'keys',
      secret: { secretName: 'kms-key', items: [{ key: 'pvk.pem', path: 'node.pem' }] },
    })
    assert.ok(container.volumeMounts?.some(({ mountPath, readOnly }) => mountPath === '/keys' && readOnly))
    assert.equal(find(manifests, 'ConfigMap', 'ase-a-upesi-backend').data.PRIVATE_KEY_FILE, '/keys/node.pem')
    // None at all: the node keeps its own, encrypted, in its database.
    const without = rendered('least')
    assert.equal(find(without, 'ConfigMap', 'ase-a-upesi-backend').data.PRIVATE_KEY_FILE, undefined)
    assert.equal(backendPod(without)[1], undefined)
  })

  test('nothing is made where nobody can look for what was made before', () => {
    const said = refusal(over(least, ungiven, generate))
    for (const name of ['STREAM_SECRET', 'ADMIN_API_SECRET', 'COOKIE_KEY'])
      assert.match(said, new RegExp(`${name}: secrets.generate looks into the cluster`))
  })

  test('a secretKeyRef with a name is read in its place, and written nowhere', () => {
    const manifests = render(
      over(
        least,
        at('config.backend.databaseUrl', { value: null, secretKeyRef: { name: 'pg-app', key: 'uri' } }),
        at('config.backend.admin.apiSecret', {
          value: null,
          apiSecretKeyRef: { name: 'operator', key: 'key' },
        }),
        at('config.auth.databaseUrl', { value: null, secretKeyRef: { name: 'pg-auth', key: 'uri' } }),
        at('config.backend.redisUrl.secretKeyRef', { name: 'redis', key: 'url' }),
        { keda: { enabled: true } },
      ),
    )
    const env = (name: string) =>
      Object.fromEntries(
        workloadsOf([
          find(manifests, name === 'migrate' ? 'Job' : 'Deployment', `ase-a-upesi-${name}`),
        ]).flatMap(({ spec }) =>
          (spec.containers[0]?.env ?? []).map((each) => [each.name, each.valueFrom?.secretKeyRef]),
        ),
      )
    const url = { name: 'pg-app', key: 'uri' }
    const operator = { name: 'operator', key: 'key' }
    assert.deepEqual(env('open-payments'), {
      ADMIN_API_SECRET: operator,
      DATABASE_URL: url,
      REDIS_URL: { name: 'redis', key: 'url' },
    })
    assert.deepEqual(env('auth'), {
      ADMIN_API_SECRET: operator,
      AUTH_DATABASE_URL: { name: 'pg-auth', key: 'uri' },
    })
    assert.deepEqual(env('migrate').DATABASE_URL, url)
    for (const side of ['backend', 'auth'])
      for (const name of ['DATABASE_URL', 'ADMIN_API_SECRET', 'AUTH_DATABASE_URL'])
        assert.ok(!(name in secretOf(manifests, side)), `${side} ${name}`)
    // The scaler and the test read the same.
    assert.deepEqual(find(manifests, 'TriggerAuthentication', 'ase-a-upesi-queue').spec.secretTargetRef, [
      { parameter: 'connection', ...url },
    ])
    const test = find(manifests, 'Pod', 'ase-a-upesi-test-payment').spec.containers[0] as Container
    assert.deepEqual(
      test.env?.find(({ name }) => name === 'ADMIN_API_SECRET')?.valueFrom?.secretKeyRef,
      operator,
    )
  })

  test('a reference to the chart’s own Secret is no reference while the chart writes it', () => {
    const values = over(
      least,
      { fullnameOverride: 'rafiki' },
      at('config.backend.webhookSignatureSecret', {
        value: 'signed',
        secretKeyRef: { name: 'rafiki-backend', key: 'SIGNATURE_SECRET' },
      }),
    )
    assert.equal(dataOf(find(render(values), 'Secret', 'rafiki-backend')).SIGNATURE_SECRET, 'signed')
  })

  test('where the Secret is somebody else’s, values for it are refused', () => {
    assert.match(refusal(over(least, at('config.backend.existingSecret', 'mine'))), /would be lost/)
    assert.match(refusal(over(least, at('config.auth.shouldCreateSecrets', false))), /would be lost/)
    const manifests = rendered('Secrets of others')
    assert.deepEqual(ofKind(manifests, 'Secret'), [])
  })

  test('the operator’s secret and id are one for both sides', () => {
    const auth = secretOf(rendered('least'), 'auth')
    assert.equal(auth.ADMIN_API_SECRET, 'operator-secret')
    assert.match(
      refusal(over(least, at('config.auth.admin.apiSecret.value', 'another'))),
      /ADMIN_API_SECRET of config.backend and of config.auth differ/,
    )
    assert.match(
      refusal(over(least, at('config.auth.tenancy.tenantId', '5f5b4f0e-8c9f-4b8e-9a57-0d7a4f1c6c12'))),
      /there is one operator/,
    )
    // Auth reads the operator's secret where the backend's is, also in somebody else's Secret.
    const values = over(
      least,
      at('config.backend', {
        existingSecret: 'mine',
        databaseUrl: null,
        admin: { apiSecret: null },
        ilp: { streamSecret: null },
      }),
    )
    const [container] = workloadsOf([find(render(values), 'Deployment', 'ase-a-upesi-auth')]).flatMap(
      ({ spec }) => spec.containers,
    )
    assert.deepEqual(
      container?.env?.find(({ name }) => name === 'ADMIN_API_SECRET')?.valueFrom?.secretKeyRef,
      { name: 'mine', key: 'ADMIN_API_SECRET', optional: false },
    )
  })

  test('every variant has both internal secrets or none: a process derives what it is not told', () => {
    for (const variant of variantNames) {
      const secrets = ofKind(rendered(variant), 'Secret').map(dataOf)
      const with_ = (name: string) => secrets.filter((data) => name in data).length
      assert.equal(with_('AUTH_SERVICE_API_SECRET') % 2, 0, variant)
    }
    const manifests = render(
      over(
        least,
        at('config.backend.auth.serviceApiSecret', 'service'),
        at('config.backend.connectorRpcSecret.value', 'rpc'),
      ),
    )
    assert.equal(secretOf(manifests, 'backend').CONNECTOR_RPC_SECRET, 'rpc')
    for (const side of ['backend', 'auth'])
      assert.equal(secretOf(manifests, side).AUTH_SERVICE_API_SECRET, 'service')
  })
})

/** Of a pod of the backend: its container, and the volume of the key. */
function backendPod(manifests: readonly Manifest[]) {
  const [workload] = workloadsOf([find(manifests, 'Deployment', 'ase-a-upesi-open-payments')])
  return [
    workload?.spec.containers[0] as Container,
    workload?.spec.volumes?.find(({ name }) => name === 'keys'),
  ] as const
}
