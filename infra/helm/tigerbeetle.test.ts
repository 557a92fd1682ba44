import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { least } from './base-values.ts'
import { at, over, render, type Values, withoutHelm } from './render.ts'
import { rendered } from './rendered-variants.ts'
import { find, workloadsOf } from './workloads.ts'

const skip = withoutHelm

describe('replicas of TigerBeetle', { skip }, () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'upesi-tigerbeetle-'))
    const program = (name: string, text: string) => {
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
      chmodSync(join(folder, name), 0o755)
    }
    // Writes what it was told, as far as it comes.
    program('tigerbeetle', 'for file in "$@"; do :; done; echo "$*" > "$file"; [ -z "$STATUS" ]')
    program(
      'getent',
      'case "$2" in *-0) echo "10.0.0.10 $2";; *-1) echo "10.0.0.11 $2";; *-2) echo "10.0.0.12 $2";; esac',
    )
    program('sync', ':')
  })
  after(() => rmSync(folder, { recursive: true }))

  /** The init container's script, on a volume of ours. */
  const start = (missing: string, env: Record<string, string> = {}) => {
    const { spec } =
      workloadsOf([find(rendered('TigerBeetle'), 'StatefulSet', 'ase-a-upesi-tigerbeetle')])[0] ?? {}
    const [container] = spec?.initContainers ?? []
    const script = container?.args?.[0]
      ?.replaceAll('/data/', `${folder}/`)
      .replaceAll('/tigerbeetle ', `${folder}/tigerbeetle `)
    return spawnSync('sh', ['-c', script ?? 'exit 9'], {
      encoding: 'utf8',
      env: { PATH: `${folder}:${process.env.PATH}`, REPLICA: '1', MISSING: missing, ...env },
    })
  }
  const file = () => join(folder, '117_1.tigerbeetle')
  const content = () => readFileSync(file(), 'utf8').trim()

  test('each formats its file once, and one that is there stays', () => {
    assert.equal(start('format').status, 0)
    assert.equal(content(), `format --cluster=117 --replica=1 --replica-count=3 ${file()}.new`)
    writeFileSync(file(), 'money')
    for (const missing of ['format', 'recover']) {
      assert.equal(start(missing).status, 0)
      assert.equal(content(), 'money')
    }
    rmSync(file())
  })

  test('one that lost its file asks the others, and forgets nothing that it promised', () => {
    const { status, stdout } = start('recover')
    assert.equal(status, 0)
    assert.match(stdout, /is recovered from the other replicas/)
    const addresses = '10.0.0.10:3000,0.0.0.0:3000,10.0.0.12:3000'
    assert.equal(
      content(),
      `recover --cluster=117 --replica=1 --replica-count=3 --addresses=${addresses} ${file()}.new`,
    )
    rmSync(file())
  })

  test('a file that was half written when its pod ended is no file', () => {
    for (const missing of ['format', 'recover']) {
      assert.notEqual(start(missing, { STATUS: '1' }).status, 0)
      assert.equal(existsSync(file()), false)
      assert.equal(start(missing).status, 0)
      assert.match(content(), new RegExp(`^${missing} `))
      rmSync(file())
    }
  })

  test('what a replica without a file does can be said, and is read when its pod starts', () => {
    const missing = (values: Values) =>
      find(
        render(over(least, { tigerbeetle: { enabled: true, clusterId: '117' } }, values)),
        'ConfigMap',
        'ase-a-upesi-tigerbeetle',
      ).data
    assert.deepEqual(missing({}), { 'missing-file': 'format' })
    assert.deepEqual(missing(at('tigerbeetle.format', true)), { 'missing-file': 'format' })
    assert.deepEqual(missing(at('tigerbeetle.format', false)), { 'missing-file': 'recover' })
    const statefulSet = (format: boolean) =>
      find(
        render(over(least, { tigerbeetle: { enabled: true, clusterId: '117', format } })),
        'StatefulSet',
        'ase-a-upesi-tigerbeetle',
      )
    assert.deepEqual(statefulSet(true), statefulSet(false), 'a change replaces no pod')
  })

  test('nobody waits for the end of one, which hears of it only by being killed', () => {
    const set = find(rendered('TigerBeetle'), 'StatefulSet', 'ase-a-upesi-tigerbeetle')
    assert.ok(set.spec.template.spec.terminationGracePeriodSeconds <= 5)
  })

  test('each has an address of its own, and a volume that outlives the release', () => {
    const manifests = rendered('TigerBeetle')
    const addresses = find(manifests, 'ConfigMap', 'ase-a-upesi-backend').data.TIGERBEETLE_REPLICA_ADDRESSES
    for (const address of addresses.split(',')) {
      const [name] = address.split(':')
      assert.equal(find(manifests, 'Service', name).spec.ports[0].port, 3000)
    }
    const { spec } = find(manifests, 'StatefulSet', 'ase-a-upesi-tigerbeetle')
    assert.deepEqual(spec.persistentVolumeClaimRetentionPolicy, {
      whenDeleted: 'Retain',
      whenScaled: 'Retain',
    })
  })
})
