import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, Socket } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
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

const message = (type: string, body: Buffer) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}
const READY = message('Z', Buffer.from('I'))
const WELCOME = Buffer.concat([message('R', Buffer.alloc(4)), READY])
const LISTENING = Buffer.concat([message('C', Buffer.from('LISTEN\0')), READY])
const REFUSED = Buffer.concat([
  message('E', Buffer.from('SERROR\0C25006\0Mcannot execute LISTEN during recovery\0\0')),
  READY,
])

/** Speaks as much of PostgreSQL's protocol as a listener hears; `answer` is asked at the beginning of a connection and for each statement. */
async function startServer(t: TestContext, answer: (asked: 'connect' | 'listen') => Buffer | undefined) {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined).on('close', () => open.delete(socket))
    let isNew = true
    socket.on('data', (data) => {
      const asked = isNew ? 'connect' : data[0] === 'Q'.charCodeAt(0) ? 'listen' : undefined
      isNew = false
      const said = asked && answer(asked)
      if (said) socket.write(said)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { open, connectionString: `postgresql://somebody@127.0.0.1:${port}/any` }
}

test('a server that lets nobody listen, as a standby, is asked again, over one connection at a time', async (t) => {
  let refusals = 0
  const { open, connectionString } = await startServer(t, (asked) => {
    if (asked === 'connect') return WELCOME
    return refusals++ < 3 ? REFUSED : LISTENING
  })
  const standby = createListener({ connectionString, log: silentLogger })
  const heard: unknown[] = []
  standby.listen('any', (payload) => heard.push(payload))
  await until('listened to', () => heard.length > 0)
  await until('others closed', () => open.size === 1)
  assert.equal(refusals, 4)
  await standby.close()
})

test('a server that takes a connection and never answers is given up: another one is tried, and closing ends', async (t) => {
  let connections = 0
  const { open, connectionString } = await startServer(t, (asked) => {
    if (asked === 'listen') return LISTENING
    return connections++ === 0 ? undefined : WELCOME
  })
  const patient = createListener({ connectionString, log: silentLogger })
  const heard: unknown[] = []
  patient.listen('any', (payload) => heard.push(payload))
  await until('listened to', () => heard.length > 0)
  await patient.close()
  connections = 0
  const hasty = createListener({ connectionString, log: silentLogger })
  await until('connected', () => connections === 1)
  await hasty.close()
  await until('closed', () => open.size === 0)
})

test('whoever asks for a channel later, and is refused, is heard by the next connection', async (t) => {
  let connections = 0
  let refusals = 0
  const { open, connectionString } = await startServer(t, (asked) => {
    if (asked === 'connect') connections++
    if (asked === 'connect') return WELCOME
    return refusals++ === 0 ? REFUSED : LISTENING
  })
  const warnings: unknown[] = []
  const log = { ...silentLogger, warn: (about: unknown) => void warnings.push(about) }
  const late = createListener({ connectionString, log })
  await until('connected', () => connections === 1)
  // Its own answer has to come first.
  await new Promise((resolve) => setTimeout(resolve, 500))
  const heard: unknown[] = []
  late.listen('any', (payload) => heard.push(payload))
  await until('listened to', () => heard.length > 0)
  assert.equal(connections, 2)
  await until('the first closed', () => open.size === 1)
  assert.equal(warnings.length, 1)
  await late.close()
})

test('a server that goes silent while it is asked to let listen is given up, too', async (t) => {
  let asked = 0
  const { open, connectionString } = await startServer(t, (what) => {
    if (what === 'connect') return WELCOME
    return asked++ === 0 ? undefined : LISTENING
  })
  const patient = createListener({ connectionString, log: silentLogger })
  const heard: unknown[] = []
  patient.listen('any', (payload) => heard.push(payload))
  await until('listened to', () => heard.length > 0)
  assert.equal(open.size, 1)
  await patient.close()
})

test('the system is told to look whether a silent connection is still there, long before it would by itself', async (t) => {
  const { connectionString } = await startServer(t, (asked) => (asked === 'connect' ? WELCOME : LISTENING))
  const told = t.mock.method(Socket.prototype, 'setKeepAlive')
  const attentive = createListener({ connectionString, log: silentLogger })
  const heard: unknown[] = []
  attentive.listen('any', (payload) => heard.push(payload))
  await until('listened to', () => heard.length > 0)
  await attentive.close()
  const pool = createDb({ connectionString: database.connectionString })
  await pool.execute(sql`select 1`)
  await pool.close()
  assert.deepEqual(
    told.mock.calls.map(({ arguments: given }) => given),
    [
      [true, 15_000],
      [true, 15_000],
    ],
  )
})

test('names that are no channels are refused', () => {
  for (const name of ['', 'a b', 'a;drop table x', 'A', '1a', 'a'.repeat(64)])
    assert.throws(() => listener.listen(name, () => undefined), TypeError)
})
