import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { createTestDatabase, startDatabaseProxy, type TestDatabase } from '../testing/index.ts'
import { createDb, type DbPool } from './db.ts'
import { createTrustedHttp } from './http-client.ts'
import { sql } from './sql.ts'
import { createStandstill } from './standstill.ts'

test('what may have ended is looked after when nobody has done anything for a while, or may have', async () => {
  let nowMs = 0
  let recovered = 0
  const standstill = createStandstill(
    async () => recovered++,
    () => nowMs,
  )
  const invokeAt = async (ms: number) => {
    nowMs = ms
    await standstill.begin()
    standstill.end()
    return recovered
  }
  assert.equal(await invokeAt(4_999), 0)
  assert.equal(await invokeAt(9_998), 0)
  assert.equal(await invokeAt(14_998), 1)
  assert.equal(await invokeAt(14_997), 2, 'a clock that was set back does not say for how long')
})

describe('connections that were forgotten on the way', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase('empty')
  })
  after(() => database.drop())

  const useTwo = (db: DbPool) =>
    Promise.allSettled([1, 2].map(() => db.execute(sql`select pg_sleep(0.05)`))).then((results) =>
      results.map(({ status }) => status),
    )

  test('idle ones to the database are given up before anybody uses them', async () => {
    const proxy = await startDatabaseProxy(database.connectionString)
    const db = createDb({ connectionString: proxy.connectionString, poolSizeMax: 2 })
    try {
      await useTwo(db)
      proxy.forget()
      assert.deepEqual(await useTwo(db), ['rejected', 'rejected'], 'as it is without')
      await useTwo(db)
      proxy.forget()
      await db.dropDead()
      assert.deepEqual(await useTwo(db), ['fulfilled', 'fulfilled'])
    } finally {
      await db.close()
      await proxy.close()
    }
  })

  test('one that only stays silent is not waited for', async () => {
    const proxy = await startDatabaseProxy(database.connectionString)
    const db = createDb({ connectionString: proxy.connectionString, poolSizeMax: 1 })
    try {
      await db.execute(sql`select 1`)
      proxy.mode = 'hold'
      await db.dropDead()
      proxy.mode = 'pass'
      await db.execute(sql`select 1`)
    } finally {
      await db.close()
      await proxy.close()
    }
  })

  test('those of requests are used no more, and what is under way on them ends', async () => {
    let connections = 0
    let answer: (() => void) | undefined
    const server = createServer((request, response) => {
      if (request.url === '/slow') answer = () => response.end('slow')
      else response.end('ok')
    })
    server.on('connection', () => connections++)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const base = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
    const http = createTrustedHttp()
    const ask = (path: string) => http.request({ method: 'GET', url: `${base}${path}`, timeoutMs: 5_000 })
    try {
      await ask('/')
      await new Promise(setImmediate)
      const before = connections
      const slow = ask('/slow')
      while (!answer) await new Promise((resolve) => setTimeout(resolve, 5))
      assert.equal(connections, before)
      http.renew()
      answer()
      assert.equal((await slow).body.toString(), 'slow')
      await ask('/')
      assert.equal(connections, before + 1)
    } finally {
      await http.close()
      server.close()
    }
  })
})
