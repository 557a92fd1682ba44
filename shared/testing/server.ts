import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, rmSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { startEmbeddedPostgres } from '../embedded-postgres/index.ts'

/** Any database of a PostgreSQL server on which tests may create databases; `scripts/run-tests.ts` sets it. */
export const TEST_SERVER_VARIABLE = 'TEST_DATABASE_URL'

const onDisk = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), '.data', 'test-postgres')

const MEMORY = '/dev/shm'
/** What a whole run holds at most is a tenth of it. */
const ROOM_MIN_BYTES = 4 * 2 ** 30

/**
 * In memory where there is plenty: each database is hundreds of files, and file systems on disks take up to ten times the processor time
 * to make and delete them. A folder there has one name for each clone, and is not taken from another user.
 */
function chooseFolder(): { folder: string; inMemory: boolean } {
  const folder = join(MEMORY, `upesi-test-${createHash('sha256').update(onDisk).digest('hex').slice(0, 16)}`)
  try {
    const existing = lstatSync(folder, { throwIfNoEntry: false })
    if (!existing) {
      const { bavail, bsize } = statfsSync(MEMORY)
      if (Math.min(bavail * bsize, process.availableMemory()) < ROOM_MIN_BYTES)
        return { folder: onDisk, inMemory: false }
      mkdirSync(folder, { mode: 0o755 })
    } else if (!existing.isDirectory() || existing.uid !== process.getuid?.())
      return { folder: onDisk, inMemory: false }
    return { folder, inMemory: true }
  } catch {
    // No such file system, or none of ours.
    return { folder: onDisk, inMemory: false }
  }
}

let found: Promise<string> | undefined

/** A connection string of the server that this process tests on. */
export function testServer(): Promise<string> {
  const given = process.env[TEST_SERVER_VARIABLE]
  found ??= given ? Promise.resolve(given) : startTestServer().then((server) => server.connectionString)
  return found
}

export interface TestServer {
  connectionString: string
  adopted: boolean
  stop(): Promise<void>
}

/**
 * Starts the shared test server, or adopts the one that runs. It keeps no process alive and stays until somebody stops it:
 * `node scripts/run-tests.ts --stop`.
 */
export async function startTestServer(): Promise<TestServer> {
  const { folder, inMemory } = chooseFolder()
  const server = await startEmbeddedPostgres({ folder, durable: false, shared: true })
  const connectionString = server.connectionString('postgres')
  if (!server.adopted) await dropLeftovers(connectionString)
  return {
    connectionString,
    adopted: server.adopted,
    async stop() {
      await server.stop()
      if (inMemory) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Right after its start nobody uses the server: what tests left behind and templates of former migrations can go. */
async function dropLeftovers(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows } = await client.query<{ datname: string }>(
      `select datname from pg_database where datname ~ '^(test|template)_(resources|auth|ledger|empty)_'`,
    )
    for (const { datname } of rows) await client.query(`drop database "${datname}" with (force)`)
  } finally {
    await client.end()
  }
}

/** The same server and credentials, another database. */
export function withDatabase(connectionString: string, database: string): string {
  const match = /^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*(\?.*)?$/.exec(connectionString)
  if (!match) throw new TypeError(`${TEST_SERVER_VARIABLE} must be postgresql://…/database`)
  return `${match[1]}${database}${match[2] ?? ''}`
}
