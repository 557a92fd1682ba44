// What the benchmarks of listeners have in common: servers in processes of their own, a row of figures for each kind of request.
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { cpuMs } from '../../shared/testing/index.ts'
import type { LoadGenerator } from './load-generator.ts'

/** One kind of request, as often as it is sent. */
export interface BenchKind {
  name: string
  port: number
  requests: readonly Uint8Array[]
  expectedStatus: number
}

export interface Server {
  pid: number
  stop(): Promise<void>
}

/** A deployable's own `server.ts`, named from here; ready when it says so. `profile`: a folder for its CPU profile. */
export async function startServer(
  path: string,
  environment: Record<string, string>,
  profile?: string,
): Promise<Server> {
  const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []
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

export async function measure(input: {
  kind: BenchKind
  connections: number
  warmUpMs: number
  measuredMs: number
  generator: LoadGenerator
  processes: Record<string, number>
}): Promise<Row> {
  const { kind, connections, generator, processes } = input
  const readings: Record<string, number>[] = []
  const read = () =>
    readings.push(
      Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, cpuMs(pid) ?? Number.NaN])),
    )
  const yardstick = startYardstick()
  const result = await generator.run(
    {
      port: kind.port,
      connections,
      requests: kind.requests,
      expectedStatus: kind.expectedStatus,
      warmUpMs: input.warmUpMs,
      measuredMs: input.measuredMs,
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

/** The generator's column, which is not counted. */
export const GENERATOR = 'generator'
const columnsOf = (counted: readonly string[]) => [
  'conns',
  'req/s',
  'p50 ms',
  'p99 ms',
  'failed',
  'CPU µs',
  ...counted,
  GENERATOR,
  'Ed25519',
]

const printLine = (name: string, cells: readonly string[]) =>
  console.log(
    `${name.padEnd(26)}${cells.map((cell) => cell.padStart(Math.max(9, cell.length + 2))).join('')}`,
  )

export function printRow(row: Row, counted: readonly string[]): void {
  const micros = counted.map((name) => row.cpu[name] ?? Number.NaN)
  const figures = [
    String(row.connections),
    row.perSecond.toFixed(0),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    String(row.failures),
    ...[
      micros.reduce((sum, value) => sum + value, 0),
      ...micros,
      row.cpu[GENERATOR] ?? Number.NaN,
      row.verifyMicros,
    ].map((microseconds) => microseconds.toFixed(0)),
  ]
  const widths = columnsOf(counted).map((column) => Math.max(9, column.length + 2))
  console.log(
    `${row.name.padEnd(26)}${figures.map((figure, index) => figure.padStart(widths[index] ?? 9)).join('')}`,
  )
}

/** Where and how, and the head of the table. `counted`: the processes whose CPU is. */
export function printHead(counted: readonly string[]): void {
  console.log(
    `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}, NODE_ENV=production`,
  )
  console.log(
    `CPU in µs per request: the sum of the ${counted.length} columns behind it; the generator is not in it.`,
  )
  console.log(
    'Ed25519: µs of CPU that a verification took elsewhere at that time; it rises when others are busy here.',
  )
  printLine('request', columnsOf(counted))
}
