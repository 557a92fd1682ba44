import type { NodeContext } from '../../shared/node-context/index.ts'
import type { OutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import type { JobHandler } from '../../shared/queue/index.ts'
import { createUsd, type Telemetry, timed } from '../../shared/telemetry/index.ts'

type Context = Pick<NodeContext, 'connector' | 'log' | 'telemetry'>

/**
 * What is counted of a payment when it has ended. Prices are asked for only when metrics go to a collector: until then what has no
 * price at hand, which is all but US dollars, is left out of the fees.
 */
export function observePayments({ connector, log, telemetry }: Context): (payment: OutgoingPayment) => void {
  const { instruments } = telemetry
  const transactions = instruments.counter('transactions_total')
  const fees = instruments.counter('transaction_fee_amounts')
  const ended = instruments.counter('upesi_payments_ended')
  const processed = instruments.histogram('outgoing_payment_lifecycle_completed_ms')
  const usd = createUsd(
    {
      now: () => undefined,
      ...(telemetry.exports && {
        ask: (tenantId: string, sourceAssetCode: string) =>
          connector.getPrice({ tenantId, sourceAssetCode, destinationAssetCode: 'USD' }),
      }),
    },
    (reason) => log.debug({ reason }, 'no price for the fee of a payment'),
  )

  return (payment) => {
    const { state, errorCode = 'none', sentAmount, receiveAmount, tenantId } = payment
    ended.add(1, { state, code: errorCode })
    if (state !== 'COMPLETED') return
    transactions.add(1)
    processed.record(payment.updatedAt.getTime() - payment.createdAt.getTime())
    usd.convert(tenantId, [sentAmount, receiveAmount], ([sent = 0n, received = 0n]) => {
      if (sent > received) fees.add(Number(sent - received))
    })
  }
}

/** Times the worker's runs under the names of dashboards: here a run is sending, whatever else it finds to do. */
export function observeProcessing({ instruments }: Telemetry, handler: JobHandler): JobHandler {
  const runs = instruments.histogram('process_pending_payment_ms')
  const sending = instruments.histogram('handle_sending_ms')
  return (job) => timed(runs, () => timed(sending, () => handler(job)))
}
