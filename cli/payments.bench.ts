// `npm run bench:payments`: whole payments between two banks through Admin API and webhooks, at 1, 10, 50 and 200 in flight. Each
// bank runs in a process of its own; wallets, load and the clock are in this one. PostgreSQL is durable, as in production.
import { availableParallelism, cpus, loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { startTemporaryPostgres } from '../shared/embedded-postgres/index.ts'
import { createLogger } from '../shared/platform/index.ts'
import { cpuMs } from '../shared/testing/index.ts'
import { auditBanks, describeFindings } from './audit/audit-banks.ts'
import { deployableNames } from './bank.ts'
import { type BankName, bankEnvironment, createBankSettings } from './bank-settings.ts'
import { type ChildBank, startChildBank } from './child-bank.ts'
import { pay } from './payment.ts'
import { demoPlan, type SeedPlan } from './seed.ts'
import { deposit, ended, prepare } from './testing/many-payments.ts'
import { startTwoBanks, type TwoBanks } from './two-banks.ts'

/**
 * Before the rows of a kind, until most of what runs is what V8 makes of it in the long run. One payment after the other would take minutes
 * for that, and its row would say what a start costs.
 */
const WARM_UP = { inFlight: 50, settleMs: 15_000, measuredMs: 0 }
/** What settles before each row, until as many are under way at every step as will be, and what is counted. */
const MEASURED = { settleMs: 3_000, measuredMs: 8_000 }
const IN_FLIGHT = [1, 10, 50, 200]
const NAMES: readonly BankName[] = ['a', 'b']

/** Liquidity for the whole run, and no fee. */
const plan = (name: BankName): SeedPlan => {
  const { sendingFee: _fee, ...rest } = demoPlan[name]
  return { ...rest, assetLiquidity: 10n ** 12n, peerLiquidity: 10n ** 12n }
}

interface Kind {
  name: string
  payee: [BankName, string]
}
const kinds: readonly Kind[] = [
  { name: 'local, USD→EUR', payee: ['a', 'amara'] },
  { name: 'remote, USD→EUR', payee: ['b', 'bob'] },
]

interface Measurement {
  perSecond: number
  p50: number
  p95: number
  failures: number
  /** CPU milliseconds per payment, by process. */
  cpu: Record<string, number>
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/** CPU milliseconds so far. The wallets' share is this process alone: the banks and PostgreSQL are its children. */
function readCpu(processes: Record<string, number>): Record<string, number> {
  const own = process.cpuUsage()
  const entries = Object.entries(processes).map(([name, pid]) => [
    name,
    pid === process.pid ? (own.user + own.system) / 1000 : (cpuMs(pid) ?? 0),
  ])
  return Object.fromEntries(entries) as Record<string, number>
}

/**
 * A closed loop: as many payers as are in flight, each starting the next payment when one has ended. Counted is what ends within
 * `measuredMs`, while as many are under way before and after: neither the first wave, which goes in step, nor the last one.
 */
async function load(
  banks: TwoBanks,
  kind: Kind,
  inFlight: number,
  { settleMs, measuredMs }: { settleMs: number; measuredMs: number },
  window: { opens(): void; closes(): void } = { opens: () => undefined, closes: () => undefined },
) {
  const latencies: number[] = []
  let failures = 0
  let isMeasured = false
  let isOver = false
  const payer = async () => {
    while (!isOver) {
      const startedAt = performance.now()
      const outcome = await pay({
        payer: banks.side('a', 'alice'),
        payee: banks.side(...kind.payee),
        receiveValue: 500n,
        timeoutMs: 60_000,
      }).catch((error: unknown) => ({ outgoing: { state: String(error) } }))
      if (outcome.outgoing.state !== 'COMPLETED') {
        if (++failures <= 3) console.error(`a payment ended as ${outcome.outgoing.state}`)
      } else if (isMeasured) latencies.push(performance.now() - startedAt)
    }
  }
  const payers = Promise.all(Array.from({ length: inFlight }, payer))
  await setTimeout(settleMs)
  window.opens()
  isMeasured = true
  await setTimeout(measuredMs)
  isMeasured = false
  window.closes()
  isOver = true
  await payers
  return { latencies: latencies.sort((a, b) => a - b), failures }
}

async function measure(
  banks: TwoBanks,
  processes: Record<string, number>,
  kind: Kind,
  inFlight: number,
): Promise<Measurement> {
  const read = () => ({ at: performance.now(), cpu: readCpu(processes) })
  let from = read()
  let to = from
  const { latencies, failures } = await load(banks, kind, inFlight, MEASURED, {
    opens: () => (from = read()),
    closes: () => (to = read()),
  })
  const perPayment = (name: string) =>
    ((to.cpu[name] ?? 0) - (from.cpu[name] ?? 0)) / Math.max(latencies.length, 1)
  return {
    perSecond: (latencies.length * 1000) / (to.at - from.at),
    p50: percentile(latencies, 0.5),
    p95: percentile(latencies, 0.95),
    failures,
    cpu: Object.fromEntries(Object.keys(processes).map((name) => [name, perPayment(name)])),
  }
}

const DEPOSITS = 200

/** Payments whose money comes in the same moment. Throws when a deposit is refused. */
async function depositAtOnce(banks: TwoBanks): Promise<string> {
  const resume = banks.a.wallet.holdDeposits()
  const payments = await prepare(banks, ['a', 'amara'], DEPOSITS, 60_000)
  const startedAt = performance.now()
  const sorted = (
    await Promise.all(
      payments.map(async (payment) => {
        await deposit(payment)
        return performance.now() - startedAt
      }),
    )
  ).sort((a, b) => a - b)
  resume()
  const completed = (await ended(payments)).filter(({ state }) => state === 'COMPLETED').length
  const [p50, p95] = [percentile(sorted, 0.5), percentile(sorted, 0.95)]
  return `${DEPOSITS} deposits at once: all succeeded, p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms; ${completed} payments completed`
}

const column = (value: string | number, width: number) => String(value).padStart(width)

function header(processes: readonly string[]): string {
  const cpuColumns = processes.map((name) => column(`cpu ${name}`, 12)).join('')
  return `${'payment'.padEnd(18)}${column('in flight', 10)}${column('paid/s', 9)}${column('p50 ms', 9)}${column('p95 ms', 9)}${column('failed', 8)}${cpuColumns}`
}

function row(kind: Kind, inFlight: number, result: Measurement): string {
  const cpuColumns = Object.values(result.cpu)
    .map((milliseconds) => column(milliseconds.toFixed(1), 12))
    .join('')
  return `${kind.name.padEnd(18)}${column(inFlight, 10)}${column(result.perSecond.toFixed(1), 9)}${column(result.p50.toFixed(0), 9)}${column(result.p95.toFixed(0), 9)}${column(result.failures, 8)}${cpuColumns}`
}

async function main(): Promise<void> {
  const postgres = await startTemporaryPostgres()
  const children: ChildBank[] = []
  let banks: TwoBanks | undefined
  try {
    const codes = demoPlan.a.assets.map((asset) => asset.code)
    const settings = { a: await createBankSettings('a', codes), b: await createBankSettings('b', codes) }
    const databases = {
      a: { resources: postgres.connectionString('bank_a'), auth: postgres.connectionString('bank_a_auth') },
      b: { resources: postgres.connectionString('bank_b'), auth: postgres.connectionString('bank_b_auth') },
    }
    for (const name of NAMES)
      for (const suffix of ['', '_auth']) await postgres.createDatabase(`bank_${name}${suffix}`)
    for (const name of NAMES)
      children.push(
        await startChildBank({
          settings: settings[name],
          environment: bankEnvironment(settings[name], databases[name], { NODE_ENV: 'production' }),
        }),
      )
    const [childA, childB] = children
    if (!childA || !childB) throw new Error('both banks run')
    banks = await startTwoBanks({
      settings,
      databases,
      plans: { a: plan('a'), b: plan('b') },
      except: { a: deployableNames, b: deployableNames },
      log: createLogger({ level: 'warn', name: 'bench' }),
    })
    const processes = { A: childA.pid, B: childB.pid, Postgres: postgres.pid, wallets: process.pid }
    console.log(
      `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} CPUs, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}`,
    )
    console.log('CPU in ms per payment; wallets and load generator share the machine (column wallets)')
    console.log(header(Object.keys(processes)))
    for (const kind of kinds) {
      await load(banks, kind, WARM_UP.inFlight, WARM_UP)
      for (const inFlight of IN_FLIGHT)
        console.log(row(kind, inFlight, await measure(banks, processes, kind, inFlight)))
    }
    console.log(await depositAtOnce(banks))
    await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
    console.log(describeFindings(await auditBanks(databases)))
  } finally {
    await banks?.close()
    for (const child of children) await child.close()
    await postgres.stop()
  }
}

await main()
