import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createDb,
  createListener,
  type DbPool,
  rawSql,
  silentLogger,
  sql,
  systemClock,
} from '../platform/index.ts'
import {
  createTestDatabase,
  recordEffect,
  seededRandom,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  type Unruliness,
  unrulyBroker,
  waitFor,
} from '../testing/index.ts'
import { consumeQueue } from './consume-queue.ts'
import { relayJobs } from './relay.ts'
import { insertJobs, notifyJobs } from './store.ts'

/** An emulator in this process carries fewer. */
const JOBS = { postgres: 1_500, redis: 1_500, sqs: 300 }
const TENANTS = 7
const KILLS = 4
/** A busy machine must not decide: leases of a second end before their jobs there, and those are done again. */
const DRAIN_MS = 120_000

const unruly = (random: () => number): Unruliness => ({
  random,
  duplicate: 0.2,
  delay: 0.2,
  delayMs: 300,
  drop: 0.05,
  refuse: 0.05,
  repeat: 0.1,
})

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  // No key: an effect that happens twice is there twice.
  await db.execute(rawSql('create table effects (key uuid not null, by text not null)'))
})
after(async () => {
  await db.close()
  await database.drop()
})

/** Works slowly enough to be killed in the midst of it. */
const WORKER = `
  const { createDb, createListener, silentLogger, systemClock } = await import(process.env.PLATFORM)
  const { consumeQueue, openBroker } = await import(process.env.FACE)
  const { recordEffect } = await import(process.env.TESTING)
  const connectionString = process.env.DATABASE
  const db = createDb({ connectionString, poolSizeMax: 5 })
  const broker = await openBroker({ log: silentLogger }, JSON.parse(process.env.SETTINGS), 'webhooks')
  const effect = recordEffect(db, 'child')
  console.log('started')
  consumeQueue(
    { db, listener: createListener({ connectionString, log: silentLogger }), clock: systemClock, log: silentLogger, ...(broker && { broker }) },
    [{
      queue: 'webhooks', concurrency: 40, idleMs: 50, leaseSeconds: 1,
      async handler(job) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
        const outcome = await effect(job)
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
        return outcome
      },
    }],
    { visibilitySeconds: 1 },
  )`

function startChild(broker: TestBroker | undefined): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', WORKER], {
    env: {
      ...process.env,
      ...broker?.environment,
      FACE: import.meta.resolve('./index.ts'),
      TESTING: import.meta.resolve('../testing/record-effect.ts'),
      PLATFORM: import.meta.resolve('../platform/index.ts'),
      SETTINGS: JSON.stringify(broker?.settings ?? { queueDriver: 'postgres' }),
      DATABASE: database.connectionString,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

for (const kind of ['postgres', 'redis', 'sqs'] as const)
  test(`chaos on ${kind}: every job's effect happens exactly once`, async (t) => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
    t.diagnostic(`SEED=${seed}`)
    const random = seededRandom(seed)
    const broker = kind === 'postgres' ? undefined : await startTestBroker(kind)
    if (kind === 'redis' && !broker) return t.skip('redis-server is not installed')
    await db.execute(rawSql('truncate effects'))
    const connectionString = database.connectionString
    const open = async () => broker && unrulyBroker(await broker.open('webhooks'), unruly(random))
    const listener = () => createListener({ connectionString, log: silentLogger })
    const parts: { close(): Promise<void> }[] = []
    // Also after a failure: what stays open keeps the process alive.
    t.after(async () => {
      for (const part of parts.reverse()) await part.close()
      await broker?.stop()
    })
    const use = <T extends { close(): Promise<void> }>(part: T): T => {
      parts.push(part)
      return part
    }
    const ctx = () => ({ db, listener: use(listener()), clock: systemClock, log: silentLogger })

    for (let relay = 0; relay < 2; relay++) {
      const own = await open()
      if (own)
        use(
          relayJobs(ctx(), {
            routes: [{ queue: 'webhooks', broker: own }],
            idleMs: 100,
            republishSeconds: 2,
          }),
        )
    }
    const count = JOBS[kind]
    const jobs = sql`select md5('chaos' || n)::uuid, md5('tenant' || n % ${TENANTS}::int)::uuid from generate_series(1, ${count}::int) n`
    await db.execute(
      sql`with job as (${insertJobs('webhooks', jobs)}) select ${notifyJobs('webhooks')} from job limit 1`,
    )

    const workedByChildren = () =>
      db.one((row) => Number(row.count), sql`select count(*) from effects where by = 'child'`)
    for (let kill = 0; kill < KILLS; kill++) {
      const child = startChild(broker)
      const exited = once(child, 'exit')
      await once(child.stdout!, 'data')
      // The first has worked, however slowly it came to that; the others may.
      if (kill === 0) await waitFor(async () => (await workedByChildren()) > 0, DRAIN_MS)
      await sleep(kill === 0 ? random() * 200 : 300 + random() * 400)
      child.kill('SIGKILL')
      await exited
      if (kill % 2 === 0) await broker?.purge()
    }
    const own = await open()
    const effect = recordEffect(db, 'parent')
    use(
      consumeQueue(
        { ...ctx(), ...(own && { broker: own }) },
        [
          {
            queue: 'webhooks',
            concurrency: 20,
            idleMs: 50,
            leaseSeconds: 1,
            handler: async (job) => {
              if (random() < 0.05) throw new Error('not now')
              await sleep(random() * 10)
              return await effect(job)
            },
          },
        ],
        { visibilitySeconds: 1 },
      ),
    )
    const left = sql`select count(*) from jobs`
    await waitFor(async () => (await db.one((row) => Number(row.count), left)) === 0, DRAIN_MS)
    const [counts] = await db.many(
      (row) => row,
      sql`select count(*)::int as effects, count(distinct key)::int as keys, count(*) filter (where by = 'child')::int as children from effects`,
    )
    assert.deepEqual([counts?.effects, counts?.keys], [count, count])
    assert.ok(counts?.children > 0, 'those who were killed had worked')
    return undefined
  })
