/**
 * `npm run bench:open-payments`: requests to the resource server and the authorization server, each a process of its own as in
 * production, over embedded PostgreSQL, durable as in production. The load comes from one more process, which is not counted.
 * `--seconds=<per row>`, `--warm-up=<seconds>`, `--connections=<numbers>`, `--kind=<part of a name>`, `--profile=<folder>`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startTemporaryPostgres } from '../shared/embedded-postgres/index.ts'
import { authEnvironment, bankEnvironment, createBankSettings } from './bank-settings.ts'
import { cpuMs } from './cpu.ts'
import { type LoadGenerator, startLoadGenerator } from './load/load-generator.ts'
import { fetchTokens, type LoadKind, loadKinds, seedOpenPayments } from './load/open-payments-load.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    'warm-up': { type: 'string', default: '6' },
    connections: { type: 'string', default: '1,64' },
    kind: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})

interface Server {
  pid: number
  stop(): Promise<void>
}

/** A deployable's own `server.ts`; ready when it says so. */
async function startServer(path: string, environment: Record<string, string>): Promise<Server> {
  const profiling = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : []
  const file = fileURLToPath(new URL(path, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [...profiling, file], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (!child.stdout || child.pid === undefined) throw new Error(`${path} did not start`)
  const lines = createInterface(child.stdout)
  const started = await Promise.race([
    (async () => {
      for await (const line of lines) if (line.includes('"started"')) return true
      return false
    })(),
    once(child, 'exit').then(() => false),
  ])
  if (!started) throw new Error(`${path} ended while starting`)
  child.stdout.resume()
  return {
    pid: child.pid,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/**
 * What one Ed25519 verification costs in this process meanwhile, in µs of CPU: neighbours on the machine make it rise, and with it
 * everything else.
 */
function startYardstick(): { stop(): number } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const message = Buffer.alloc(300, 'x')
  const signature = sign(null, message, privateKey)
  let micros = 0
  let count = 0
  const timer = setInterval(() => {
    const before = process.cpuUsage()
    for (let round = 0; round < 20; round++) verify(null, message, publicKey, signature)
    const { user, system } = process.cpuUsage(before)
    micros += user + system
    count += 20
  }, 200)
  return {
    stop() {
      clearInterval(timer)
      return micros / count
    },
  }
}

interface Row {
  name: string
  /** {@link startYardstick} */
  verifyMicros: number
  connections: number
  perSecond: number
  p50: number
  p99: number
  failures: number
  /** Microseconds of CPU per request, by process. */
  cpu: Record<string, number>
}

async function measure(input: {
  kind: LoadKind
  ports: Record<LoadKind['server'], number>
  connections: number
  generator: LoadGenerator
  processes: Record<string, number>
}): Promise<Row> {
  const { kind, connections, generator, processes } = input
  const readings: Record<string, number>[] = []
  const read = () =>
    readings.push(
      Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, cpuMs(pid) ?? Number.NaN])),
    )
  const port = input.ports[kind.server]
  const yardstick = startYardstick()
  const result = await generator.run(
    {
      port,
      connections,
      requests: kind.requests(`http://localhost:${port}`),
      expectedStatus: kind.expectedStatus,
      warmUpMs: Number(options['warm-up']) * 1000,
      measuredMs: Number(options.seconds) * 1000,
    },
    read,
  )
  if (result.firstFailure !== undefined) console.error(`unexpected answer: ${result.firstFailure}`)
  const [before = {}, after = {}] = readings
  const cpu = Object.keys(processes).map((name) => [
    name,
    (((after[name] ?? Number.NaN) - (before[name] ?? Number.NaN)) * 1000) / result.answers,
  ])
  return {
    name: kind.name,
    verifyMicros: yardstick.stop(),
    connections,
    perSecond: (result.answers * 1000) / result.elapsedMs,
    p50: result.p50Ms,
    p99: result.p99Ms,
    failures: result.failures,
    cpu: Object.fromEntries(cpu) as Record<string, number>,
  }
}

const GENERATOR = 'generator'
const COUNTED = ['open-payments', 'auth', 'Postgres']
const COLUMNS = ['conns', 'req/s', 'p50 ms', 'p99 ms', 'failed', 'CPU µs', ...COUNTED, GENERATOR, 'Ed25519']

const printLine = (name: string, cells: readonly string[]) =>
  console.log(
    `${name.padEnd(26)}${cells.map((cell) => cell.padStart(Math.max(9, cell.length + 2))).join('')}`,
  )

function printRow(row: Row): void {
  const counted = COUNTED.map((name) => row.cpu[name] ?? Number.NaN)
  const figures = [
    String(row.connections),
    row.perSecond.toFixed(0),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    String(row.failures),
    ...[
      counted.reduce((sum, value) => sum + value, 0),
      ...counted,
      row.cpu[GENERATOR] ?? Number.NaN,
      row.verifyMicros,
    ].map((microseconds) => microseconds.toFixed(0)),
  ]
  const widths = COLUMNS.map((column) => Math.max(9, column.length + 2))
  console.log(
    `${row.name.padEnd(26)}${figures.map((figure, index) => figure.padStart(widths[index] ?? 9)).join('')}`,
  )
}

async function main(): Promise<void> {
  const closers: (() => Promise<void>)[] = []
  const postgres = await startTemporaryPostgres()
  closers.push(() => postgres.stop())
  try {
    const settings = await createBankSettings('a', [])
    for (const name of ['bank', 'bank_auth']) await postgres.createDatabase(name)
    const environment = bankEnvironment(
      settings,
      { resources: postgres.connectionString('bank'), auth: postgres.connectionString('bank_auth') },
      { NODE_ENV: 'production' },
    )
    const load = await seedOpenPayments(environment)
    const start = async (path: string, env: Record<string, string>) => {
      const server = await startServer(path, env)
      closers.push(server.stop)
      return server
    }
    const auth = await start('../functions/auth/server.ts', authEnvironment(settings, environment))
    const openPayments = await start('../functions/open-payments/server.ts', environment)
    await fetchTokens(load, `http://localhost:${settings.ports.auth}`)
    const generator = startLoadGenerator()
    closers.push(generator.close)

    console.log(
      `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}, NODE_ENV=production`,
    )
    console.log('CPU in µs per request: the sum of the three columns behind it; the generator is not in it.')
    console.log(
      'Ed25519: µs of CPU that a verification took elsewhere at that time; it rises when others are busy here.',
    )
    printLine('request', COLUMNS)
    const processes = {
      'open-payments': openPayments.pid,
      auth: auth.pid,
      Postgres: postgres.pid,
      [GENERATOR]: generator.pid,
    }
    const { ports } = settings
    for (const kind of loadKinds(load).filter(({ name }) => name.includes(options.kind)))
      for (const connections of options.connections.split(',').map(Number))
        printRow(await measure({ kind, ports, connections, generator, processes }))
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

await main()
