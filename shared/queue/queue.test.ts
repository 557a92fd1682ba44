import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import {
  createDb,
  createListener,
  type DbPool,
  deriveId,
  Fault,
  type Listener,
  type Logger,
  rawSql,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock, waitFor } from '../testing/index.ts'
import { type ConsumeOptions, type Consumer, consumeJobs } from './consume-jobs.ts'
import { LeaseLost } from './errors.ts'
import { backOffMs, type Job, type JobOutcome } from './model.ts'
import { claimJobs, enqueueJob, holdLease, insertJobs, notifyJobs } from './store.ts'

let database: TestDatabase
let db: DbPool
const toClose: { close(): Promise<void> }[] = []
const done: JobOutcome = { status: 'done' }
/** Notes a run and is done. */
const note = <T>(seen: T[], value: T): JobOutcome => {
  seen.push(value)
  return done
}
const tenantOfOrdered = deriveId('tenant', 'ordered')
const silent: Listener = { listen: () => undefined, close: async () => undefined }

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
})
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
  await db.execute(sql`delete from jobs`)
})
after(async () => {
  await db.close()
  await database.drop()
})

/** A worker as another process would be: with connections of its own. */
function startWorker(
  options: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'handler'>,
  parts: { listener?: Listener; clock?: typeof systemClock; log?: Logger; onClaim?: () => void } = {},
): Consumer {
  const connections = createDb({ connectionString: database.connectionString, poolSizeMax: 5 })
  const pool: DbPool = {
    ...connections,
    async many(map, query) {
      const rows = await connections.many(map, query)
      parts.onClaim?.()
      return rows
    },
  }
  const listener =
    parts.listener ?? createListener({ connectionString: database.connectionString, log: silentLogger })
  const consumer = consumeJobs(
    { db: pool, listener, clock: parts.clock ?? systemClock, log: parts.log ?? silentLogger },
    { queue: 'webhooks', concurrency: 10, idleMs: 10_000, leaseSeconds: 30, ...options },
  )
  toClose.push(pool, listener, consumer)
  return consumer
}

const enqueueMany = (count: number, tenantId?: string) =>
  db.execute(sql`
    with job as (${insertJobs('webhooks', sql`select gen_random_uuid(), ${tenantId ?? null}::uuid from generate_series(1, ${count}::int)`)})
    select ${notifyJobs('webhooks')} from job`)
const jobsLeft = () => db.one((row) => Number(row.count), sql`select count(*) from jobs`)
/** Which listeners are ready cannot be seen from outside, so tests of waking first see one job through. */
const warmUp = async (seen: readonly unknown[]) => {
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  await waitFor(() => seen.length === 1 || undefined)
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
}

test('two workers drain thousands of jobs and never hold one at the same time', async () => {
  const inFlight = new Set<string>()
  const runs = new Map<string, number>()
  let overlaps = 0
  const handler = async (job: Job) => {
    if (inFlight.has(job.key)) overlaps++
    inFlight.add(job.key)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
    inFlight.delete(job.key)
    runs.set(job.key, (runs.get(job.key) ?? 0) + 1)
    return done
  }
  startWorker({ handler, concurrency: 50 })
  startWorker({ handler, concurrency: 50 })
  await enqueueMany(3_000)
  await waitFor(() => runs.size === 3_000 || undefined, 60_000)
  assert.equal(overlaps, 0)
  assert.deepEqual(new Set(runs.values()), new Set([1]))
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
})

test('many jobs of one statement have times of their own; who asks for the same ones in another order is not waited for in a circle', async () => {
  const keys = Array.from({ length: 200 }, (_, index) => deriveId('ordered', index))
  const at = (index: number) => new Date(Date.UTC(2027, 0, 1) + index * 1000)
  const ask = (asked: readonly string[]) =>
    db.execute(sql`
      with job as (${insertJobs(
        'webhooks',
        sql`select * from unnest(${asked}::uuid[], ${asked.map(() => tenantOfOrdered)}::uuid[],
          ${asked.map((key) => at(keys.indexOf(key)))}::timestamptz[]) as r (key, tenant_id, at)`,
        rawSql('source.at'),
      )}) select ${notifyJobs('webhooks')} from job`)
  for (let round = 0; round < 25; round++)
    await Promise.all([ask(keys), ask([...keys].reverse()), ask(keys), ask([...keys].reverse())])
  const rows = await db.many(
    (row) => ({ key: row.key as string, at: row.run_at as Date, requested: row.requested as bigint }),
    sql`select key, run_at, requested from jobs`,
  )
  assert.equal(rows.length, keys.length)
  for (const row of rows) {
    assert.deepEqual(row.at, at(keys.indexOf(row.key)))
    assert.equal(row.requested, 100n)
  }
})

test('F20: a notification wakes an idle worker within milliseconds', async () => {
  const seen: number[] = []
  startWorker({ handler: async () => note(seen, performance.now()), idleMs: 60_000 })
  await warmUp(seen)
  const delays: number[] = []
  for (let index = 2; index <= 6; index++) {
    const asked = performance.now()
    await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
    await waitFor(() => seen.length === index || undefined)
    delays.push((seen.at(-1) ?? 0) - asked)
  }
  const best = Math.min(...delays)
  assert.ok(best < 100, `the quickest of five took ${best} ms`)
})

test('the more is in flight, the more notifications go into one claim', async () => {
  const pool = createDb({ connectionString: database.connectionString })
  let claims = 0
  const counting: DbPool = {
    ...pool,
    many: (map, query) => {
      claims++
      return pool.many(map, query)
    },
  }
  const listener = createListener({ connectionString: database.connectionString, log: silentLogger })
  const hold = Promise.withResolvers<void>()
  let begun = 0
  const consumer = consumeJobs(
    { db: counting, listener, clock: systemClock, log: silentLogger },
    {
      queue: 'webhooks',
      concurrency: 200,
      idleMs: 10_000,
      leaseSeconds: 30,
      handler: async () => {
        begun++
        await hold.promise
        return done
      },
    },
  )
  toClose.push(pool, listener, consumer)
  await enqueueMany(20)
  await waitFor(() => begun === 20 || undefined)
  claims = 0
  for (let index = 0; index < 60; index++) {
    await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await waitFor(() => begun === 80 || undefined)
  hold.resolve()
  assert.ok(claims <= 40, `${claims} claims for 60 notifications in a row`)
})

test('F20: without notifications the safety poll finds work', async () => {
  const seen: Job[] = []
  let claims = 0
  const onClaim = () => claims++
  startWorker({ handler: async (job) => note(seen, job), idleMs: 200 }, { listener: silent, onClaim })
  // It has looked and found nothing.
  await waitFor(() => claims >= 1)
  const key = uuidv7()
  await enqueueJob(db, { queue: 'webhooks', key, tenantId: deriveId('tenant') })
  await waitFor(() => seen.length === 1 || undefined)
  assert.equal(seen[0]?.key, key)
  assert.equal(seen[0]?.tenantId, deriveId('tenant'))
  assert.equal(seen[0]?.attempts, 1)
})

test('F20: a worker sleeps until the next job is due, not until the next poll', async () => {
  const seen: number[] = []
  startWorker({ handler: async () => note(seen, performance.now()), idleMs: 60_000 })
  await warmUp(seen)
  const asked = performance.now()
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7(), runAt: new Date(Date.now() + 200) })
  await waitFor(() => seen.length === 2 || undefined)
  const delay = (seen[1] ?? 0) - asked
  // Polls are a minute apart.
  assert.ok(delay >= 190 && delay < 20_000, `ran after ${delay} ms`)
})

// One at a time, and so many that one claim takes several.
for (const concurrency of [1, 40])
  test(`F22: jobs run oldest first, across tenants, ${concurrency} at once`, async () => {
    const order: string[] = []
    const keys = Array.from({ length: 20 }, (_, index) => deriveId('fifo', index))
    for (const [index, key] of keys.entries()) {
      const runAt = new Date(Date.UTC(2020, 0, 1) + index * 1000)
      await enqueueJob(db, { queue: 'webhooks', key, runAt, tenantId: deriveId('tenant', index % 3) })
    }
    startWorker({ handler: async (job) => note(order, job.key), concurrency })
    await waitFor(() => order.length === 20 || undefined)
    assert.deepEqual(order, keys)
  })

test('F22: under constant overload no job waits while younger ones are begun', async () => {
  const CONCURRENCY = 4
  const begun: number[] = []
  const numbers = new Map<string, number>()
  for (const _ of [1, 2])
    startWorker({
      concurrency: CONCURRENCY,
      idleMs: 100,
      handler: async ({ key }) => {
        begun.push(numbers.get(key) ?? Number.NaN)
        await new Promise((resolve) => setTimeout(resolve, 5))
        return done
      },
    })
  // Twice as many as both can do, for a while.
  const until = Date.now() + 2_000
  let next = 0
  while (Date.now() < until) {
    const keys = Array.from({ length: 10 }, () => uuidv7())
    for (const key of keys) numbers.set(key, next++)
    for (const key of keys) await enqueueJob(db, { queue: 'webhooks', key })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await waitFor(async () => begun.length === next && (await jobsLeft()) === 0, 20_000)
  const late = begun.map((number, place) => place - number)
  // What is claimed at once may begin in any order; each worker claims at most what it has places for.
  assert.ok(Math.max(...late) <= 3 * CONCURRENCY, `${Math.max(...late)} younger ones went first`)
})

test('F37: a job that is asked for while it runs runs once more, also when both happen at the same moment', async () => {
  const key = uuidv7()
  let runs = 0
  let gate = Promise.withResolvers<void>()
  const letGo = () => gate.resolve()
  startWorker({
    handler: async () => {
      gate = Promise.withResolvers<void>()
      runs++
      await gate.promise
      return done
    },
  })
  await enqueueJob(db, { queue: 'webhooks', key })
  await waitFor(() => runs === 1 || undefined)
  await enqueueJob(db, { queue: 'webhooks', key })
  letGo()
  await waitFor(() => runs === 2 || undefined)
  // The request holds the row while the worker wants to delete it.
  await db.tx(async (tx) => {
    await enqueueJob(tx, { queue: 'webhooks', key })
    letGo()
    await new Promise((resolve) => setTimeout(resolve, 50))
  })
  await waitFor(() => runs === 3 || undefined)
  letGo()
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
})

test('a job that is asked for twice before it runs runs once, at the earlier time', async () => {
  const seen: Job[] = []
  const key = uuidv7()
  await enqueueJob(db, { queue: 'webhooks', key, runAt: new Date(Date.now() + 3_600_000) })
  await enqueueJob(db, { queue: 'webhooks', key })
  startWorker({ handler: async (job) => note(seen, job) })
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
  assert.deepEqual(
    seen.map(({ requested }) => requested),
    [2n],
  )
})

test('F37: a worker that lost its lease cannot record', async () => {
  const key = uuidv7()
  const recorded: string[] = []
  const refused: unknown[] = []
  const late: (() => void)[] = []
  const worker = (name: string, wait: boolean) =>
    startWorker({
      leaseSeconds: 3_600,
      // The slow one has its hands full: it must not be the one that takes the job over.
      concurrency: wait ? 1 : 10,
      handler: async (job) => {
        if (wait) await new Promise<void>((resolve) => late.push(resolve))
        await db.tx(async (tx) => {
          await holdLease(tx, job).catch((error: unknown) => {
            refused.push(error)
            throw error
          })
          recorded.push(name)
        })
        return done
      },
    })
  worker('slow', true)
  await enqueueJob(db, { queue: 'webhooks', key })
  await waitFor(() => late.length === 1 || undefined)
  // The slow worker's process stood still for longer than its lease.
  await db.execute(sql`update jobs set lease_until = now() - interval '1 second'`)
  worker('quick', false)
  await waitFor(() => recorded.length === 1 || undefined)
  late[0]?.()
  await waitFor(() => refused.length === 1 || undefined)
  assert.deepEqual(recorded, ['quick'])
  assert.ok(refused[0] instanceof LeaseLost)
  assert.equal(refused[0].code, 'lease_lost')
})

test('F37: a late result of a worker that lost its lease changes nothing', async () => {
  const key = uuidv7()
  const late: (() => void)[] = []
  startWorker({
    leaseSeconds: 3_600,
    handler: async () => {
      await new Promise<void>((resolve) => late.push(resolve))
      return done
    },
  })
  await enqueueJob(db, { queue: 'webhooks', key })
  await waitFor(() => late.length === 1 || undefined)
  await db.execute(
    sql`update jobs set lease_token = lease_token + 1, lease_until = now() + interval '1 hour'`,
  )
  late[0]?.()
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(await jobsLeft(), 1)
})

test('leases are extended while a handler works', async () => {
  let runs = 0
  const handler = async () => {
    runs++
    await new Promise((resolve) => setTimeout(resolve, 700))
    return done
  }
  startWorker({ handler, leaseSeconds: 0.3, idleMs: 30 })
  startWorker({ handler, leaseSeconds: 0.3, idleMs: 30 })
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  await waitFor(async () => (runs > 0 && (await jobsLeft()) === 0) || undefined)
  assert.equal(runs, 1)
})

/** Takes jobs and never ends them. */
const STUCK_WORKER = `
  const { createDb, createListener, silentLogger, systemClock } = await import(process.env.PLATFORM)
  const { consumeJobs } = await import(process.env.QUEUE)
  const connectionString = process.env.DATABASE
  consumeJobs(
    { db: createDb({ connectionString }), listener: createListener({ connectionString, log: silentLogger }), clock: systemClock, log: silentLogger },
    { queue: 'webhooks', concurrency: 10, idleMs: 50, leaseSeconds: 0.5, handler: () => new Promise(() => {}) },
  )`

test('F31: the jobs of a killed process run in another', async () => {
  await enqueueMany(5)
  const child = spawn(process.execPath, ['--input-type=module', '-e', STUCK_WORKER], {
    env: {
      PLATFORM: import.meta.resolve('../platform/index.ts'),
      QUEUE: import.meta.resolve('./index.ts'),
      DATABASE: database.connectionString,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  try {
    const leased = sql`select count(*) from jobs where lease_token > 0`
    await waitFor(async () => (await db.one((row) => Number(row.count), leased)) === 5 || undefined)
    // While it lives it keeps its leases, however long it takes.
    const seen: Job[] = []
    startWorker({ handler: async (job) => note(seen, job), idleMs: 20 })
    await new Promise((resolve) => setTimeout(resolve, 800))
    assert.equal(seen.length, 0)
    child.kill('SIGKILL')
    await waitFor(async () => (await jobsLeft()) === 0 || undefined)
    assert.equal(seen.length, 5)
    assert.ok(seen.every(({ attempts }) => attempts === 2))
  } finally {
    child.kill('SIGKILL')
    await exited
  }
})

test('F31: work of a worker that died runs elsewhere when the lease ends', async () => {
  const key = uuidv7()
  await enqueueJob(db, { queue: 'webhooks', key })
  await db.execute(
    sql`update jobs set lease_token = 1, attempts = 1, lease_until = now() + interval '200 milliseconds'`,
  )
  const seen: Job[] = []
  startWorker({ handler: async (job) => note(seen, job), idleMs: 50 })
  await waitFor(() => seen.length === 1 || undefined)
  assert.equal(seen[0]?.attempts, 2)
  assert.equal(seen[0]?.leaseToken, 2n)
})

test('F32: what a worker holds whose clock is minutes off, nobody else takes', async () => {
  for (const ms of [-300_000, 300_000]) {
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const handler = async () => {
      runs++
      await gate.promise
      return done
    }
    const clock = {
      ...systemClock,
      now: () => new Date(Date.now() + ms),
      nowMs: () => Date.now() + ms,
      fromNow: (after: number) => new Date(Date.now() + ms + after),
    }
    try {
      startWorker({ handler }, { clock })
      await enqueueMany(5)
      await waitFor(() => runs === 5)
      let claims = 0
      const onClaim = () => claims++
      startWorker({ handler, idleMs: 20 }, { onClaim })
      await waitFor(() => claims >= 3)
      assert.equal(runs, 5)
    } finally {
      gate.resolve()
    }
    await waitFor(async () => (await jobsLeft()) === 0)
    for (const part of toClose.splice(0).reverse()) await part.close()
  }
})

test('F32: workers whose clocks disagree by minutes take what is due, and keep what the other works on from themselves', async () => {
  let runs = 0
  const handler = async () => {
    runs++
    await new Promise((resolve) => setTimeout(resolve, 300))
    return done
  }
  const skewed = (ms: number) => ({
    ...systemClock,
    now: () => new Date(Date.now() + ms),
    nowMs: () => Date.now() + ms,
    fromNow: (after: number) => new Date(Date.now() + ms + after),
  })
  for (const ms of [-300_000, 300_000]) startWorker({ handler, idleMs: 20 }, { clock: skewed(ms) })
  startWorker({ handler, idleMs: 20 })
  await enqueueMany(20)
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
  assert.equal(runs, 20)
  // One alone, whose clock is behind.
  for (const part of toClose.splice(0).reverse()) await part.close()
  startWorker({ handler, idleMs: 20 }, { clock: skewed(-300_000) })
  await enqueueMany(1)
  await waitFor(() => runs === 21 || undefined)
})

test('a retry comes at its time by the clock and counts as a first attempt again', async () => {
  const clock = testClock()
  const seen: Job[] = []
  startWorker(
    {
      handler: async (job) => {
        seen.push(job)
        return seen.length < 3 ? { status: 'retry', at: clock.fromNow(3_600_000) } : done
      },
      idleMs: 20,
    },
    { clock },
  )
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  await waitFor(() => seen.length === 1 || undefined)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(seen.length, 1)
  clock.advance(3_600_001)
  await waitFor(() => seen.length === 2 || undefined)
  clock.advance(3_600_001)
  await waitFor(() => seen.length === 3 || undefined)
  assert.deepEqual(
    seen.map(({ attempts }) => attempts),
    [1, 1, 1],
  )
})

test('a throw backs off, and the attempts are counted', async () => {
  const clock = testClock()
  const attempts: number[] = []
  startWorker(
    {
      handler: async (job) => {
        attempts.push(job.attempts)
        if (attempts.length === 1) throw new Error('a bug')
        if (attempts.length === 2) throw new Fault('elsewhere', { retryable: true })
        return done
      },
      idleMs: 20,
    },
    { clock },
  )
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  await waitFor(() => attempts.length === 1 || undefined)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(attempts.length, 1, 'not at once')
  clock.advance(1_001)
  await waitFor(() => attempts.length === 2 || undefined)
  clock.advance(2_001)
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
  assert.deepEqual(attempts, [1, 2, 3])
})

test('back-off doubles, ends at five minutes and spreads between half and all', () => {
  assert.deepEqual(
    [1, 2, 3, 9, 10, 60].map((attempt) => backOffMs(attempt, 0)),
    [500, 1_000, 2_000, 128_000, 150_000, 150_000],
  )
  assert.equal(backOffMs(1, 0.999999), 1_000)
  assert.equal(backOffMs(60, 0.5), 225_000)
})

test('a tenant with a backlog holds only its share, and another tenant passes it', async () => {
  const crowd = deriveId('tenant', 'crowd')
  const single = deriveId('tenant', 'single')
  let inFlight = 0
  let most = 0
  const letGo: (() => void)[] = []
  const seen: (string | undefined)[] = []
  startWorker({
    concurrency: 8,
    shares: { own: 0, most: 3, common: 8 },
    handler: async (job) => {
      seen.push(job.tenantId)
      if (job.tenantId !== crowd) return done
      most = Math.max(most, ++inFlight)
      await new Promise<void>((resolve) => letGo.push(resolve))
      inFlight--
      return done
    },
  })
  await enqueueMany(50, crowd)
  await waitFor(() => inFlight === 3 || undefined)
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7(), tenantId: single })
  await waitFor(() => seen.includes(single) || undefined)
  const release = setInterval(() => {
    for (const resolve of letGo.splice(0)) resolve()
  }, 1)
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
  clearInterval(release)
  assert.equal(most, 3)
  assert.equal(seen.length, 51)
})

test('F12: a claim takes what fits into own places, and beyond them only what fits into the common ones', async () => {
  const tenants = ['one', 'two', 'three'].map((name) => deriveId('tenant', name))
  for (const tenantId of tenants) await enqueueMany(5, tenantId)
  const [, , running] = tenants
  const claim = async (common: number) => {
    const { jobs, wantsCommon } = await claimJobs(db, {
      queue: 'webhooks',
      now: new Date(),
      limit: 100,
      leaseSeconds: 30,
      // The third has one of its places taken.
      free: { idle: { own: 2, places: 4 }, tenants: new Map([[running, { own: 1, places: 3 }]]), common },
    })
    const counts = tenants.map((tenantId) => jobs.filter((job) => job.tenantId === tenantId).length)
    return { counts, total: jobs.length, wantsCommon }
  }
  assert.deepEqual(await claim(0), { counts: [2, 2, 1], total: 5, wantsCommon: true })
  await db.execute(sql`update jobs set lease_until = null`)
  assert.deepEqual(await claim(3).then(({ total }) => total), 8)
  await db.execute(sql`update jobs set lease_until = null`)
  assert.deepEqual(await claim(100), { counts: [4, 4, 3], total: 11, wantsCommon: false })
})

test('a tenant’s backlog goes on as its places come free, several at a time', async () => {
  let runs = 0
  startWorker({
    idleMs: 60_000,
    concurrency: 64,
    shares: { own: 0, most: 16, common: 64 },
    handler: async () => {
      // Many end in the same turn of the event loop.
      await new Promise((resolve) => setTimeout(resolve, 5 - (performance.now() % 5)))
      runs++
      return done
    },
  })
  await enqueueMany(500, deriveId('tenant', 'crowd'))
  await enqueueMany(500, deriveId('tenant', 'another'))
  await waitFor(async () => runs === 1_000 && (await jobsLeft()) === 0)
})

test('F19: an outage neither spins nor loses work, and its end is noticed', async () => {
  const warnings: unknown[] = []
  const log = { ...silentLogger, warn: (entry: unknown) => void warnings.push(entry) } as unknown as Logger
  let down = false
  let queries = 0
  const pool = createDb({ connectionString: database.connectionString })
  const flaky = new Proxy(pool, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        queries++
        if (down) return Promise.reject(new Fault('database_unavailable', { retryable: true }))
        return Reflect.apply(member, target, args)
      }
    },
  })
  const hold = Promise.withResolvers<void>()
  const seen: Job[] = []
  const listener = createListener({ connectionString: database.connectionString, log: silentLogger })
  const consumer = consumeJobs(
    { db: flaky, listener, clock: systemClock, log },
    {
      queue: 'webhooks',
      concurrency: 10,
      idleMs: 20,
      leaseSeconds: 30,
      handler: async (job) => {
        seen.push(job)
        if (seen.length === 1) await hold.promise
        return done
      },
    },
  )
  toClose.push(pool, listener, consumer)
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  await waitFor(() => seen.length === 1 || undefined)
  down = true
  hold.resolve()
  const before = queries
  for (let index = 0; index < 50; index++) {
    await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(queries - before < 30, `${queries - before} queries in a second of outage`)
  assert.ok(warnings.length < 30, `${warnings.length} warnings in a second of outage`)
  down = false
  await waitFor(async () => (await jobsLeft()) === 0 || undefined)
  assert.equal(seen.length, 51, 'the run that ended during the outage was recorded and did not repeat')
})

test('F19: connections that the server cuts are replaced, also within transactions, and nothing is lost', async () => {
  const seen = new Set<string>()
  const work = createDb({ connectionString: database.connectionString })
  toClose.push(work)
  startWorker({
    handler: async (job) => {
      await work.tx(async (tx) => {
        await holdLease(tx, job)
        await new Promise((resolve) => setTimeout(resolve, 2))
      })
      seen.add(job.key)
      return done
    },
    concurrency: 20,
    idleMs: 100,
  })
  await enqueueMany(500)
  // One connection, which spares itself: a pool that the test asks would be cut as well.
  const control = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
  toClose.push(control)
  for (let index = 0; index < 3; index++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    await control.execute(sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`)
  }
  const jobsNow = () => control.one((row) => Number(row.count), sql`select count(*) from jobs`)
  // Before leases end.
  await waitFor(async () => (await jobsNow()) === 0 || undefined, 25_000)
  assert.equal(seen.size, 500)
  // The listener came back as well: a new job does not wait for the poll.
  await enqueueMany(1)
  await waitFor(() => seen.size === 501 || undefined)
})

test('closing waits for what is in flight, records it and takes nothing new', async () => {
  const hold = Promise.withResolvers<void>()
  const seen: Job[] = []
  const consumer = startWorker({
    concurrency: 1,
    handler: async (job) => {
      seen.push(job)
      await hold.promise
      return done
    },
  })
  await enqueueMany(2)
  await waitFor(() => seen.length === 1 || undefined)
  let closed = false
  const closing = consumer.close().then(() => {
    closed = true
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(closed, false)
  hold.resolve()
  await closing
  assert.equal(seen.length, 1)
  assert.equal(await jobsLeft(), 1)
})

test('a job belongs to the transaction that asks for it', async () => {
  const refused = new Error('rolled back')
  await assert.rejects(
    db.tx(async (tx) => {
      await enqueueJob(tx, { queue: 'webhooks', key: uuidv7() })
      throw refused
    }),
    refused,
  )
  assert.equal(await jobsLeft(), 0)
})

test('queues are separate', async () => {
  const seen: Job[] = []
  await enqueueJob(db, { queue: 'outgoing-payments', key: uuidv7() })
  await enqueueJob(db, { queue: 'webhooks', key: uuidv7() })
  startWorker({ handler: async (job) => note(seen, job) })
  await waitFor(async () => (await jobsLeft()) === 1 || undefined)
  assert.deepEqual(
    seen.map(({ queue }) => queue),
    ['webhooks'],
  )
})
