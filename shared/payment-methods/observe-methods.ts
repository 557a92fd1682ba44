import { readReceiverUrl } from '../receivers/index.ts'
import { outcomeOf, type Telemetry, timed } from '../telemetry/index.ts'
import type { PayInput, PaymentMethod, PaymentMethodName, PaymentMethods, PayResult } from './port.ts'

/** Times quoting and paying, and points from the payer's trace to the payee's: its id is in the receiver's URL. */
export function observeMethods(telemetry: Telemetry, methods: PaymentMethods): PaymentMethods {
  return { LOCAL: observed(telemetry, methods.LOCAL, 'LOCAL'), ILP: observed(telemetry, methods.ILP, 'ILP') }
}

function observed(telemetry: Telemetry, method: PaymentMethod, name: PaymentMethodName): PaymentMethod {
  const { instruments, tracing } = telemetry
  const quotes = instruments.histogram('quote_service_create_get_quote_time_ms')
  const payments = instruments.histogram('pay_time_ms')
  const overIlp = name === 'ILP' ? instruments.histogram('ilp_pay_time_ms') : undefined
  const roundTrips = name === 'ILP' ? instruments.histogram('ilp_payment_round_trip_ms') : undefined

  const pay = async (input: PayInput): Promise<PayResult> => {
    const startedAt = performance.now()
    let error = 'none'
    try {
      const result = await method.pay(input)
      if (result.status === 'failed') error = result.failure.code
      return result
    } catch (thrown) {
      error = outcomeOf(thrown)
      throw thrown
    } finally {
      const ms = performance.now() - startedAt
      payments.record(ms)
      overIlp?.record(ms)
      roundTrips?.record(ms, { error })
    }
  }
  return {
    ...method,
    quote: (input) => timed(quotes, () => tracing.span(`${name}.quote`, {}, () => method.quote(input))),
    pay: (input) => {
      const incomingPaymentId = readReceiverUrl(input.receiver.url)?.id
      const { outgoingPaymentId } = input
      return tracing.span(
        `${name}.pay`,
        incomingPaymentId === undefined
          ? { payment: { outgoingPaymentId } }
          : { payment: { outgoingPaymentId, incomingPaymentId }, counterpart: { incomingPaymentId } },
        () => pay(input),
      )
    },
  }
}
