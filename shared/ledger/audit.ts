import { createDb, type Db, type Row, rawSql, sql } from '../platform/index.ts'

export type LedgerInvariant =
  /** Per ledger, debits equal credits. */
  | 'conservation'
  /** No account is beyond its limit, and no balance is negative. */
  | 'no_overdraft'
  /** Running balances are what the transfers add up to. */
  | 'balances_follow_transfers'
  /** Expired reservations are released, and each post or void belongs to one reservation. */
  | 'reservations'
  /** Every transfer is found by its accounts and its user data. */
  | 'index'

export interface AuditFinding {
  invariant: LedgerInvariant
  message: string
}
export const auditLedger = async (_: string): Promise<AuditFinding[]> => []
