import type { HistogramName } from './catalog.ts'
import type { Telemetry } from './model.ts'
import type { PaymentRef } from './payment-trace.ts'
import { timed } from './timed.ts'

type UseCase<C, A extends readonly unknown[], R> = (ctx: C, ...input: A) => Promise<R>

export interface TracedOptions<A extends readonly unknown[], R> {
  /** Also times it. */
  timer?: HistogramName
  /** The payment that the input names. */
  payment?: (...input: A) => PaymentRef | undefined
  /** The payment that came to be, whose trace begins here, and the name of its root. */
  creates?: { root: string; payment: (result: R) => PaymentRef; createdAt: (result: R) => Date }
}

/**
 * A use case with a span and a timer around it. The telemetry is its context's; a context without any runs the use case as it
 * is. Wrapped where a room shows its face, never inside.
 */
export function traced<C extends object, A extends readonly unknown[], R>(
  name: string,
  useCase: UseCase<C, A, R>,
  options: TracedOptions<A, R> = {},
): UseCase<C, A, R> {
  const { timer, payment: paymentOf, creates } = options
  return (ctx, ...input) => {
    const { telemetry } = ctx as { telemetry?: Telemetry }
    if (!telemetry) return useCase(ctx, ...input)
    const run = () => useCase(ctx, ...input)
    const measured = timer === undefined ? run : () => timed(telemetry.instruments.histogram(timer), run)
    if (!telemetry.traces) return measured()
    const { tracing } = telemetry
    const payment = paymentOf?.(...input)
    const startedAtMs = Date.now()
    return tracing.span(name, payment ? { payment } : {}, async () => {
      const result = await measured()
      if (creates) {
        const created = creates.payment(result)
        tracing.about(created)
        // A repeat finds what an earlier run has made, and its trace has begun.
        if (creates.createdAt(result).getTime() >= startedAtMs)
          tracing.root(creates.root, created, startedAtMs)
      }
      return result
    })
  }
}
