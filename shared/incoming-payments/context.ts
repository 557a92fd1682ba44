import type { Ledger } from '../ledger/index.ts'
import type { Cache, Clock, Db } from '../platform/index.ts'
import type { TenantDefaults } from '../tenants/index.ts'

/** Everything that this room's use cases need together; each asks for its part. */
export interface IncomingPaymentContext {
  db: Db
  ledger: Ledger
  clock: Clock
  cache: Cache
  settings: IncomingPaymentSettings
}

export interface IncomingPaymentSettings extends TenantDefaults {
  incomingPaymentExpiryMaxMs: number
  /** STREAM_SECRET, 32 bytes. */
  streamSecret: Buffer
}
