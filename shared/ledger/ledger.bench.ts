/**
 * `npm run bench:ledger`: cross-currency packets through the Postgres ledger on embedded PostgreSQL, durable as in production.
 * A packet is a linked chain of two pending transfers on two ledgers and, once acknowledged, a linked chain of two posts.
 * Payers and payees are many, the two liquidity accounts are one each, as in a node that exchanges one currency for another.
 * `--seconds=<per row>`, `--in-flight=<numbers>`, `--history=<transfers>` (measures 256 again on top of them), `--path=clean|ordered`.
 * `--tigerbeetle`: through the cluster at TIGERBEETLE_REPLICA_ADDRESSES instead, whose CPU is not seen from here.
 */
import { randomUUID } from 'node:crypto'
import { cpus, loadavg } from 'node:os'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { startTemporaryPostgres } from '../embedded-postgres/index.ts'
import { createLogger } from '../platform/index.ts'
import { cpuMs } from '../testing/index.ts'
import {
  accountCode,
  auditLedger,
  createPostgresLedger,
  createTigerBeetleLedger,
  isSuccess,
  type Ledger,
  type LedgerId,
  migrateLedger,
  parseTigerBeetleCluster,
  settlementAccountId,
  type TransferEvent,
  transferCode,
} from './index.ts'

const PARTIES = 64
const USD = 1
const EUR = 2
const WARM_UP_MS = 700
const TRANSFERS_PER_PACKET = 4

interface Book {
  payers: LedgerId[]
  payees: LedgerId[]
  usdLiquidity: LedgerId
  eurLiquidity: LedgerId
}

interface Row {
  name: string
  packets: number
  packetsPerSecond: number
  p50: number
  p99: number
  nodeMicroseconds: number
  postgresMicroseconds: number
}

async function openBook(ledger: Ledger): Promise<Book> {
  const ids = (count: number) => Array.from({ length: count }, () => randomUUID())
  const book: Book = {
    payers: ids(PARTIES),
    payees: ids(PARTIES),
    usdLiquidity: randomUUID(),
    eurLiquidity: randomUUID(),
  }
  const limited = { debitsMustNotExceedCredits: true }
  const settlement = { code: accountCode.settlement, creditsMustNotExceedDebits: true }
  const created = await ledger.createAccounts([
    { id: settlementAccountId(USD), ledger: USD, ...settlement },
    { id: settlementAccountId(EUR), ledger: EUR, ...settlement },
    { id: book.usdLiquidity, ledger: USD, code: accountCode.assetLiquidity, ...limited },
    { id: book.eurLiquidity, ledger: EUR, code: accountCode.assetLiquidity, ...limited },
    ...book.payers.map((id) => ({ id, ledger: USD, code: accountCode.outgoingPayment, ...limited })),
    ...book.payees.map((id) => ({ id, ledger: EUR, code: accountCode.peer, ...limited })),
  ])
  const deposit = (ledgerNumber: number, creditAccountId: LedgerId): TransferEvent => ({
    id: randomUUID(),
    kind: 'posted',
    debitAccountId: settlementAccountId(ledgerNumber),
    creditAccountId,
    ledger: ledgerNumber,
    code: transferCode.deposit,
    amount: 10n ** 15n,
  })
  const funded = await ledger.createTransfers([
    deposit(EUR, book.eurLiquidity),
    ...book.payers.map((id) => deposit(USD, id)),
  ])
  if (![...created, ...funded].every(isSuccess)) throw new Error('the books could not be opened')
  return book
}

/** Reserves on both ledgers, then posts both. The ids are random, as the hashes that packets derive theirs from are. */
async function exchangePacket(ledger: Ledger, book: Book, number: number): Promise<void> {
  const payer = book.payers[number % PARTIES] as LedgerId
  const payee = book.payees[(number * 7) % PARTIES] as LedgerId
  const first = randomUUID()
  const second = randomUUID()
  const common = { code: transferCode.transfer, timeoutSeconds: 32, userData128: payer, userData64: 7n }
  const reserved = await ledger.createTransfers([
    {
      ...common,
      id: first,
      kind: 'pending',
      linked: true,
      debitAccountId: payer,
      creditAccountId: book.usdLiquidity,
      ledger: USD,
      amount: 1000n,
    },
    {
      ...common,
      id: second,
      kind: 'pending',
      debitAccountId: book.eurLiquidity,
      creditAccountId: payee,
      ledger: EUR,
      amount: 910n,
    },
  ])
  if (!reserved.every(isSuccess)) throw new Error(`not reserved: ${reserved.join(', ')}`)
  const posted = await ledger.createTransfers([
    { id: randomUUID(), kind: 'post', pendingId: first, linked: true },
    { id: randomUUID(), kind: 'post', pendingId: second },
  ])
  if (!posted.every(isSuccess)) throw new Error(`not posted: ${posted.join(', ')}`)
}

/** Only Linux tells. */
const serverMicroseconds = (postmaster: number | undefined): number =>
  (postmaster === undefined ? Number.NaN : (cpuMs(postmaster) ?? Number.NaN)) * 1000

const nodeMicroseconds = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

async function measure(input: {
  name: string
  ledger: Ledger
  book: Book
  postmaster: number | undefined
  inFlight: number
  seconds: number
}): Promise<Row> {
  const { ledger, book } = input
  const latencies: number[] = []
  let measuring = false
  let ended = false
  let number = 0
  const worker = async () => {
    while (!ended) {
      const start = performance.now()
      await exchangePacket(ledger, book, number++)
      if (measuring) latencies.push(performance.now() - start)
    }
  }
  const workers = Array.from({ length: input.inFlight }, worker)
  await sleep(WARM_UP_MS)
  const before = {
    node: nodeMicroseconds(),
    server: serverMicroseconds(input.postmaster),
    at: performance.now(),
  }
  measuring = true
  await sleep(input.seconds * 1000)
  measuring = false
  const after = {
    node: nodeMicroseconds(),
    server: serverMicroseconds(input.postmaster),
    at: performance.now(),
  }
  ended = true
  await Promise.all(workers)
  latencies.sort((a, b) => a - b)
  const packets = latencies.length
  return {
    name: input.name,
    packets,
    packetsPerSecond: packets / ((after.at - before.at) / 1000),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    nodeMicroseconds: (after.node - before.node) / packets,
    postgresMicroseconds: (after.server - before.server) / packets,
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function writeHistory(ledger: Ledger, book: Book, transfers: number): Promise<void> {
  let left = Math.ceil(transfers / TRANSFERS_PER_PACKET)
  const worker = async () => {
    while (left-- > 0) await exchangePacket(ledger, book, left)
  }
  await Promise.all(Array.from({ length: 480 }, worker))
}

const shown = (microseconds: number): string => (Number.isNaN(microseconds) ? '–' : microseconds.toFixed(1))

function print(rows: readonly Row[]): void {
  const columns = ['in flight', 'packets/s', 'p50 ms', 'p99 ms', 'CPU us/packet', 'Node', 'Postgres']
  const lines = rows.map((row) => [
    row.name,
    row.packetsPerSecond.toFixed(0),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    shown(row.nodeMicroseconds + row.postgresMicroseconds),
    shown(row.nodeMicroseconds),
    shown(row.postgresMicroseconds),
  ])
  for (const line of [columns, ...lines])
    console.log(line.map((cell, index) => (index === 0 ? cell.padEnd(26) : cell.padStart(14))).join(''))
}

interface Run {
  ledger: Ledger
  postmaster?: number
  values: { seconds: string; history: string; 'in-flight': string }
}

async function run({ ledger, postmaster, values }: Run): Promise<void> {
  const history = Number(values.history)
  const load = loadavg().map((value) => value.toFixed(2))
  console.log(`${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, load ${load.join(' ')}`)
  const book = await openBook(ledger)
  const rows: Row[] = []
  const common = { ledger, book, postmaster, seconds: Number(values.seconds) }
  for (const inFlight of values['in-flight'].split(',').map(Number))
    rows.push(await measure({ ...common, inFlight, name: String(inFlight) }))
  if (history > 0) {
    await writeHistory(ledger, book, history)
    rows.push(await measure({ ...common, inFlight: 256, name: `256, ${history} transfers on` }))
  }
  print(rows)
  await ledger.close()
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '3' },
      history: { type: 'string', default: '0' },
      path: { type: 'string', default: 'auto' },
      'in-flight': { type: 'string', default: '1,32,256' },
      tigerbeetle: { type: 'boolean', default: false },
    },
  })
  if (values.tigerbeetle) {
    const cluster = parseTigerBeetleCluster({
      clusterId: process.env.TIGERBEETLE_CLUSTER_ID ?? '0',
      replicaAddresses: process.env.TIGERBEETLE_REPLICA_ADDRESSES ?? '3004',
    })
    const log = createLogger({ level: 'warn', name: 'bench' })
    await run({ ledger: await createTigerBeetleLedger({ ...cluster, log }), values })
    return
  }
  const server = await startTemporaryPostgres()
  try {
    await server.createDatabase('ledger')
    const connectionString = server.connectionString('ledger')
    await migrateLedger({ connectionString })
    const ledger = createPostgresLedger({
      connectionString,
      log: createLogger({ level: 'warn', name: 'bench' }),
      path: values.path as 'auto' | 'clean' | 'ordered',
    })
    await run({ ledger, postmaster: server.pid, values })
    const findings = await auditLedger(connectionString)
    for (const finding of findings) console.log(finding.message)
    console.log(findings.length === 0 ? 'balanced' : `NOT BALANCED: ${findings.length} findings`)
    if (findings.length > 0) process.exitCode = 1
  } finally {
    await server.stop()
  }
}

await main()
