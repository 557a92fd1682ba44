import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import pg from 'pg'
import { Fault } from '../platform/index.ts'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { asAccount, makePrivateFolder, serverEnvironment, USER } from './data-folder.ts'
import { commandOf, isAlive, poll, processIdentity } from './processes.ts'

/** A server that answers. */
export interface Postmaster {
  pid: number
  socketFolder: string
}

const START_MS_MAX = 60_000
const STOP_MS_MAX = 60_000
/** A server whose postmaster was killed leaves processes that hold its memory for a moment; a start is refused until they end. */
const RETRY_MS_MAX = 10_000
const LEFTOVERS = /pre-existing shared memory block|lock file ".*" already exists/
const LOG_LINES_SHOWN = 15
const SOCKET_PREFIX = 'upesi-pg-'

/** What PostgreSQL says of itself in its pid file; `undefined` while the file is absent or half written. */
function readPidFile(data: string): Postmaster | undefined {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    const pid = Number(lines[0])
    const socketFolder = lines[4]
    return pid > 0 && socketFolder ? { pid, socketFolder } : undefined
  } catch {
    return undefined
  }
}

/** The pid file outlives a killed server, and its number may now belong to anyone. */
const isOurs = (data: string, pid: number): boolean =>
  isAlive(pid) && (commandOf(pid)?.includes(data) ?? false)

const servesAt = ({ pid, socketFolder }: Postmaster): boolean =>
  isAlive(pid) && (commandOf(pid)?.includes(socketFolder) ?? false)

export const connectionStringOf = (server: Postmaster, password: string, database: string): string =>
  `postgresql://${USER}:${password}@/${encodeURIComponent(database)}?host=${encodeURIComponent(server.socketFolder)}`

async function answers(server: Postmaster, password: string): Promise<boolean> {
  const client = new pg.Client({
    connectionString: connectionStringOf(server, password, 'postgres'),
    connectionTimeoutMillis: 5_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

const lastLines = (log: string): string => {
  try {
    return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
  } catch {
    return ''
  }
}

const startFailed = (message: string, log: string) =>
  new Fault('embedded_postgres_failed', { retryable: false, message: `${message}\n${lastLines(log)}`.trim() })

/** The server that already runs on this data, once it answers; `undefined` when none does. */
export async function findRunning(input: {
  data: string
  password: string
  log: string
}): Promise<Postmaster | undefined> {
  const first = readPidFile(input.data)
  if (!first) return undefined
  if (!isOurs(input.data, first.pid)) {
    // Left by a server that was killed. PostgreSQL removes it too, but not while an unrelated process has the number.
    rmSync(join(input.data, 'postmaster.pid'), { force: true })
    // Data that was copied while its server ran names the socket of a server that still runs.
    if (!servesAt(first)) removeSocketFolder(first.socketFolder)
    return undefined
  }
  const state = await poll(
    async () => {
      if (!isOurs(input.data, first.pid)) return 'ended'
      return (await answers(first, input.password)) ? 'answers' : undefined
    },
    { timeoutMs: START_MS_MAX, everyMs: 50 },
  )
  if (state === 'answers') return first
  if (state === 'ended') return undefined
  throw startFailed(`PostgreSQL (process ${first.pid}) runs and does not answer`, input.log)
}

const settings = (durable: boolean): string[] =>
  [
    'listen_addresses=',
    'unix_socket_permissions=0700',
    'max_connections=1000',
    'shared_buffers=128MB',
    'max_wal_size=2GB',
    // Nothing replicates from here.
    'wal_level=minimal',
    'max_wal_senders=0',
    // Short queries by index: planning for compilation or parallel workers only costs.
    'jit=off',
    'max_parallel_workers_per_gather=0',
    'timezone=UTC',
    'log_timezone=UTC',
    'log_checkpoints=off',
    ...(durable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
  ].flatMap((setting) => ['-c', setting])

interface StartInput {
  binaries: Binaries
  data: string
  log: string
  password: string
  account: Account | undefined
  durable: boolean
}

/** Starts it detached, so that a Ctrl-C meant for us does not reach it: it stops last, when we say so. */
async function startOnce(input: StartInput): Promise<Postmaster | 'leftovers'> {
  const socketFolder = makePrivateFolder(SOCKET_PREFIX, input.account)
  if (existsSync(input.log)) renameSync(input.log, `${input.log}.1`)
  const log = openSync(input.log, 'a', 0o600)
  const child = spawn(
    input.binaries.postgres,
    ['-D', input.data, '-c', `unix_socket_directories=${socketFolder}`, ...settings(input.durable)],
    {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: serverEnvironment,
      ...asAccount(input.account),
    },
  )
  closeSync(log)
  child.unref()
  let ended: string | undefined
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', (code, signal) => {
    ended ??= `exit ${code ?? signal}`
  })
  const started = await poll(
    async () => {
      if (ended !== undefined) return 'ended'
      const pid = child.pid
      if (pid === undefined) return undefined
      return (await answers({ pid, socketFolder }, input.password)) ? { pid, socketFolder } : undefined
    },
    { timeoutMs: START_MS_MAX, everyMs: 10 },
  )
  if (started !== undefined && started !== 'ended') return started
  child.kill('SIGKILL')
  removeSocketFolder(socketFolder)
  if (LEFTOVERS.test(lastLines(input.log))) return 'leftovers'
  throw startFailed(`PostgreSQL did not start (${ended ?? 'no answer'})`, input.log)
}

export async function startPostmaster(input: StartInput): Promise<Postmaster> {
  const started = await poll(
    async () => {
      const result = await startOnce(input)
      return result === 'leftovers' ? undefined : result
    },
    { timeoutMs: RETRY_MS_MAX, everyMs: 200 },
  )
  if (!started) throw startFailed('PostgreSQL did not start', input.log)
  return started
}

/** Fast shutdown: open transactions roll back, everything committed is written. Works for an adopted server as for our own. */
export async function stopPostmaster(data: string, server: Postmaster, log: string): Promise<void> {
  // A process that is ending loses its command line before its number, so from here on it is known by when it started.
  const identity = isOurs(data, server.pid) ? processIdentity(server.pid) : undefined
  if (identity !== undefined) process.kill(server.pid, 'SIGINT')
  const ended = await poll(
    () => (identity !== undefined && processIdentity(server.pid) === identity ? undefined : true),
    { timeoutMs: STOP_MS_MAX, everyMs: 10 },
  )
  if (!ended) throw startFailed(`PostgreSQL (process ${server.pid}) did not stop`, log)
  removeSocketFolder(server.socketFolder)
}

/** Only what {@link startOnce} made: the name in a pid file is not proof enough to delete anything else. */
function removeSocketFolder(folder: string): void {
  if (basename(folder).startsWith(SOCKET_PREFIX)) rmSync(folder, { recursive: true, force: true })
}
