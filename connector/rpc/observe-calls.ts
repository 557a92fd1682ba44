import type { IncomingHttpHeaders } from 'node:http'
import { outcomeOf, type PaymentRef, type Telemetry } from '../../shared/telemetry/index.ts'

export type ObserveCall = ReturnType<typeof observeCalls>

/** The RPC's calls, whose callers are parts of this node: their traces go on. */
export function observeCalls({ instruments, tracing }: Telemetry) {
  const times = instruments.histogram('upesi_rpc_ms')
  return async <T>(
    call: { method: string; params: unknown; headers: IncomingHttpHeaders },
    work: () => Promise<T>,
  ): Promise<T> => {
    const { method, headers } = call
    const payment = paymentOf(call.params)
    return await tracing.span(
      `rpc ${method}`,
      { kind: 'server', isEntry: true, caller: headers, ...(payment && { payment }) },
      async () => {
        const startedAt = performance.now()
        let outcome = 'ok'
        try {
          return await work()
        } catch (error) {
          outcome = outcomeOf(error)
          throw error
        } finally {
          times.record(performance.now() - startedAt, { method, outcome })
        }
      },
    )
  }
}

function paymentOf(params: unknown): PaymentRef | undefined {
  const id = (params as { outgoingPaymentId?: unknown } | null)?.outgoingPaymentId
  return typeof id === 'string' ? { outgoingPaymentId: id } : undefined
}
