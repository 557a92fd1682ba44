import {
  assertLedgerMigrated,
  createRpcLedger,
  type Ledger,
  openPostgresLedger,
  type PostgresLedger,
  type RpcLedgerOptions,
  readFence,
} from '../ledger/index.ts'
import { assert, ConfigError, createDb, type Db, type Logger } from '../platform/index.ts'
import type { NodeConfig } from './config.ts'

export interface NodeLedgerOptions {
  openLedger: ((log: Logger) => Promise<Ledger>) | undefined
  rpc: RpcLedgerOptions
  log: Logger
  isSandbox: boolean
  /** The resource database. */
  db: Db
}

/** Where the Postgres ledger is: the resource database has its tables, or another one. */
async function atLedger<T>(config: NodeConfig, db: Db, work: (db: Db) => Promise<T>): Promise<T> {
  const { ledgerDatabaseUrl, databaseUrl } = config
  if (ledgerDatabaseUrl === undefined || ledgerDatabaseUrl === databaseUrl) return await work(db)
  const own = createDb({
    connectionString: ledgerDatabaseUrl,
    poolSizeMax: 1,
    applicationName: 'upesi-ledger-start',
    prepared: !config.databasePooler,
  })
  try {
    return await work(own)
  } finally {
    await own.close()
  }
}

/** In Postgres any process may use it; with TigerBeetle the connector has the session, and the others go through it. */
export async function openNodeLedger(
  config: NodeConfig,
  { openLedger, rpc, log, isSandbox, db }: NodeLedgerOptions,
): Promise<Ledger & Partial<Pick<PostgresLedger, 'sweep'>>> {
  assert(config.useTigerbeetle || !openLedger, 'a ledger beside the one in Postgres is USE_TIGERBEETLE')
  if (openLedger) return await openLedger(log)
  if (config.useTigerbeetle) return createRpcLedger(rpc)
  const fence = await atLedger(config, db, async (at) => {
    if (config.manualMigrations) await assertLedgerMigrated(at)
    return await readFence(at)
  })
  if (fence)
    throw new ConfigError([
      `USE_TIGERBEETLE=false, but the ledger moved to ${fence.movedTo} on ${fence.raisedAt.toISOString()} (docs/ledgers.md)`,
    ])
  return await openPostgresLedger({
    connectionString: config.ledgerDatabaseUrl ?? config.databaseUrl,
    log,
    prepared: !config.databasePooler,
    // What expired stands in nobody's way, and processes that do not stand still sweep it away.
    ...(isSandbox && { sweepIntervalMs: 0 }),
  })
}
