import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { createDb, type DbPool } from './db.ts'
import { createListener, type Listener } from './listener.ts'
import { silentLogger } from './silent-log.ts'
import { sql } from './sql.ts'

let database: TestDatabase
let db: DbPool
let listener: Listener
const warnings: string[] = []
const note = ({ message }: Error) => warnings.push(message)
before(async () => {
  process.on('warning', note)
  database = await createTestDatabase('empty')
  db = createDb({ connectionString: database.connectionString })
  listener = createListener({ connectionString: database.connectionString, log: silentLogger })
})
after(async () => {
  await listener.close()
  await db.close()
  await database.drop()
  process.off('warning', note)
})

const until = async (what: string, holds: () => boolean) => {
  const end = Date.now() + 10_000
  while (!holds()) {
    assert.ok(Date.now() < end, what)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What a channel has heard; `undefined` for the beginning of listening. */
const hear = (channel: string) => {
  const heard: (string | undefined)[] = []
  listener.listen(channel, (payload) => heard.push(payload))
  return heard
}
const notify = (channel: string, text: string) => db.execute(sql`select pg_notify(${channel}, ${text})`)

test('channels that are asked for at once are all heard, by one statement at a time', async () => {
  const first = hear('first')
  await until('connected', () => first.length > 0)
  const channels = Array.from({ length: 8 }, (_, index) => `channel_${index}`)
  const heard = channels.map(hear)
  await until('all listened to', () => heard.every((payloads) => payloads.length > 0))
  for (const channel of channels) await notify(channel, `to ${channel}`)
  await until('all heard', () => heard.every((payloads) => payloads.length > 1))
  for (const [index, payloads] of heard.entries())
    assert.deepEqual(payloads, [undefined, `to channel_${index}`])
  assert.deepEqual(first, [undefined], 'not what others are told')
  assert.deepEqual(warnings, [], 'a client with statements in a row warns')
})

test('after a lost connection all channels are asked for again, and told that something may have been missed', async () => {
  const heard = [hear('before_a'), hear('before_b')]
  await until('listened to', () => heard.every((payloads) => payloads.length > 0))
  await db.execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'upesi-listener'`,
  )
  await until('told', () => heard.every((payloads) => payloads.length > 1))
  await notify('before_b', 'again')
  await until('heard', () => heard[1]?.includes('again') === true)
  assert.deepEqual(warnings, [])
})

test('names that are no channels are refused', () => {
  for (const name of ['', 'a b', 'a;drop table x', 'A', '1a', 'a'.repeat(64)])
    assert.throws(() => listener.listen(name, () => undefined), TypeError)
})
