// What carries work costs: how fast one worker process drains a backlog when handlers cost nothing, how long a job waits for its
// handler when little and when more is going on, what each job costs Node and PostgreSQL, and what a notification costs a commit.
// `npm run bench:queue [postgres|redis|sqs]...`; all in one process, an SQS emulator too, whose figures say nothing of SQS.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
import { cpuMs, createTestDatabase, startTestBroker, type TestBroker } from '../testing/index.ts'
import { type Broker, consumeQueue, enqueueJob, insertJobs, relayJobs } from './index.ts'

const JOBS = { postgres: 40_000, redis: 20_000, sqs: 2_000 }
const CONCURRENCY = 1_024
const IDLE_SAMPLES = 300
const LOAD_SAMPLES = 3_000
/** Jobs begun each second while latency is measured at load. */
const LOAD_PER_SECOND = { postgres: 1_000, redis: 1_000, sqs: 100 }
const COMMITS = 4_000
const COMMITTERS = 16

type Kind = keyof typeof JOBS

const asked = process.argv.slice(2)
const kinds = (['postgres', 'redis', 'sqs'] as const).filter(
  (kind) => asked.length === 0 || asked.includes(kind),
)

const database = await createTestDatabase('resources')
const { connectionString } = database
const db = createDb({ connectionString, poolSizeMax: COMMITTERS })
const postmaster = Number(
  readFileSync(
    join(
      await db.one((row) => row.folder, sql`select current_setting('data_directory') as folder`),
      'postmaster.pid',
    ),
    'utf8',
  ).split('\n')[0],
)
/** CPU milliseconds. */
const used = () => {
  const { user, system } = process.cpuUsage()
  return { node: (user + system) / 1000, postgres: cpuMs(postmaster) ?? Number.NaN }
}
const perSecond = (count: number, startedAt: number) =>
  Math.round((count / (performance.now() - startedAt)) * 1000)
const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN
function show(label: string, values: number[]): void {
  values.sort((one, other) => one - other)
  const [p50, p99] = [quantile(values, 0.5), quantile(values, 0.99)]
  console.log(`${label}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
}

interface World {
  kind: Kind
  /** Whoever works, and where there is a broker, whoever publishes. */
  start(onJob: (key: string) => void): Promise<{ close(): Promise<void> }>
  /** A broker's client, for the leg from the broker to the handler alone. */
  open(): Promise<Broker | undefined>
}

function worldOf(kind: Kind, broker: TestBroker | undefined, pools: () => DbPool): World {
  const open = async () => await broker?.open('webhooks')
  return {
    kind,
    open,
    async start(onJob) {
      const listener = createListener({ connectionString, log: silentLogger })
      const ctx = { db: pools(), listener, clock: systemClock, log: silentLogger }
      const own = await open()
      const relay = own && relayJobs(ctx, { routes: [{ queue: 'webhooks', broker: own }], idleMs: 1_000 })
      const consumer = consumeQueue({ ...ctx, ...(own && { broker: own }) }, [
        {
          queue: 'webhooks',
          concurrency: CONCURRENCY,
          idleMs: 1_000,
          leaseSeconds: 30,
          handler: async ({ key }) => {
            onJob(key)
            await new Promise(setImmediate)
            return { status: 'done' }
          },
        },
      ])
      return {
        async close() {
          await relay?.close()
          await consumer.close()
          await listener.close()
          await ctx.db.close()
        },
      }
    },
  }
}

async function drain(world: World, tenants: number): Promise<void> {
  const count = JOBS[world.kind]
  const source = sql`select gen_random_uuid(), md5((n % ${tenants}::int)::text)::uuid from generate_series(1, ${count}::int) n`
  await db.execute(sql`with job as (${insertJobs('webhooks', source)}) select 1 from job`)
  await db.execute(sql`analyze jobs`)
  let left = count
  const finished = Promise.withResolvers<void>()
  const before = used()
  const startedAt = performance.now()
  const running = await world.start(() => {
    if (--left === 0) finished.resolve()
  })
  await finished.promise
  const rate = perSecond(count, startedAt)
  const after = used()
  await running.close()
  const each = (ms: number) => ((ms / count) * 1000).toFixed(0)
  console.log(
    `${world.kind}, drain, ${tenants} tenants: ${rate} jobs/s; each ${each(after.node - before.node)} µs of Node, ${each(after.postgres - before.postgres)} µs of PostgreSQL`,
  )
}

/** From before the commit that asks for a job to its handler: one job at a time, and at a steady rate. */
async function latency(world: World): Promise<void> {
  const askedAt = new Map<string, number>()
  let waits: number[] = []
  let onBegun: (() => void) | undefined
  const running = await world.start((key) => {
    waits.push(performance.now() - (askedAt.get(key) ?? Number.NaN))
    askedAt.delete(key)
    onBegun?.()
  })
  const ask = async (): Promise<void> => {
    const key = uuidv7()
    askedAt.set(key, performance.now())
    await enqueueJob(db, { queue: 'webhooks', key })
  }
  const one = async (): Promise<void> => {
    const begun = new Promise<void>((resolve) => {
      onBegun = resolve
    })
    await ask()
    await begun
    await sleep(5)
  }
  for (let sample = 0; sample < 20; sample++) await one()
  waits = []
  for (let sample = 0; sample < IDLE_SAMPLES; sample++) await one()
  onBegun = undefined
  show(`${world.kind}, commit to handler, idle`, waits)

  waits = []
  const rate = LOAD_PER_SECOND[world.kind]
  const samples = Math.min(LOAD_SAMPLES, rate * 3)
  const startedAt = performance.now()
  const commits: Promise<void>[] = []
  while (commits.length < samples) {
    const due = ((performance.now() - startedAt) / 1000) * rate
    while (commits.length < Math.min(due, samples)) commits.push(ask())
    await sleep(1)
  }
  await Promise.all(commits)
  while (askedAt.size > 0) await sleep(5)
  show(`${world.kind}, commit to handler, ${rate} jobs/s`, waits)
  await running.close()
}

/** The broker's own leg: from before the sending of a message to the worker that gets it. */
async function brokerLeg(world: World): Promise<void> {
  const [sender, receiver] = [await world.open(), await world.open()]
  if (!sender || !receiver) return
  const waits: number[] = []
  let got: (() => void) | undefined
  const consumer = receiver.consume(
    (messages) => {
      got?.()
      return messages.map(async () => ({ status: 'done' }) as const)
    },
    { room: () => 100, visibilitySeconds: 30 },
  )
  await sleep(500)
  for (let sample = 0; sample < IDLE_SAMPLES; sample++) {
    const here = new Promise<void>((resolve) => {
      got = resolve
    })
    const startedAt = performance.now()
    await sender.send([{ key: uuidv7(), body: '{}' }])
    await here
    waits.push(performance.now() - startedAt)
    await sleep(5)
  }
  show(`${world.kind}, send to handler, idle`, waits)
  await consumer.close()
}

async function commits(label: string, write: (db: Db) => Promise<unknown>): Promise<void> {
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: COMMITTERS }, async () => {
      for (let index = 0; index < COMMITS / COMMITTERS; index++) await db.tx(write)
    }),
  )
  console.log(`${label}: ${perSecond(COMMITS, startedAt)} commits/s by ${COMMITTERS} at once`)
  await db.execute(sql`delete from jobs`)
}

for (const kind of kinds) {
  const broker = kind === 'postgres' ? undefined : await startTestBroker(kind)
  if (kind === 'redis' && !broker) {
    console.log('redis: redis-server is not installed')
    continue
  }
  const world = worldOf(kind, broker, () => createDb({ connectionString, poolSizeMax: 10 }))
  await drain(world, 1)
  await drain(world, 100)
  await brokerLeg(world)
  await latency(world)
  await broker?.stop()
}
await commits('insert a job', (tx) =>
  tx.execute(
    sql`with job as (${insertJobs('webhooks', sql`select ${uuidv7()}::uuid, null::uuid`)}) select 1`,
  ),
)
await commits('insert a job and notify', (tx) => enqueueJob(tx, { queue: 'webhooks', key: uuidv7() }))
await db.close()
await database.drop()
