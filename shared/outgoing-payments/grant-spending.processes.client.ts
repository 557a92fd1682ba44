/** What `grant-spending.processes.test.ts` runs in processes of their own: all orders at once, each outcome reported as it comes. */
import { createPostgresLedger } from '../ledger/index.ts'
import { createCache, createDb, Fault, type Logger, Refusal, silentLogger } from '../platform/index.ts'
import type { QuoteContext } from '../quotes/index.ts'
import { cancelOutgoingPayment } from './cancel-outgoing-payment.ts'
import { createGrantedPayment } from './create-outgoing-payment.ts'
import { fundOutgoingPayment } from './fund-outgoing-payment.ts'
import type { Grant } from './grant-spending.ts'

export type Order = { id: string } & (
  | { kind: 'pay'; grant: Grant; walletAddressId: string; tenantId: string }
  | { kind: 'cancel' }
  | { kind: 'fund' }
)

export interface Orders {
  connectionString: string
  settings: QuoteContext['settings']
  now: Date
  orders: Order[]
}

export interface Outcome {
  id: string
  kind: Order['kind']
  /** `'ok'`, or the code of the refusal or fault. */
  code: string
}

/** Opened once: a process of a node serves many. */
function openContext({ connectionString, settings, now }: Orders): QuoteContext & { log: Logger } {
  const clock = {
    now: () => now,
    nowMs: () => now.getTime(),
    fromNow: (ms: number) => new Date(now.getTime() + ms),
  }
  const nobody = () => Promise.reject(new Error('receivers are of this node, and quoted before'))
  return {
    db: createDb({ connectionString, applicationName: 'granted-payer' }),
    ledger: createPostgresLedger({ connectionString, log: silentLogger, sweepIntervalMs: 0, clock }),
    clock,
    log: silentLogger,
    settings,
    cache: createCache({ clock, lifeMs: 1_000 }),
    grants: { getWalletAddress: nobody, request: nobody },
    guardedHttp: { request: nobody },
    methods: {} as QuoteContext['methods'],
  }
}

function carryOut(ctx: QuoteContext & { log: Logger }, order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'pay':
      return createGrantedPayment(ctx, { ...order, quoteId: order.id, initiatedBy: 'OPEN_PAYMENTS' })
    case 'cancel':
      return cancelOutgoingPayment(ctx, 'all', order)
    case 'fund':
      return fundOutgoingPayment(ctx, 'all', { outgoingPaymentId: order.id })
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Refusal || error instanceof Fault ? error.code : String(error)

let ctx: (QuoteContext & { log: Logger }) | undefined
process.on('message', async (orders: Orders) => {
  ctx ??= openContext(orders)
  const opened = ctx
  const report = (message: Outcome | 'done' | 'ready') => process.send?.(message)
  await Promise.all(
    orders.orders.map(async (order) => {
      const code = await carryOut(opened, order).then(() => 'ok', codeOf)
      report({ id: order.id, kind: order.kind, code })
    }),
  )
  report('done')
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
