import {
  createDb,
  createListener,
  type Db,
  type DbPool,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../platform/index.ts'
import { createTestDatabase, startTestBroker, type TestBroker, waitFor } from '../testing/index.ts'
import type { ConsumeOptions } from './consume-jobs.ts'
import { consumeQueue } from './consume-queue.ts'
import type { Broker } from './drivers/model.ts'
import { relayJobs } from './relay.ts'
import { enqueueJob, insertJobs, notifyJobs } from './store.ts'

export type DriverKind = 'postgres' | TestBroker['kind']

/** Generous: it costs a test that fails, and a busy machine must not decide. */
export const SLOW_MS = 60_000

interface Closable {
  close(): Promise<void>
}

export interface QueueWorld {
  db: DbPool
  broker: TestBroker | undefined
  openOwn(poolSizeMax?: number): DbPool
  openBroker(): Promise<Broker | undefined>
  /** For child processes. */
  childEnvironment(): NodeJS.ProcessEnv
  /** Another process that publishes, where there is a broker. */
  publish(options?: { republishSeconds?: number; idleMs?: number; broker?: Broker }): Promise<void>
  /** Another process that works. */
  work(
    options: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'handler'>,
    parts?: { visibilitySeconds?: number; db?: Db; broker?: Broker },
  ): Promise<Closable>
  enqueueMany(count: number, tenantId?: string): Promise<unknown>
  enqueue(key?: string, runAt?: Date): Promise<unknown>
  jobsLeft(): Promise<number>
  empty(ms?: number): Promise<unknown>
  /** Ends who publishes and works, and leaves no job and no message. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** A database and a broker that one test of the contract has for itself. `undefined` where the broker is not installed. */
export async function openQueueWorld(kind: DriverKind): Promise<QueueWorld | undefined> {
  const broker = kind === 'postgres' ? undefined : await startTestBroker(kind)
  if (kind !== 'postgres' && !broker) return undefined
  const database = await createTestDatabase('resources')
  const db = createDb({ connectionString: database.connectionString })
  const active: Closable[] = []
  const connections: Closable[] = []

  const openOwn = (poolSizeMax = 5): DbPool => {
    const pool = createDb({ connectionString: database.connectionString, poolSizeMax })
    connections.push(pool)
    return pool
  }
  const listen = () => {
    const listener = createListener({ connectionString: database.connectionString, log: silentLogger })
    connections.push(listener)
    return listener
  }
  const openBroker = async (): Promise<Broker | undefined> => await broker?.open('webhooks')
  const jobsLeft = () => db.one((row) => Number(row.count), sql`select count(*) from jobs`)
  /** At once: a consumer may wait for seconds for its broker's answer. */
  const closeAll = async () => {
    await Promise.all(active.splice(0).map((part) => part.close()))
    await Promise.all(connections.splice(0).map((part) => part.close()))
  }

  return {
    db,
    broker,
    openOwn,
    openBroker,
    childEnvironment: () => ({
      ...process.env,
      ...broker?.environment,
      FACE: import.meta.resolve('./index.ts'),
      PLATFORM: import.meta.resolve('../platform/index.ts'),
      SETTINGS: JSON.stringify(broker?.settings ?? { queueDriver: 'postgres' }),
      DATABASE: database.connectionString,
    }),
    async publish(options = {}) {
      const own = options.broker ?? (await openBroker())
      if (!own) return
      active.push(
        relayJobs(
          { db: openOwn(), listener: listen(), clock: systemClock, log: silentLogger },
          { routes: [{ queue: 'webhooks', broker: own }], idleMs: 200, ...options },
        ),
      )
    },
    async work(options, parts = {}) {
      const own = parts.broker ?? (await openBroker())
      const consumer = consumeQueue(
        {
          db: parts.db ?? openOwn(),
          listener: listen(),
          clock: systemClock,
          log: silentLogger,
          ...(own && { broker: own }),
        },
        [{ queue: 'webhooks', concurrency: 50, idleMs: 200, leaseSeconds: 30, ...options }],
        parts,
      )
      active.push(consumer)
      return consumer
    },
    enqueueMany: (count, tenantId) =>
      db.execute(sql`
        with job as (${insertJobs('webhooks', sql`select gen_random_uuid(), ${tenantId ?? null}::uuid from generate_series(1, ${count}::int)`)})
        select ${notifyJobs('webhooks')} from job limit 1`),
    enqueue: (key = uuidv7(), runAt) => enqueueJob(db, { queue: 'webhooks', key, ...(runAt && { runAt }) }),
    jobsLeft,
    empty: (ms = SLOW_MS) => waitFor(async () => (await jobsLeft()) === 0, ms),
    async clear() {
      await closeAll()
      await db.execute(sql`delete from jobs`)
      await broker?.purge()
    },
    async close() {
      await closeAll()
      await db.close()
      await database.drop()
      await broker?.stop()
    },
  }
}
