// `npm start`: two peered banks on embedded PostgreSQL and one real payment between them.
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../shared/embedded-postgres/index.ts'
import { createLogger, messageOf } from '../shared/platform/index.ts'
import { auditBanks, describeFindings } from './audit/audit-banks.ts'
import { type BankName, keyFile, loadBankSettings } from './bank-settings.ts'
import { writeConnections } from './connections.ts'
import { type ExampleClient, seedExampleClient } from './example-client.ts'
import { parseStartOptions } from './options.ts'
import { awaitWithdrawals, formatAmount, type PaymentPlan, pay } from './payment.ts'
import { chooseQueueMode } from './queue-mode.ts'
import { addressesOf, line, nextAfterOnce, nextThingsToTry, step, summaryOf } from './screen.ts'
import { demoPlan } from './seed.ts'
import { startTwoBanks, type TwoBanks } from './two-banks.ts'

const NAMES = ['a', 'b'] as const satisfies readonly BankName[]

const forBoth = async <T>(make: (name: BankName) => Promise<T>): Promise<Record<BankName, T>> => {
  const [a, b] = await Promise.all([make('a'), make('b')])
  return { a, b }
}

/** For what this payment leaves to be recorded. */
const SETTLE_MS = 5_000
/** For payments of an earlier start that was killed: until leases end, sweeps find them and they are finished. */
const RECOVERY_MS = 45_000

const parts: { close(): Promise<void> }[] = []
let stopping: Promise<void> | undefined

/** Newest first: the banks, then PostgreSQL. A second signal does not interrupt the first one's work. */
function stop(): Promise<void> {
  stopping ??= (async () => {
    for (const part of parts.toReversed()) await part.close()
  })()
  return stopping
}

/** Starts a part and has it closed at the end, even when the signal to stop comes before it has started. */
function startPart<T>(start: () => Promise<T>, close: (part: T) => Promise<void>): Promise<T> {
  if (stopping) throw new Error('stopping')
  const started = start()
  parts.push({
    async close() {
      const part = await started.catch(() => undefined)
      if (part) await close(part)
    },
  })
  return started
}

async function startBanks(dataFolder: string): Promise<{
  banks: TwoBanks
  client: ExampleClient
  areNew: boolean
  databases: Record<BankName, { resources: string; auth: string }>
}> {
  const postgres = await step(
    'PostgreSQL, from an npm package',
    () =>
      startPart(
        () => startEmbeddedPostgres({ folder: join(dataFolder, 'postgres'), durable: true }),
        (server) => server.stop(),
      ),
    (server) => (server.adopted ? 'adopted: an earlier start was killed and left it running' : ''),
  )
  const settings = await forBoth((name) =>
    loadBankSettings(
      join(dataFolder, `bank-${name}.json`),
      name,
      demoPlan[name].assets.map((asset) => asset.code),
    ),
  )
  const databases = await forBoth(async (name) => ({
    resources: postgres.connectionString(`bank_${name}`),
    auth: postgres.connectionString(`bank_${name}_auth`),
  }))
  const areNew = await step(
    'databases: for each bank one for resources and ledger, one for its authorization server',
    async () => {
      const made: boolean[] = []
      for (const name of NAMES)
        for (const suffix of ['', '_auth']) made.push(await postgres.createDatabase(`bank_${name}${suffix}`))
      return made.some(Boolean)
    },
    (made) => (made ? 'new' : 'kept from an earlier start'),
  )
  await writeConnections(dataFolder, databases)
  const queues = chooseQueueMode(process.env)
  // AWS's clients look for them by themselves. An emulator asks for some, and not whose they are.
  if (queues.driver === 'sqs')
    process.env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...process.env }
  const environments = await step(
    'queues',
    () =>
      forBoth(async (name) => ({
        PRIVATE_KEY_FILE: await keyFile(join(dataFolder, `bank-${name}.pem`)),
        ...(await queues.environmentOf(name)),
      })),
    () => queues.about,
  )
  const log = createLogger({ level: 'warn', name: 'upesi' })
  const banks = await step(
    areNew
      ? 'banks A and B: migrated, started, peered, seeded with liquidity, fees and customers'
      : 'banks A and B: started; peers, liquidity, fees and customers as they were',
    () => startPart(() => startTwoBanks({ settings, databases, environments, log }), closeBanks),
  )
  const client = await seedExampleClient(banks, join(dataFolder, 'shop.pem'))
  return { banks, client, areNew, databases }
}

const closeBanks = (banks: TwoBanks) => banks.close()

async function run(): Promise<void> {
  const options = parseStartOptions(process.argv.slice(2))
  const startedAt = performance.now()
  line('Upesi: two banks, one payment')
  line()
  const { banks, client, areNew, databases } = await startBanks(options.dataFolder)

  line()
  line('Alice at bank A (USD) pays Bob at bank B (EUR): exactly 5.00 EUR shall arrive.')
  line()
  const plan: PaymentPlan = {
    payer: banks.side('a', 'alice'),
    payee: banks.side('b', 'bob'),
    receiveValue: 500n,
    timeoutMs: 30_000,
  }
  const outcome = await pay(plan, step)
  if (outcome.outgoing.state !== 'COMPLETED')
    throw new Error(
      `the payment ended as ${outcome.outgoing.state}: ${outcome.outgoing.error ?? 'no reason given'}`,
    )
  await step(
    'withdrawals: each wallet takes out of its node what is its own',
    () => awaitWithdrawals(plan, outcome),
    ({ payer, payee }) =>
      `${formatAmount(payer)} at bank A, ${formatAmount(payee)} at bank B; nothing is left`,
  )
  line()
  line(summaryOf(outcome))
  line()

  const findings = await step("audit: both banks' books, alone and against each other", () =>
    auditBanks(databases, {
      settleMs: areNew ? SETTLE_MS : RECOVERY_MS,
      onUnsettled: () => line('             waiting for what is still under way'),
    }),
  )
  line(describeFindings(findings))
  if (findings.some((finding) => finding.problem)) throw new Error('the audit found problems')
  line()
  line(`From start to paid and audited: ${((performance.now() - startedAt) / 1000).toFixed(2)} s`)

  line()
  if (options.once) {
    line(nextAfterOnce(banks, client))
    return stop()
  }
  line(addressesOf(banks))
  line(nextThingsToTry(banks, client, outcome, options.dataFolder))
}

async function main(): Promise<void> {
  const exitWhenStopped = (code: number) =>
    stop().then(
      () => process.exit(code),
      (error: unknown) => {
        process.stderr.write(`while stopping: ${messageOf(error)}\n`)
        process.exit(1)
      },
    )
  let interrupted = false
  let paid = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (!interrupted) line('\nStopping …')
      interrupted = true
      void exitWhenStopped(paid ? 0 : 130)
    })
  try {
    await run()
    paid = true
    if (stopping) await exitWhenStopped(0)
  } catch (error) {
    // What fails because everything is being stopped is no news.
    if (interrupted) return
    process.stderr.write(`\nFailed: ${messageOf(error)}\n`)
    if (process.env.DEBUG) console.error(error)
    await exitWhenStopped(1)
  }
}

await main()
