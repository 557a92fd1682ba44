import {
  type AuditFinding,
  auditContents,
  auditLedger,
  openTigerBeetleContents,
  parseTigerBeetleCluster,
  type TigerBeetleContents,
} from '../../shared/ledger/index.ts'
import { createDb, type Logger } from '../../shared/platform/index.ts'
import type { AuditedBank } from './audited-bank.ts'
import { type Movements, noteTransfer, readMovements } from './books.ts'

/** A bank whose ledger in TigerBeetle is open, where it has one. */
export interface OpenBank extends AuditedBank {
  name: string
  contents?: TigerBeetleContents
}

/** What a bank's ledger says: its own findings, and what moved on each account. */
export interface LedgerBooks {
  found: AuditFinding[]
  movements: Movements
  /** Accounts of which nothing can be said, because they moved while they were read. */
  movedCount: number
}

/** Opens what takes long to open. */
export async function openLedger(
  { tigerbeetle }: AuditedBank,
  log: Logger,
): Promise<{ contents?: TigerBeetleContents }> {
  if (!tigerbeetle) return {}
  return { contents: await openTigerBeetleContents({ ...parseTigerBeetleCluster(tigerbeetle), log }) }
}

/** A ledger in TigerBeetle is read once, for both. */
export async function readLedger(bank: OpenBank): Promise<LedgerBooks> {
  if (bank.contents) {
    const movements: Movements = new Map()
    const { findings, movedCount } = await auditContents(bank.contents, {
      onTransfer: (transfer) => noteTransfer(movements, transfer),
    })
    return { found: findings, movements, movedCount }
  }
  const connectionString = bank.ledger ?? bank.resources
  const found = await auditLedger(connectionString)
  const db = createDb({ connectionString, poolSizeMax: 1, applicationName: 'upesi-audit' })
  try {
    return { found, movements: await readMovements(db), movedCount: 0 }
  } finally {
    await db.close()
  }
}
