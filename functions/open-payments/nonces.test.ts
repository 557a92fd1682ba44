import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../../shared/testing/index.ts'
import { createNonces } from './nonces.ts'

const clock = testClock()
let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await db.close()
  await database.drop()
})
const count = () => db.one((row) => Number(row.count), sql`select count(*) as count from used_signatures`)

test('a nonce is good for one request, however many come at once', async () => {
  const nonces = createNonces({ db, clock })
  const expiresAt = clock.fromNow(300_000)
  const claims = await Promise.all(Array.from({ length: 20 }, () => nonces.claim('key:nonce', expiresAt)))
  assert.equal(claims.filter(Boolean).length, 1)
  assert.equal(await nonces.claim('key:nonce', expiresAt), false)
  assert.equal(await nonces.claim('key:other', expiresAt), true)
})

test('what has expired is forgotten, and may be used again', async () => {
  const nonces = createNonces({ db, clock })
  for (let number = 0; number < 5; number++) await nonces.claim(`old:${number}`, clock.fromNow(1_000))
  clock.advance(2_000)
  assert.equal(await nonces.claim('old:0', clock.fromNow(1_000)), true)
  const before = await count()
  clock.advance(2_000)
  assert.equal(await nonces.claim('new', clock.fromNow(1_000)), true)
  assert.ok((await count()) <= before, 'the old ones made room')
  assert.equal(await nonces.claim('new', clock.fromNow(1_000)), false)
})
