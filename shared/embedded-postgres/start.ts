import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import { serverAccount } from './account.ts'
import { findBinaries } from './binaries.ts'
import { chooseHome, initialiseData, readOrMakePassword } from './data-folder.ts'
import { lockFolder } from './folder-lock.ts'
import {
  connectionStringOf,
  findRunning,
  type Postmaster,
  startPostmaster,
  stopPostmaster,
} from './postmaster.ts'

export interface EmbeddedPostgresOptions {
  /** Keeps password, log and (where the server's user can reach it) the data between runs. Created when absent. */
  folder: string
  /** False for tests: a crash of the machine may lose everything, and commits do not wait for the disk. */
  durable: boolean
  /**
   * Several processes use the server at once: whoever comes first starts it, the others adopt it. Default: the folder belongs
   * to the caller until {@link EmbeddedPostgres.stop}.
   */
  shared?: boolean
}

export interface EmbeddedPostgres {
  /** For the superuser, by Unix socket. */
  connectionString(database: string): string
  /** False when it was there. */
  createDatabase(name: string): Promise<boolean>
  /** True when the server ran before: started by another process, or left behind by one that was killed. */
  adopted: boolean
  pid: number
  /** Where the data really is. */
  dataFolder: string
  /** Shuts the server down and gives the folder back. Stop what uses the server first. */
  stop(): Promise<void>
}

/** Long enough for another process's first start on a slow machine. */
const SHARED_WAIT_MS = 60_000
const DATABASE_NAME = /^[a-z_][a-z0-9_]{0,62}$/

/**
 * PostgreSQL from the npm package, on data that stays in `folder`. A server left behind by a killed process is adopted.
 * Throws `FolderInUse` when another process owns the folder, `CannotRunHere` when this machine or user cannot run it, and a
 * Fault with the last lines of the log when it fails.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const lock = await lockFolder(folder, options.shared ? SHARED_WAIT_MS : 0)
  try {
    const embedded = await openServer(folder, options.durable)
    if (options.shared) {
      lock.release()
      return embedded
    }
    const stop = () => embedded.stop().finally(lock.release)
    return { ...embedded, stop }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A server for as long as the caller needs it: its data goes when it stops. Durable like a real one, for measurements. */
export async function startTemporaryPostgres(): Promise<EmbeddedPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'upesi-temporary-'))
  const server = await startEmbeddedPostgres({ folder, durable: true })
  const stop = async () => {
    await server.stop()
    // The data's own folder is elsewhere when root made this one for itself alone.
    for (const path of [dirname(server.dataFolder), folder]) rmSync(path, { recursive: true, force: true })
  }
  return { ...server, stop }
}

async function openServer(folder: string, durable: boolean): Promise<EmbeddedPostgres> {
  const account = serverAccount(join(folder, 'data'))
  const password = readOrMakePassword(folder)
  const home = chooseHome({ folder, account, password })
  const data = join(home, 'data')
  const log = join(folder, 'postgres.log')
  const running = await findRunning({ data, password, log })
  if (running) return handle(running, { data, log, password, adopted: true })
  const binaries = findBinaries(home, account)
  initialiseData({ binaries, data, password, account, durable })
  const started = await startPostmaster({ binaries, data, log, password, account, durable })
  return handle(started, { data, log, password, adopted: false })
}

function handle(
  server: Postmaster,
  input: { data: string; log: string; password: string; adopted: boolean },
): EmbeddedPostgres {
  const connectionString = (database: string) => connectionStringOf(server, input.password, database)
  return {
    connectionString,
    createDatabase: (name) => createDatabase(connectionString('postgres'), name),
    adopted: input.adopted,
    pid: server.pid,
    dataFolder: input.data,
    stop: () => stopPostmaster(input.data, server, input.log),
  }
}

async function createDatabase(connectionString: string, name: string): Promise<boolean> {
  if (!DATABASE_NAME.test(name)) throw new TypeError(`not a database name: ${name}`)
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(`create database "${name}"`)
    return true
  } catch (error) {
    // 42P04 duplicate_database; 23505 when two processes create it at the same moment.
    if (error instanceof pg.DatabaseError && (error.code === '42P04' || error.code === '23505')) return false
    throw error
  } finally {
    await client.end()
  }
}
