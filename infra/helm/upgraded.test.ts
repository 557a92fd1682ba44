import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { least } from './base-values.ts'
import { withCluster } from './cluster.ts'
import { type Manifest, over, render, type Values, withoutHelm } from './render.ts'
import { dataOf, find, ofKind } from './workloads.ts'

const release = 'ase-a'
const namespace = 'rafiki-ase-a'
/** As the cluster says it; the secrets of a node that makes its own. */
const apiVersions = ['v1/Secret']
const generated: Values = over(least, {
  secrets: { generate: true },
  config: {
    backend: { admin: null, ilp: { streamSecret: null } },
    auth: { cookieKey: null, identityServer: { serverSecret: null } },
  },
  tigerbeetle: { enabled: true, clusterId: '117' },
})
const secretsOf = (manifests: readonly Manifest[]) =>
  ofKind(manifests, 'Secret').map((secret) => [secret.metadata.name, dataOf(secret)])

describe('an upgrade', { skip: withoutHelm }, () => {
  const upgraded = (installed: readonly Manifest[], values: Values) =>
    withCluster({ release, namespace, manifests: installed }, (cluster) =>
      render(values, { release, namespace, apiVersions, cluster }),
    )

  test('keeps what was made on installation, and replaces nothing for it', async () => {
    const before = render(generated, { release, namespace, apiVersions })
    const after = await upgraded(before, generated)
    assert.deepEqual(secretsOf(after), secretsOf(before))
    const changed = after.filter(
      (manifest, index) => JSON.stringify(manifest) !== JSON.stringify(before[index]),
    )
    assert.deepEqual(
      changed.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      ['ConfigMap ase-a-upesi-tigerbeetle'],
    )
    const replicas = (manifests: readonly Manifest[]) =>
      find(manifests, 'ConfigMap', 'ase-a-upesi-tigerbeetle').data
    assert.deepEqual(replicas(before), { 'missing-file': 'format' })
    assert.deepEqual(replicas(after), { 'missing-file': 'recover' }, 'replicas that are there recover')
  })

  test('keeps it as well when nothing is to be made any more', async () => {
    const before = render(generated, { release, namespace, apiVersions })
    const after = await upgraded(before, over(generated, { secrets: { generate: false } }))
    assert.deepEqual(secretsOf(after), secretsOf(before))
    for (const { metadata } of ofKind(after, 'Secret'))
      if (metadata.annotations?.['helm.sh/hook'] === undefined)
        assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep', metadata.name)
  })

  test('makes no key for a node that has derived its own so far', async () => {
    const before = render(least, { release, namespace, apiVersions })
    const after = await upgraded(before, over(least, { secrets: { generate: true } }))
    for (const side of ['backend', 'auth']) {
      const names = Object.keys(dataOf(find(after, 'Secret', `ase-a-upesi-${side}`)))
      assert.deepEqual(names, Object.keys(dataOf(find(before, 'Secret', `ase-a-upesi-${side}`))))
    }
    assert.deepEqual(
      ofKind(after, 'Secret').filter(({ metadata }) => metadata.name.endsWith('-keys')),
      [],
    )
    assert.equal(find(after, 'ConfigMap', 'ase-a-upesi-backend').data.PRIVATE_KEY_FILE, undefined)
  })
})
