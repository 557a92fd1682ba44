import type { Ledger } from '../ledger/index.ts'
import type { Clock, Db, Logger, SecretBox } from '../platform/index.ts'
import type { QuoteContext } from '../quotes/index.ts'
import type { TenantDefaults } from '../tenants/index.ts'
import type { OutgoingPayment } from './model.ts'

export interface ReadContext {
  db: Db
  ledger: Ledger
}

/** What moving a payment on needs, short of sending it. */
export interface OutgoingPaymentContext extends ReadContext {
  clock: Clock
  log: Logger
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator'>
}

/** What the payments worker needs. */
export type SendingContext = QuoteContext &
  OutgoingPaymentContext & {
    /** Opens what a payment carries to its receiver. */
    secretBox: Pick<SecretBox, 'open'>
    settings: {
      /** MAX_OUTGOING_PAYMENT_RETRY_ATTEMPTS. */
      outgoingPaymentAttemptsMax: number
    }
    /** Told of each payment whose end this worker has recorded. */
    onPaymentEnded?: (payment: OutgoingPayment) => void
  }
