// `npm start`: two peered banks on embedded PostgreSQL and one real payment between them.
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../shared/embedded-postgres/index.ts'
import { createLogger, messageOf } from '../shared/platform/index.ts'
import { auditBanks, describeFindings } from './audit/audit-banks.ts'
import { type BankName, keyFile, loadBankSettings } from './bank-settings.ts'
import { writeConnections } from './connections.ts'
import { dataFolder, parseStartOptions } from './options.ts'
import { formatAmount, pay } from './payment.ts'
import { addressesOf, nextThingsToTry } from './screen.ts'
import { demoPlan } from './seed.ts'
import { startTwoBanks } from './two-banks.ts'

const line = (text = '') => process.stdout.write(`${text}\n`)
const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`
const step = (name: string, durationMs: number, detail = '') =>
  line(`  ${durationMs.toFixed(0).padStart(6)} ms  ${name}${detail ? `\n             ${detail}` : ''}`)

const parts: { close(): Promise<void> }[] = []
let stopping: Promise<void> | undefined

/** Newest first: the banks, then PostgreSQL. A second signal does not interrupt the first one's work. */
function stop(): Promise<void> {
  stopping ??= (async () => {
    for (const part of parts.reverse()) await part.close()
  })()
  return stopping
}

async function timed<T>(name: string, work: () => Promise<T>, detail?: (result: T) => string): Promise<T> {
  const startedAt = performance.now()
  const result = await work()
  step(name, performance.now() - startedAt, detail?.(result))
  return result
}

async function run(): Promise<void> {
  const options = parseStartOptions(process.argv.slice(2))
  const log = createLogger({ level: 'warn', name: 'upesi' })
  const startedAt = performance.now()
  line('Upesi: two banks, one payment')

  const postgres = await timed(
    'PostgreSQL',
    () => startEmbeddedPostgres({ folder: join(dataFolder, 'postgres'), durable: true }),
    (server) => (server.adopted ? 'adopted from an earlier start' : ''),
  )
  parts.push({ close: () => postgres.stop() })

  const names: readonly BankName[] = ['a', 'b']
  const codes = demoPlan.a.assets.map((asset) => asset.code)
  const [a, b] = await Promise.all(
    names.map((name) => loadBankSettings(join(dataFolder, `bank-${name}.json`), name, codes)),
  )
  if (!a || !b) throw new Error('settings of both banks')
  const databases = Object.fromEntries(
    names.map((name) => [
      name,
      {
        resources: postgres.connectionString(`bank_${name}`),
        auth: postgres.connectionString(`bank_${name}_auth`),
      },
    ]),
  ) as Record<BankName, { resources: string; auth: string }>
  await timed('databases', async () => {
    for (const name of names)
      for (const suffix of ['', '_auth']) await postgres.createDatabase(`bank_${name}${suffix}`)
  })

  await writeConnections(databases)
  const environments = Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [
        name,
        { PRIVATE_KEY_FILE: await keyFile(join(dataFolder, `bank-${name}.pem`)) },
      ]),
    ),
  ) as Record<BankName, Record<string, string>>
  const banks = await timed('banks A and B, peered and seeded', () =>
    startTwoBanks({ settings: { a, b }, databases, environments, log }),
  )
  parts.push(banks)

  line()
  line('Alice at bank A (USD) pays Bob at bank B exactly 5.00 EUR:')
  const outcome = await pay(
    { payer: banks.side('a', 'alice'), payee: banks.side('b', 'bob'), receiveValue: 500n, timeoutMs: 30_000 },
    step,
  )
  if (outcome.outgoing.state !== 'COMPLETED')
    throw new Error(
      `the payment ended as ${outcome.outgoing.state}: ${outcome.outgoing.error ?? 'no reason given'}`,
    )
  await timed('withdrawals by both wallets', () =>
    Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()]),
  )
  line()
  line(
    `  Alice paid    ${formatAmount(outcome.outgoing.debitAmount)} at most, sent ${formatAmount(outcome.outgoing.sentAmount)},`,
  )
  line(
    `                ${formatAmount({ ...outcome.outgoing.debitAmount, value: outcome.refundable.toString() })} stayed at bank A (fee and unused slippage)`,
  )
  line(`  Bob received  ${outcome.received ? formatAmount(outcome.received) : 'nothing yet'}`)
  line()

  const findings = await timed('audit of both banks', () => auditBanks(databases))
  line(describeFindings(findings))
  if (findings.some((finding) => finding.problem)) throw new Error('the audit found problems')
  line()
  line(`From start to paid and audited: ${seconds(performance.now() - startedAt)}`)

  if (options.once) return
  line()
  line(addressesOf(banks))
  line(nextThingsToTry(banks))
  line('Ctrl-C stops everything.')
}

async function main(): Promise<void> {
  const onSignal = () => {
    line('\nStopping …')
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        line(messageOf(error))
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    await run()
    if (process.argv.includes('--once')) {
      await stop()
      process.exit(0)
    }
  } catch (error) {
    process.stderr.write(`\nFailed: ${messageOf(error)}\n`)
    if (process.env.DEBUG) console.error(error)
    await stop().catch((stopError: unknown) =>
      process.stderr.write(`while stopping: ${messageOf(stopError)}\n`),
    )
    process.exit(1)
  }
}

await main()
