import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, describe, type TestContext, test } from 'node:test'
import { type Db, deriveId, Fault, sql, uuidv7 } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { type DriverKind, openQueueWorld, type QueueWorld, SLOW_MS } from './contract-world.ts'
import type { Broker } from './drivers/model.ts'
import type { Job, JobOutcome } from './model.ts'
import { holdLease } from './store.ts'

const DONE: JobOutcome = { status: 'done' }
/** What is true of a queue whatever carries its work. */
export function queueContract(kind: DriverKind): void {
  void describe(`queue on ${kind}`, () => {
    const worlds: QueueWorld[] = []
    /** Those that no test uses now. */
    const free: QueueWorld[] = []
    const takeWorld = async (): Promise<QueueWorld | undefined> => {
      const known = free.pop()
      if (known) return known
      const world = await openQueueWorld(kind)
      if (world) worlds.push(world)
      return world
    }
    /** A consumer of SQS needs two seconds to close. The next test has another world meanwhile. */
    const clearing: Promise<unknown>[] = []
    const clear = (world: QueueWorld) => {
      const cleared = world.clear().then(() => free.push(world))
      cleared.catch(() => undefined)
      clearing.push(cleared)
    }
    after(async () => {
      const outcomes = await Promise.allSettled(clearing)
      for (const world of worlds) await world.close()
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    })

    /** Tests that mostly wait, for a pause or a message's time to be over. */
    const waiting: { name: string; run: (t: TestContext) => Promise<void> }[] = []
    const check = (
      name: string,
      options: { only?: 'brokers'; waits?: true },
      run: (world: QueueWorld, t: TestContext) => Promise<void>,
    ): void => {
      const runInWorld = async (t: TestContext) => {
        if (options.only === 'brokers' && kind === 'postgres') return t.skip('there is no broker')
        const world = await takeWorld()
        // Without the broker there is nothing to test, and it says so.
        if (!world) return t.skip('redis-server is not installed')
        try {
          await run(world, t)
        } finally {
          clear(world)
        }
      }
      if (options.waits) waiting.push({ name, run: runInWorld })
      else void test(name, runInWorld)
    }

    check(
      'every job is handled, and by one worker at a time',
      {},
      async ({ publish, work, enqueueMany, empty }) => {
        const runs = new Map<string, number>()
        const inFlight = new Set<string>()
        let overlaps = 0
        const handler = async ({ key }: Job) => {
          if (inFlight.has(key)) overlaps++
          inFlight.add(key)
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
          inFlight.delete(key)
          runs.set(key, (runs.get(key) ?? 0) + 1)
          return DONE
        }
        await publish()
        await publish()
        await work({ handler })
        await work({ handler })
        await enqueueMany(1_000)
        await empty()
        assert.equal(runs.size, 1_000)
        assert.equal(overlaps, 0)
        assert.deepEqual(new Set(runs.values()), new Set([1]))
      },
    )

    check(
      'F37: a job that is asked for while it runs runs once more',
      {},
      async ({ publish, work, enqueue, empty }) => {
        const key = uuidv7()
        let runs = 0
        const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
        await publish()
        await work({
          handler: async () => {
            await gates[runs++]?.promise
            return DONE
          },
        })
        await enqueue(key)
        await waitFor(() => runs === 1)
        await enqueue(key)
        await enqueue(key)
        gates[0]?.resolve()
        await waitFor(() => runs === 2)
        gates[1]?.resolve()
        await empty()
        assert.equal(runs, 2)
      },
    )

    check(
      'a job does not run before its time, and soon after it',
      {},
      async ({ publish, work, enqueue, empty }) => {
        const runAt = new Date(Date.now() + 700)
        let ranAt = 0
        await publish()
        await work({
          handler: async () => {
            ranAt = Date.now()
            return DONE
          },
        })
        await enqueue(uuidv7(), runAt)
        await empty()
        assert.ok(ranAt >= runAt.getTime(), `${runAt.getTime() - ranAt} ms too early`)
        assert.ok(ranAt < runAt.getTime() + 5_000, `${ranAt - runAt.getTime()} ms late`)
      },
    )

    check(
      'F31: a handler that throws is asked again after a pause that grows',
      { waits: true },
      async ({ publish, work, enqueue, empty }) => {
        const ranAt: number[] = []
        const attempts: number[] = []
        await publish()
        await work({
          handler: async (job) => {
            ranAt.push(Date.now())
            attempts.push(job.attempts)
            if (ranAt.length < 3) throw new Error('not yet')
            return DONE
          },
        })
        await enqueue()
        await empty()
        assert.deepEqual(attempts, [1, 2, 3])
        const [first = 0, second = 0, third = 0] = ranAt
        assert.ok(second - first >= 450, `${second - first} ms`)
        assert.ok(third - second >= 950, `${third - second} ms`)
      },
    )

    check('a handler that wants a later time has it', {}, async ({ publish, work, enqueue, empty }) => {
      let runs = 0
      const idleMs = 5_000
      await publish({ idleMs })
      await work({
        idleMs,
        handler: async () => {
          runs++
          return runs < 20 ? { status: 'retry', at: new Date() } : DONE
        },
      })
      await enqueue()
      // Each slice of a long piece of work follows the former at once, and not when somebody looks by himself.
      await empty(30_000)
      assert.equal(runs, 20)
    })

    check(
      'F31: what a killed process worked on is worked on elsewhere',
      { waits: true },
      async ({ publish, work, enqueueMany, empty, db, childEnvironment }) => {
        await publish()
        const child = spawn(process.execPath, ['--input-type=module', '-e', STUCK_WORKER], {
          env: childEnvironment(),
          stdio: ['ignore', 'ignore', 'inherit'],
        })
        const exited = once(child, 'exit')
        try {
          await enqueueMany(30)
          const leased = sql`select count(*) from jobs where lease_until > now()`
          await waitFor(async () => (await db.one((row) => Number(row.count), leased)) === 30, SLOW_MS)
          const seen: Job[] = []
          await work({
            handler: async (job) => {
              seen.push(job)
              return DONE
            },
          })
          // While it lives it keeps them.
          await new Promise((resolve) => setTimeout(resolve, 1_000))
          assert.equal(seen.length, 0)
          child.kill('SIGKILL')
          await empty()
          assert.equal(new Set(seen.map(({ key }) => key)).size, 30)
          assert.ok(seen.every(({ attempts }) => attempts === 2))
        } finally {
          child.kill('SIGKILL')
          await exited
        }
      },
    )

    check(
      'closing begins nothing, and ends when what runs is recorded',
      {},
      async ({ publish, work, enqueueMany, jobsLeft, empty }) => {
        const hold = Promise.withResolvers<void>()
        let begun = 0
        await publish()
        const consumer = await work({
          concurrency: 10,
          // The rest has been handed to it and has no place.
          shares: { own: 0, most: 5, common: 10 },
          handler: async () => {
            begun++
            await hold.promise
            return DONE
          },
        })
        await enqueueMany(40)
        await waitFor(() => begun === 5)
        let isClosed = false
        const closing = consumer.close().then(() => {
          isClosed = true
        })
        await new Promise((resolve) => setTimeout(resolve, 200))
        assert.equal(isClosed, false)
        hold.resolve()
        await closing
        assert.equal(begun, 5)
        assert.equal(await jobsLeft(), 35)
        // Another has them at once, also those that this one had been handed already.
        let runs = 0
        await work({
          handler: async () => {
            runs++
            return DONE
          },
        })
        await empty(4_000)
        assert.equal(runs, 35)
      },
    )

    check(
      'F12: thousands of jobs of one tenant do not delay the one of another',
      {},
      async ({ publish, work, enqueueMany }) => {
        const crowd = deriveId('tenant', 'crowd')
        const other = deriveId('tenant', 'other')
        let crowdRuns = 0
        let crowdBefore: number | undefined
        await publish()
        await work({
          concurrency: 20,
          shares: { own: 0, most: 15, common: 20 },
          handler: async ({ tenantId }) => {
            if (tenantId === other) crowdBefore = crowdRuns
            else crowdRuns++
            await new Promise((resolve) => setTimeout(resolve, 20))
            return DONE
          },
        })
        await enqueueMany(5_000, crowd)
        await waitFor(() => crowdRuns > 100)
        const asked = crowdRuns
        await enqueueMany(1, other)
        await waitFor(() => crowdBefore !== undefined, SLOW_MS)
        const overtook = (crowdBefore ?? 0) - asked
        assert.ok(overtook < 1_000, `${overtook} of the crowd went first`)
      },
    )

    check(
      'F12: who answers nothing takes no places from others',
      {},
      async ({ publish, work, enqueueMany, empty }) => {
        const hold = Promise.withResolvers<void>()
        const silentTenants = Array.from({ length: 5 }, (_, index) => deriveId('tenant', 'silent', index))
        const other = deriveId('tenant', 'other')
        let ran = 0
        await publish()
        await work({
          concurrency: 12,
          shares: { own: 1, most: 4, common: 6 },
          handler: async ({ tenantId }) => {
            if (tenantId === other) ran++
            else await hold.promise
            return DONE
          },
        })
        try {
          for (const tenant of silentTenants) await enqueueMany(100, tenant)
          await new Promise((resolve) => setTimeout(resolve, 300))
          await enqueueMany(50, other)
          await waitFor(() => ran === 50)
        } finally {
          hold.resolve()
        }
        await empty()
      },
    )

    check(
      'without its database a worker does nothing, and goes on afterwards',
      {},
      async ({ publish, work, enqueueMany, empty, openOwn }) => {
        const pool = openOwn()
        let isAway = true
        const away = () => Promise.reject(new Fault('database_unavailable', { retryable: true }))
        const flaky: Db = {
          ...pool,
          many: (...input: Parameters<Db['many']>) => (isAway ? away() : pool.many(...input)),
          one: (...input: Parameters<Db['one']>) => (isAway ? away() : pool.one(...input)),
          execute: (...input: Parameters<Db['execute']>) => (isAway ? away() : pool.execute(...input)),
        } as Db
        let runs = 0
        await publish()
        await work(
          {
            handler: async () => {
              runs++
              return DONE
            },
          },
          { db: flaky, visibilitySeconds: 2 },
        )
        await enqueueMany(20)
        await new Promise((resolve) => setTimeout(resolve, 500))
        assert.equal(runs, 0)
        isAway = false
        await empty()
        assert.equal(runs, 20)
      },
    )

    check(
      'repeats and another order change nothing',
      { only: 'brokers' },
      async ({ work, enqueue, empty, openBroker }) => {
        const own = (await openBroker()) as Broker
        const keys = Array.from({ length: 100 }, () => uuidv7())
        const runs = new Map<string, number>()
        for (const key of keys) await enqueue(key)
        await work({
          handler: async ({ key }) => {
            runs.set(key, (runs.get(key) ?? 0) + 1)
            // Long enough for its repeats to come while it runs.
            await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 50))
            return DONE
          },
        })
        const messages = [...keys, ...[...keys].reverse(), ...keys, uuidv7()].map((key) => ({
          key,
          body: JSON.stringify({ queue: 'webhooks', key }),
        }))
        assert.deepEqual(new Set(await own.send(messages)), new Set([undefined]))
        await empty()
        assert.deepEqual(new Set(runs.values()), new Set([1]))
        await waitFor(async () => {
          const { waiting, inFlight } = await own.depth()
          return waiting + inFlight === 0
        }, SLOW_MS)
      },
    )

    check(
      'a message that comes before its job is due does nothing',
      { only: 'brokers' },
      async ({ work, enqueue, jobsLeft, openBroker }) => {
        const own = (await openBroker()) as Broker
        let runs = 0
        await work({
          handler: async () => {
            runs++
            return DONE
          },
        })
        const key = uuidv7()
        await enqueue(key, new Date(Date.now() + 60_000))
        await own.send([{ key, body: JSON.stringify({ queue: 'webhooks', key }) }])
        await waitFor(async () => (await own.depth()).waiting === 0)
        await new Promise((resolve) => setTimeout(resolve, 100))
        assert.equal(runs, 0)
        assert.equal(await jobsLeft(), 1)
      },
    )

    check(
      'everything is done although the broker lost all it had',
      { only: 'brokers' },
      async ({ publish, work, enqueueMany, empty, broker, db }) => {
        await publish({ republishSeconds: 1 })
        await enqueueMany(300)
        // On their way, and gone.
        const onTheirWay = sql`select count(*) from jobs where published_until > now()`
        await waitFor(async () => (await db.one((row) => Number(row.count), onTheirWay)) > 0)
        await broker?.purge()
        let runs = 0
        await work({
          handler: async () => {
            await new Promise((resolve) => setTimeout(resolve, 5))
            if (++runs === 50) await broker?.purge()
            return DONE
          },
        })
        await empty()
        assert.ok(runs >= 300)
      },
    )

    check(
      'what says nothing that can be worked on is a dead letter with a reason',
      { only: 'brokers' },
      async ({ work, openBroker }) => {
        const own = (await openBroker()) as Broker
        await work({ handler: async () => DONE })
        const bodies = {
          'no json': 'not JSON',
          '[]': 'not an object',
          '{"queue":"webhooks","key":"x"}': '"key" is not a UUID',
          [`{"queue":"else","key":"${uuidv7()}"}`]: 'nobody works on its queue here',
        }
        await own.send(Object.keys(bodies).map((body) => ({ key: uuidv7(), body })))
        await waitFor(async () => (await own.depth()).dead === 4, SLOW_MS)
        const letters = await own.listDeadLetters(10)
        assert.deepEqual(Object.fromEntries(letters.map(({ body, reason }) => [body, reason])), bodies)
        await waitFor(async () => {
          const { waiting, inFlight } = await own.depth()
          return waiting + inFlight === 0
        })
      },
    )

    check(
      'a dead letter that is put back is handled',
      { only: 'brokers' },
      async ({ work, enqueue, empty, openBroker }) => {
        const own = (await openBroker()) as Broker
        const key = uuidv7()
        await enqueue(key)
        await own.bury({ id: '1', body: JSON.stringify({ queue: 'webhooks', key }) }, 'by mistake')
        assert.equal((await own.depth()).dead, 1)
        let runs = 0
        await work({
          handler: async () => {
            runs++
            return DONE
          },
        })
        await new Promise((resolve) => setTimeout(resolve, 200))
        assert.equal(runs, 0)
        assert.equal(await own.redrive(10), 1)
        await waitFor(() => runs === 1)
        assert.equal((await own.depth()).dead, 0)
        await empty()
      },
    )

    check(
      'F31: a message whose consumer died comes again when its time is over',
      { only: 'brokers', waits: true },
      async ({ work, enqueue, empty, openBroker, childEnvironment }) => {
        const own = (await openBroker()) as Broker
        const key = uuidv7()
        await enqueue(key)
        await own.send([{ key, body: JSON.stringify({ queue: 'webhooks', key }) }])
        const child = spawn(process.execPath, ['--input-type=module', '-e', STUCK_CONSUMER], {
          env: childEnvironment(),
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const exited = once(child, 'exit')
        await once(child.stdout, 'data')
        const takenAt = Date.now()
        child.kill('SIGKILL')
        await exited
        let ranAt = 0
        await work(
          {
            handler: async () => {
              ranAt = Date.now()
              return DONE
            },
          },
          { visibilitySeconds: 1 },
        )
        await empty()
        assert.ok(ranAt - takenAt >= 500, `${ranAt - takenAt} ms`)
      },
    )

    check(
      'a message is kept from others for as long as its job runs',
      { only: 'brokers', waits: true },
      async ({ openBroker }) => {
        const own = (await openBroker()) as Broker
        let deliveries = 0
        const hold = Promise.withResolvers<void>()
        await own.send([{ key: uuidv7(), body: 'anything' }])
        const consumers = [own, (await openBroker()) as Broker].map((each) => {
          // Whoever has it has no room for more: it must not keep the message by asking for it again.
          let room = 1
          return each.consume(
            (messages) => {
              deliveries += messages.length
              room -= messages.length
              return messages.map(() => hold.promise.then(() => ({ status: 'done' as const })))
            },
            { room: () => room, visibilitySeconds: 1 },
          )
        })
        try {
          await waitFor(() => deliveries === 1)
          await new Promise((resolve) => setTimeout(resolve, 2_500))
          assert.equal(deliveries, 1)
        } finally {
          hold.resolve()
          await Promise.all(consumers.map((consumer) => consumer.close()))
        }
      },
    )

    check(
      'a message that fails again and again ends among the dead letters',
      { only: 'brokers', waits: true },
      async ({ openBroker }) => {
        const own = (await openBroker()) as Broker
        let deliveries = 0
        await own.send([{ key: uuidv7(), body: 'anything' }])
        const consumer = own.consume(
          (messages) => {
            deliveries += messages.length
            return messages.map(async () => ({ status: 'failed' }) as const)
          },
          { room: () => 10, visibilitySeconds: 1 },
        )
        await waitFor(async () => (await own.depth()).dead === 1, SLOW_MS)
        assert.equal(deliveries, 10)
        await consumer.close()
        const [letter] = await own.listDeadLetters(1)
        assert.equal(letter?.body, 'anything')
        assert.match(letter?.reason ?? '', /in vain/)
      },
    )

    check(
      'everything is done although the broker was away and came back empty',
      { only: 'brokers' },
      async ({ publish, work, enqueueMany, empty, broker }, t) => {
        if (!broker?.away) return t.skip('it is not the test that runs it')
        let runs = 0
        await publish({ republishSeconds: 1 })
        const consumer = await work({
          handler: async () => {
            runs++
            return DONE
          },
        })
        await enqueueMany(50)
        await empty()
        await broker.away(async () => {
          await enqueueMany(50)
          await new Promise((resolve) => setTimeout(resolve, 1_500))
          assert.equal(runs, 50)
        })
        await empty()
        assert.equal(runs, 100)
        // And closing does not wait for what is away.
        await broker.away(async () => {
          const startedAt = performance.now()
          await consumer.close()
          assert.ok(performance.now() - startedAt < 5_000)
        })
      },
    )

    check(
      'while nobody takes messages, the same jobs are not published without end',
      { only: 'brokers' },
      async ({ publish, enqueueMany, openBroker }) => {
        const own = (await openBroker()) as Broker
        await publish({ republishSeconds: 0.1 })
        for (let tenant = 0; tenant < 8; tenant++) await enqueueMany(200, deriveId('tenant', tenant))
        await waitFor(async () => (await own.depth()).waiting >= 1_000, SLOW_MS)
        const later = async () => {
          await new Promise((resolve) => setTimeout(resolve, 1_500))
          return (await own.depth()).waiting
        }
        // A broker that is slow takes its time for the first of each job.
        let waiting = await later()
        await waitFor(async () => {
          const before = waiting
          waiting = await later()
          return waiting === before
        }, SLOW_MS)
        // A hundred times as many would have come by now; between two looks at the broker there are some.
        assert.ok(waiting < 15_000, `${waiting} messages`)
      },
    )

    check(
      'F37: who lost the lease cannot record, whatever was delivered to whom',
      {},
      async ({ publish, work, enqueue, empty, db }) => {
        const key = uuidv7()
        const late = Promise.withResolvers<void>()
        const recorded: string[] = []
        const handlerOf = (name: string, wait: boolean) => async (job: Job) => {
          if (wait) await late.promise
          await db.tx(async (tx) => {
            await holdLease(tx, job)
            recorded.push(name)
          })
          return DONE
        }
        await publish({ republishSeconds: 1 })
        const slow = await work({ handler: handlerOf('slow', true), leaseSeconds: 3_600, concurrency: 1 })
        await enqueue(key)
        const leased = sql`select count(*) from jobs where lease_until > now()`
        await waitFor(async () => (await db.one((row) => Number(row.count), leased)) === 1)
        await work({ handler: handlerOf('quick', false) })
        // The slow one stood still for longer than its lease.
        await db.execute(sql`update jobs set lease_until = now() - interval '1 second'`)
        await waitFor(() => recorded.length === 1, SLOW_MS)
        late.resolve()
        await slow.close()
        assert.deepEqual(recorded, ['quick'])
        await empty()
      },
    )

    void describe('at the same time', { concurrency: true }, () => {
      for (const { name, run } of waiting) void test(name, run)
    })
  })
}

/** Takes jobs and never ends them. */
const STUCK_WORKER = `
  const { createDb, createListener, silentLogger, systemClock } = await import(process.env.PLATFORM)
  const { consumeQueue, openBroker } = await import(process.env.FACE)
  const connectionString = process.env.DATABASE
  const broker = await openBroker({ log: silentLogger }, JSON.parse(process.env.SETTINGS), 'webhooks')
  consumeQueue(
    { db: createDb({ connectionString }), listener: createListener({ connectionString, log: silentLogger }), clock: systemClock, log: silentLogger, ...(broker && { broker }) },
    [{ queue: 'webhooks', concurrency: 50, idleMs: 50, leaseSeconds: 0.7, handler: () => new Promise(() => {}) }],
    { visibilitySeconds: 1 },
  )`

/** Takes a message, says so, and never ends it. */
const STUCK_CONSUMER = `
  const { silentLogger } = await import(process.env.PLATFORM)
  const { openBroker } = await import(process.env.FACE)
  const broker = await openBroker({ log: silentLogger }, JSON.parse(process.env.SETTINGS), 'webhooks')
  broker.consume(
    (messages) => {
      console.log(messages.length)
      return messages.map(() => new Promise(() => {}))
    },
    { room: () => 1, visibilitySeconds: 1 },
  )`
