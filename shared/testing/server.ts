import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { startEmbeddedPostgres } from '../embedded-postgres/index.ts'

/** Any database of a PostgreSQL server on which tests may create databases; `scripts/run-tests.ts` sets it. */
export const TEST_SERVER_VARIABLE = 'TEST_DATABASE_URL'

const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), '.data', 'test-postgres')

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
  const server = await startEmbeddedPostgres({ folder, durable: false, shared: true })
  const connectionString = server.connectionString('postgres')
  if (!server.adopted) await dropLeftovers(connectionString)
  return { connectionString, adopted: server.adopted, stop: server.stop }
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
