/**
 * `npm run bench:connector`: packets through one connector over real sockets, with the Postgres ledger, durable as in production. The
 * connector is this process; the peer that sends and the hop that answers are processes of their own, and their CPU is not counted.
 * Beside it for comparison: a process that only forwards, with node:http and undici, and a hop without a ledger. Options: `--packets=<per row>`, `--history=<transfers>`, which measures a
 * second connector, whose ledger has so many earlier transfers, in turn with the first (medians of `--rounds`).
 */
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { startTemporaryPostgres } from '../../shared/embedded-postgres/index.ts'
import { isSuccess, type Ledger, type TransferEvent, transferCode } from '../../shared/ledger/index.ts'
import { deriveId } from '../../shared/platform/index.ts'
import { cpuMs, createTestDatabase, TEST_SERVER_VARIABLE } from '../../shared/testing/index.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'
import { type Done, forkBare, forkHop, forkSender, type Load, type LoadProcess } from './load-process.ts'
import { shareOfStages } from './stages.ts'

const MONEY = 10n ** 15n
const IN_FLIGHT = [1, 32, 256]
/** Rows with one packet in flight take as long as others with fewer packets. */
const SLOWER_ALONE = 8
const HISTORY_BATCH = 1000
const HISTORY_AT_ONCE = 8

interface Way {
  name: string
  load: Pick<Load, 'url' | 'token' | 'destination' | 'sharedSecret'>
  /** Of the process that forwards; absent: this one. */
  pid?: number
}

interface Row extends Done {
  perSecond: number
  nodeMicroseconds: number
  postgresMicroseconds: number
}

interface Bench {
  sender: LoadProcess
  postgresPid: number
}

function nodeMsOf({ pid }: Way): number {
  if (pid !== undefined) return cpuMs(pid) ?? Number.NaN
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

async function measure(
  { sender, postgresPid }: Bench,
  way: Way,
  inFlight: number,
  packets: number,
): Promise<Row> {
  const postgresBefore = cpuMs(postgresPid) ?? Number.NaN
  const before = nodeMsOf(way)
  const done = await sender.send({ ...way.load, inFlight, packets })
  const nodeMs = nodeMsOf(way) - before
  const postgresMs = (cpuMs(postgresPid) ?? Number.NaN) - postgresBefore
  if (done.fulfilled !== packets) throw new Error(`${way.name}: ${done.fulfilled} of ${packets} fulfilled`)
  return {
    ...done,
    perSecond: (packets / done.ms) * 1000,
    nodeMicroseconds: (nodeMs * 1000) / packets,
    postgresMicroseconds: (postgresMs * 1000) / packets,
  }
}

const columns = ['in flight', 'packets/s', 'p50 ms', 'p99 ms', 'CPU us', 'Node', 'Postgres']
const line = (name: string, cells: readonly string[]) =>
  console.log(name.padEnd(30) + cells.map((cell) => cell.padStart(11)).join(''))
const cellsOf = (inFlight: number, row: Row) => [
  String(inFlight),
  row.perSecond.toFixed(0),
  row.p50Ms.toFixed(1),
  row.p99Ms.toFixed(1),
  (row.nodeMicroseconds + row.postgresMicroseconds).toFixed(0),
  row.nodeMicroseconds.toFixed(0),
  row.postgresMicroseconds.toFixed(0),
]

const accepting = (): Pick<Ledger, 'createTransfers'> => ({
  createTransfers: async (events) => events.map(() => 'created' as const),
})

interface Ways {
  node: TestNode
  sameAsset: Way
  all: Way[]
  /** As many transfers as that between the accounts that packets move money between. */
  writeHistory(transfers: number): Promise<void>
  close(): Promise<void>
}

async function openWays(hopUrl: string, options: { withoutLedger?: boolean } = {}): Promise<Ways> {
  const database = await createTestDatabase('resources')
  const node = await startTestNode({
    connectionString: database.connectionString,
    ...(options.withoutLedger && { change: ({ ledger }) => ({ ledger: { ...ledger, ...accepting() } }) }),
  })
  const cents = await node.asset('USD', 2, options.withoutLedger ? 0n : MONEY)
  const mills = await node.asset('USD', 3, options.withoutLedger ? 0n : MONEY)
  const from = await node.peer(cents, {
    address: 'test.from',
    ...(!options.withoutLedger && { liquidity: MONEY }),
    packetsPerMinute: 10 ** 9,
  })
  const to = await node.peer(cents, { address: 'test.same', endpoint: hopUrl })
  await node.peer(mills, { address: 'test.cross', endpoint: hopUrl })
  const receiver = await node.incomingPayment(cents)
  const through = { url: node.url, token: from.token }
  const forward = (address: string) => ({ ...through, destination: `test.${address}.${'x'.repeat(70)}` })
  const sameAsset: Way = {
    name: options.withoutLedger ? 'forward, no ledger' : 'forward, one asset',
    load: forward('same'),
  }
  const { ilpAddress: destination, sharedSecret } = receiver
  return {
    node,
    sameAsset,
    all: [
      sameAsset,
      { name: 'forward, two assets', load: forward('cross') },
      { name: 'local delivery', load: { ...through, destination, sharedSecret } },
    ],
    writeHistory: (transfers) =>
      writeHistory(node.node.ledger, { from: from.id, to: to.id, ledger: cents.ledger }, transfers),
    async close() {
      await node.close()
      await database.drop()
    },
  }
}

async function writeHistory(
  ledger: Ledger,
  accounts: { from: string; to: string; ledger: number },
  transfers: number,
): Promise<void> {
  const event = (index: number): TransferEvent => ({
    id: deriveId('history', index),
    kind: 'posted',
    debitAccountId: index % 2 === 0 ? accounts.from : accounts.to,
    creditAccountId: index % 2 === 0 ? accounts.to : accounts.from,
    ledger: accounts.ledger,
    code: transferCode.transfer,
    amount: 1n,
  })
  let next = 0
  const lane = async () => {
    while (next < transfers) {
      const from = next
      next += HISTORY_BATCH
      const count = Math.min(HISTORY_BATCH, transfers - from)
      const statuses = await ledger.createTransfers(
        Array.from({ length: count }, (_, index) => event(from + index)),
      )
      if (!statuses.every(isSuccess))
        throw new Error(`history: ${statuses.find((status) => !isSuccess(status))}`)
    }
  }
  await Promise.all(Array.from({ length: HISTORY_AT_ONCE }, lane))
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

/** In turn, so that a busy minute of the machine counts for both. */
async function compareWithHistory(bench: Bench, ways: Record<string, Way>, rounds: number, packets: number) {
  const rows = new Map<string, Row[]>(Object.keys(ways).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const [name, way] of Object.entries(ways))
      rows.get(name)?.push(await measure(bench, way, 256, packets))
  for (const [name, measured] of rows) {
    const field = (of: (row: Row) => number) => median(measured.map(of))
    line(name, [
      '256',
      field((row) => row.perSecond).toFixed(0),
      field((row) => row.p50Ms).toFixed(1),
      field((row) => row.p99Ms).toFixed(1),
      field((row) => row.nodeMicroseconds + row.postgresMicroseconds).toFixed(0),
      field((row) => row.nodeMicroseconds).toFixed(0),
      field((row) => row.postgresMicroseconds).toFixed(0),
    ])
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      packets: { type: 'string', default: '20000' },
      history: { type: 'string', default: '0' },
      rounds: { type: 'string', default: '5' },
    },
  })
  const packets = Number(values.packets)
  const history = Number(values.history)
  const postgres = await startTemporaryPostgres()
  process.env[TEST_SERVER_VARIABLE] = postgres.connectionString('postgres')
  const hop = await forkHop()
  const forwarder = await forkBare(hop.url)
  const sender = forkSender()
  const bench = { sender, postgresPid: postgres.pid }
  const open: Ways[] = []
  try {
    const ways = await openWays(hop.url)
    open.push(ways)
    const bare = await openWays(hop.url, { withoutLedger: true })
    open.push(bare)
    console.log(
      `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}`,
    )
    console.log(
      'CPU in microseconds per packet, of connector and PostgreSQL; sender and next hop share the machine',
    )
    line('', columns)
    const floor: Way = {
      name: 'bare node:http and undici',
      load: { ...ways.sameAsset.load, url: forwarder.url },
      pid: forwarder.pid,
    }
    for (const way of [floor, bare.sameAsset, ...ways.all]) {
      // Until the code that runs is the code that V8 makes of it in the long run.
      await measure(bench, way, 256, packets)
      for (const inFlight of IN_FLIGHT) {
        const count = inFlight === 1 ? Math.ceil(packets / SLOWER_ALONE) : packets
        line(way.name, cellsOf(inFlight, await measure(bench, way, inFlight, count)))
      }
    }
    for (const way of ways.all) {
      const shares = await shareOfStages(() => measure(bench, way, 256, packets))
      const words = [...shares].map(([stage, share]) => `${stage} ${(share * 100).toFixed(0)} %`)
      console.log(`${way.name}, connector's time at 256 in flight: ${words.join(', ')}`)
    }
    if (history > 0) {
      const old = await openWays(hop.url)
      open.push(old)
      await old.writeHistory(history)
      await compareWithHistory(
        bench,
        { 'one asset, new ledger': ways.sameAsset, [`one asset, ${history} earlier`]: old.sameAsset },
        Number(values.rounds),
        packets,
      )
    }
  } finally {
    hop.stop()
    forwarder.stop()
    sender.stop()
    for (const ways of open) await ways.close()
    await postgres.stop()
  }
}

await main()
