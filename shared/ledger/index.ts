/**
 * The ledger owns the truth about money. Always true here: no account passes its limit, every chain is whole, balances are
 * running figures on the account, and the same id with the same fields is one transfer however often it is sent.
 */
export { type AuditFinding, auditLedger, type LedgerInvariant } from './audit.ts'
export { auditContents, type ContentsAudit } from './audit-contents.ts'
export { type ClosedAccount, closeForGood, moveThroughClosed } from './closed-accounts.ts'
export {
  compareLedgers,
  type LedgerCompareOptions,
  type LedgerComparison,
  type LedgerTotals,
} from './compare.ts'
export type { LedgerContents, StoredAccount, StoredTransfer } from './contents.ts'
export {
  assertMovedHere,
  assertSound,
  assertUnused,
  copyLedger,
  fenceSource,
  type LedgerCopyOptions,
} from './copy.ts'
export { deriveTransferId, formerTransferId, isChosenId } from './derived-ids.ts'
export { LedgerCopyRefusal } from './errors.ts'
export { withoutNeeds } from './needed-accounts.ts'
export { observeLedger } from './observe-ledger.ts'
export * from './port.ts'
export { openPostgresContents, type PostgresContents } from './postgres/contents.ts'
export { type Fence, findFence, liftFence, readFence } from './postgres/fence.ts'
export { createPostgresLedger, type PostgresLedger, type PostgresLedgerOptions } from './postgres/ledger.ts'
export { assertLedgerMigrated, migrateLedger } from './postgres/migrate.ts'
export { openPostgresLedger } from './postgres/open-ledger.ts'
export { createRpcLedger, type RpcLedgerOptions } from './rpc/ledger.ts'
export { serveLedgerCall } from './rpc/serve.ts'
export { parseTigerBeetleCluster, type TigerBeetleCluster } from './tigerbeetle/addresses.ts'
export {
  openTigerBeetleContents,
  type TigerBeetleContents,
  type TigerBeetleContentsOptions,
} from './tigerbeetle/contents.ts'
export { createTigerBeetleLedger, type TigerBeetleLedgerOptions } from './tigerbeetle/ledger.ts'
