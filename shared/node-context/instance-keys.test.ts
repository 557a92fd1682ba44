import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createClientKeys, jwkOf, signRequest, verifyRequest } from '../http-signatures/index.ts'
import {
  ConfigError,
  createDb,
  createListener,
  createSecretBox,
  type DbPool,
  type HttpClient,
  type Listener,
  silentLogger,
  sql,
} from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock, waitFor } from '../testing/index.ts'
import { type InstanceKeyOptions, openInstanceKeys } from './instance-keys.ts'
import type { InstanceKeys } from './model.ts'

const OVERLAP = 600
const URL_OF_REQUEST = 'https://other.example/incoming-payments'

let database: TestDatabase
let db: DbPool
let listener: Listener
let folder: string
let clock = testClock()
const secretBox = createSecretBox('a secret')

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  listener = createListener({ connectionString: database.connectionString, log: silentLogger })
  folder = await mkdtemp(join(tmpdir(), 'upesi-keys-'))
})
after(async () => {
  await listener.close()
  await db.close()
  await database.drop()
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  clock = testClock()
  await db.execute(sql`delete from instance_keys`)
})

/** A process of the node, as it starts. */
const start = (keyId: string, options: Partial<InstanceKeyOptions> = {}): Promise<InstanceKeys> =>
  openInstanceKeys(
    { db, secretBox, clock, listener, log: silentLogger },
    { keyId, overlapSeconds: OVERLAP, ...options },
  )
const kids = (keys: InstanceKeys) => keys.published().map(({ kid }) => kid)
const heardOf = (keys: InstanceKeys, kid: string) => waitFor(async () => kids(keys).includes(kid))

let files = 0
async function fileOf(privateKey: KeyObject): Promise<string> {
  const file = join(folder, `${++files}.pem`)
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return file
}

/** Another bank, which keeps our keys for a minute, asks again for one that it does not know, and verifies what we sign. */
function otherBank(serve: () => InstanceKeys) {
  const http: HttpClient = {
    request: async () => ({
      status: 200,
      headers: {},
      body: Buffer.from(JSON.stringify({ keys: serve().published() })),
    }),
    effectiveUrl: (url) => url,
    close: async () => undefined,
  }
  const keys = createClientKeys({ http, clock })
  return async (signer: InstanceKeys): Promise<string> => {
    const { privateKey, keyId } = signer.current()
    const request = { method: 'POST' as const, url: URL_OF_REQUEST, body: '{}' }
    const created = Math.floor(clock.nowMs() / 1000)
    const headers = signRequest({ ...request, privateKey, keyId, created })
    verifyRequest({
      method: 'POST',
      targetUri: URL_OF_REQUEST,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
      ),
      rawBody: Buffer.from(request.body),
      jwk: await keys.get('https://bank.example/.well-known/pay', keyId),
      now: clock.now(),
      windowSeconds: 300,
    })
    return keyId
  }
}

describe('a new KEY_ID', () => {
  test('is published at once, signs after the overlap in every process, and ends the old one after another', async () => {
    const worker = await start('old')
    const server = await start('old')
    const verify = otherBank(() => server)
    const signedBy: string[] = []
    const pay = async () => signedBy.push(await verify(worker), await verify(server))
    await pay()

    const restarted = await start('new')
    assert.deepEqual(kids(restarted), ['new', 'old'])
    assert.equal(restarted.current().keyId, 'old', 'nobody knows the new one yet')
    // Neither of the others was restarted.
    for (const keys of [worker, server]) await heardOf(keys, 'new')
    for (let second = 0; second < 2 * OVERLAP + 120; second += 20) {
      await pay()
      await verify(restarted)
      clock.advance(20_000)
    }
    assert.equal(signedBy.at(0), 'old')
    assert.equal(signedBy.at(-1), 'new')
    assert.deepEqual([...new Set(signedBy)], ['old', 'new'], 'never back again')
    for (const keys of [worker, server, restarted]) assert.deepEqual(kids(keys), ['new'])
  })
  test('is never used before somebody who looked just before it was made has looked again', async () => {
    const keys = await start('old')
    const seen = new Set(kids(keys))
    await start('new')
    await heardOf(keys, 'new')
    for (let second = 0; second < OVERLAP; second++) {
      assert.ok(seen.has(keys.current().keyId), `after ${second} s`)
      clock.advance(1_000)
    }
    assert.equal(keys.current().keyId, 'new')
    assert.deepEqual(kids(keys), ['new', 'old'], 'what the old one signed is still under way')
  })
  test('with no overlap is used at once, and the old one is gone', async () => {
    const worker = await start('stolen')
    const restarted = await start('fresh', { overlapSeconds: 0 })
    await waitFor(async () => worker.current().keyId === 'fresh')
    for (const keys of [worker, restarted]) {
      assert.deepEqual(kids(keys), ['fresh'])
      assert.equal(keys.current().keyId, 'fresh')
    }
  })
  test('is made once by processes that start at once', async () => {
    await start('old')
    const all = await Promise.all([start('new'), start('new'), start('new')])
    clock.advance(OVERLAP * 1000)
    assert.equal(new Set(all.map((keys) => keys.current().jwk.x)).size, 1)
    assert.equal(await db.one((row) => Number(row.n), sql`select count(*) as n from instance_keys`), 2)
  })
  test('is not undone by a process that starts with the old one', async () => {
    await start('old')
    await start('new')
    clock.advance(OVERLAP * 1000)
    const late = await start('old')
    assert.equal(late.current().keyId, 'new')
  })
})

describe('key files', () => {
  const pair = () => generateKeyPairSync('ed25519').privateKey
  test('A19: a key file that is set and unusable stops the start; no other key takes its place', async () => {
    const wrongKind = generateKeyPairSync('x25519').privateKey
    const garbage = join(folder, 'garbage.pem')
    await writeFile(garbage, 'not a key')
    const refuse = (name: string, options: Partial<InstanceKeyOptions>) =>
      assert.rejects(start('a', options), (error) => {
        assert.ok(error instanceof ConfigError)
        assert.ok(error.problems[0]?.startsWith(`${name} `), error.message)
        return true
      })
    for (const file of [await fileOf(wrongKind), garbage, join(folder, 'absent.pem'), folder]) {
      await refuse('PRIVATE_KEY_FILE', { privateKeyFile: file })
      await refuse('PRIVATE_KEY_FILE_PREVIOUS', { previousKeyId: 'b', previousPrivateKeyFile: file })
    }
    assert.equal(await db.one((row) => Number(row.n), sql`select count(*) as n from instance_keys`), 0)
  })
  test('are not copied into the database', async () => {
    const privateKey = pair()
    const keys = await start('filed', { privateKeyFile: await fileOf(privateKey) })
    assert.deepEqual(keys.current().jwk, jwkOf(privateKey, 'filed'))
    const stored = await db.one((row) => JSON.stringify(row), sql`select * from instance_keys`)
    const { d = 'none' } = privateKey.export({ format: 'jwk' })
    assert.ok(!stored.includes(d) && stored.includes('"private_key_sealed":null'))
  })
  test('take over from the stored key after the overlap', async () => {
    const worker = await start('stored')
    const privateKey = pair()
    const restarted = await start('filed', { privateKeyFile: await fileOf(privateKey) })
    assert.equal(restarted.current().keyId, 'stored')
    await heardOf(worker, 'filed')
    clock.advance(OVERLAP * 1000)
    assert.deepEqual(restarted.current().jwk, jwkOf(privateKey, 'filed'))
    // This one has to be restarted, too; until the old key ends it still signs what others can verify.
    assert.equal(worker.current().keyId, 'stored')
    assert.deepEqual(kids(worker), ['filed', 'stored'])
  })
  test('that replace one another: the previous file signs until the new key is known', async () => {
    const files = { old: await fileOf(pair()), new: await fileOf(pair()) }
    await start('old', { privateKeyFile: files.old })
    const options = { privateKeyFile: files.new, previousKeyId: 'old', previousPrivateKeyFile: files.old }
    const restarted = await start('new', options)
    assert.equal(restarted.current().keyId, 'old')
    assert.deepEqual(kids(restarted), ['new', 'old'])
    clock.advance(OVERLAP * 1000)
    assert.equal(restarted.current().keyId, 'new')
  })
  test('that replace one another without the previous one: the new key signs at once, beside the old one', async () => {
    await start('old', { privateKeyFile: await fileOf(pair()) })
    const restarted = await start('new', { privateKeyFile: await fileOf(pair()) })
    assert.equal(restarted.current().keyId, 'new')
    assert.deepEqual(kids(restarted), ['new', 'old'])
  })
  test('under the same KEY_ID: the new key takes the place of the old one', async () => {
    await start('same', { privateKeyFile: await fileOf(pair()) })
    const privateKey = pair()
    const restarted = await start('same', { privateKeyFile: await fileOf(privateKey) })
    assert.deepEqual(restarted.published(), [jwkOf(privateKey, 'same')])
  })
  test('that are not given any more are not replaced by a key of the same name', async () => {
    await start('filed', { privateKeyFile: await fileOf(pair()) })
    await assert.rejects(
      start('filed'),
      (error) => error instanceof ConfigError && /PRIVATE_KEY_FILE/.test(error.message),
    )
  })
})

describe('a stored key', () => {
  test('is sealed, and does not open with another secret', async () => {
    const first = await start('sealed')
    assert.deepEqual((await start('sealed')).current().jwk, first.current().jwk)
    const stored = await db.one((row) => row.private_key_sealed as string, sql`select * from instance_keys`)
    assert.doesNotMatch(stored, /PRIVATE KEY/)
    const stranger = { db, secretBox: createSecretBox('two'), clock, listener, log: silentLogger }
    await assert.rejects(openInstanceKeys(stranger, { keyId: 'sealed', overlapSeconds: OVERLAP }), {
      code: 'secret_unreadable',
    })
  })
  test('of the release before, which kept its private half only, is published', async () => {
    const first = await start('older')
    await db.execute(sql`update instance_keys set public_jwk = null`)
    assert.deepEqual((await start('older')).published(), first.published())
  })
})
