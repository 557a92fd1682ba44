import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import type { Environment } from './config.ts'
import { ConfigError } from './config.ts'
import { messageOf } from './errors.ts'

/** A deployable that runs: its listeners' ports by name, and how to end it. */
export interface RunningDeployable {
  name: string
  /** Actual ports, also where the configuration said 0. */
  ports: Readonly<Record<string, number>>
  /** Refuses new work, finishes what is in flight, closes connections. */
  close(): Promise<void>
}

/**
 * What runs the process. A `server` runs until it is told to end. A `sandbox` (Lambda) runs while it is invoked: between two
 * invocations everything in it stands still, its timers and its connections too, and nobody tells it that it ends.
 */
export type Host = 'server' | 'sandbox'

/** What a sandbox does around the work of each invocation, while it is not frozen. */
export interface Invocation {
  /** Before the work: hears what was said while everything stood still. */
  begin(): Promise<void>
  /** After it: what would otherwise happen after the answer, and so perhaps never. */
  end(): Promise<void>
}

/** Reads the environment, connects, migrates, and builds what listens or works, which its caller then starts or invokes. */
export type OpenDeployable<Opened extends { close(): Promise<void> }> = (
  env: Environment,
  host: Host,
) => Promise<Opened>

/** Reads the environment, connects, migrates, listens. Throws {@link ConfigError} with every problem at once. */
export type StartDeployable = (env: Environment) => Promise<RunningDeployable>

/**
 * `env` with what the dotenv file adds: ENV_FILE, by default `.env` where there is one (environment.md: Parsing rules). A variable
 * that is set already wins. Throws {@link ConfigError} when a file that was named cannot be read.
 */
export function withEnvironmentFile(env: Environment): Environment {
  const file = env.ENV_FILE || '.env'
  try {
    return { ...parseEnv(readFileSync(file, 'utf8')), ...env }
  } catch (error) {
    if (!env.ENV_FILE && (error as { code?: string }).code === 'ENOENT') return env
    throw new ConfigError([`ENV_FILE ${file} cannot be read: ${messageOf(error)}`])
  }
}

/** What `opening` gives; when it fails, what was open already is closed first. */
export async function orClose<T>(opening: Promise<T>, close: () => Promise<void>): Promise<T> {
  try {
    return await opening
  } catch (error) {
    await close()
    throw error
  }
}

/** 128 and the signal's number, as a shell says it. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const
const signals = ['SIGTERM', 'SIGINT'] as const
/** What could be closed has been closed before. */
const LEFT_OPEN_MS_MAX = 5_000

/**
 * The main of a `server.ts`: start, report, and drain on SIGTERM or SIGINT. Whoever is told while it starts has nothing to drain, and
 * ends at once. The entry passes `process.env`; nothing below reads it.
 */
export async function runDeployable(start: StartDeployable, env: Environment): Promise<void> {
  // In a container it is process 1, to which a signal that it does not listen for is none.
  const giveUp = (signal: keyof typeof EXIT_CODES) => process.exit(EXIT_CODES[signal])
  for (const signal of signals) process.on(signal, giveUp)
  let running: RunningDeployable
  try {
    running = await start(withEnvironmentFile(env))
  } catch (error) {
    console.error(error instanceof ConfigError ? error.message : error)
    process.exitCode = 1
    // Whatever is left open would hold a process that is of no use, and in the place of the next one.
    setTimeout(() => process.exit(), LEFT_OPEN_MS_MAX).unref()
    return
  }
  console.log(JSON.stringify({ started: running.name, ports: running.ports, pid: process.pid }))
  let closing = false
  const stop = () => {
    if (closing) return
    closing = true
    running.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(messageOf(error))
        process.exit(1)
      },
    )
  }
  for (const signal of signals) process.on(signal, stop).off(signal, giveUp)
}
