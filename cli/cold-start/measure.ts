import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** From the start of the process until its first answer. */
export interface Sample {
  /** User and system time of the process, in ms. */
  cpuMs: number
  /** As the process itself counts it: what came before its first line of code is in it. */
  wallMs: number
  /** What it used of the processor in the 200 ms after the answer: left for later, or forgotten. */
  laterCpuMs?: number
}

export interface Invocation {
  /** Of a `lambda` module. */
  module: string
  handler: string
  event: unknown
  environment: Record<string, string>
  /** Of the answer; anything else is no sample. */
  status: number
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** What a child says on file descriptor 3, and the rest when it says nothing there. */
async function reportOf(child: ChildProcess): Promise<Record<string, unknown>> {
  let report = ''
  let output = ''
  child.stdio[3]?.on('data', (chunk: Buffer) => {
    report += chunk.toString()
  })
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  await new Promise((resolve) => child.once('close', resolve))
  if (report === '') throw new Error(`a process ended without a word: ${output.slice(0, 2_000)}`)
  return JSON.parse(report) as Record<string, unknown>
}

const start = (args: string[], environment: Record<string, string>): ChildProcess =>
  spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ENV_FILE: '/dev/null', ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })

/** One sandbox, one invocation. */
export async function measureInvocation(
  invocation: Invocation,
  nodeOptions: readonly string[] = [],
): Promise<Sample> {
  const { module, handler, event, environment } = invocation
  const child = start(
    [...nodeOptions, file('./invoke.mjs'), module, handler, JSON.stringify(event)],
    environment,
  )
  const { status, body, ...sample } = await reportOf(child)
  if (status !== invocation.status) throw new Error(`${handler} answered ${String(status)}: ${String(body)}`)
  return sample as unknown as Sample
}

/** One server until it says that it has started and `/readyz` of its first port has answered, where it listens. */
export async function measureServer(module: string, environment: Record<string, string>): Promise<Sample> {
  const child = start(['--import', file('./probe.mjs'), module], environment)
  const report = reportOf(child)
  const started = new Promise<{ ports: Record<string, number> }>((resolve) => {
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const line = output.split('\n').find((text) => text.startsWith('{"started"'))
      if (line) resolve(JSON.parse(line) as { ports: Record<string, number> })
    })
  })
  const running = await Promise.race([started, report.then(() => undefined)])
  const [port] = Object.values(running?.ports ?? {})
  if (port !== undefined) await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()
  child.kill('SIGUSR2')
  return (await report) as unknown as Sample
}
