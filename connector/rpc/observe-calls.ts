import type { IncomingHttpHeaders } from 'node:http'
import {
  isUuid,
  type Logger,
  REQUEST_ID_HEADER,
  requestIdOf,
  withLogContext,
} from '../../shared/platform/index.ts'
import { outcomeOf, type PaymentRef, type Telemetry } from '../../shared/telemetry/index.ts'

export type ObserveCall = ReturnType<typeof observeCalls>

/** The RPC's calls, whose callers are parts of this node: their traces and request ids go on. */
export function observeCalls({ instruments, tracing }: Telemetry, log: Logger) {
  const times = instruments.histogram('upesi_rpc_ms')
  return async <T>(
    call: { method: string; params: unknown; headers: IncomingHttpHeaders },
    work: () => Promise<T>,
  ): Promise<T> => {
    const { method, headers } = call
    const payment = paymentOf(call.params)
    const context = { rpc: method, requestId: requestIdOf(headers[REQUEST_ID_HEADER]), ...payment }
    const observed = () =>
      tracing.span(
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
            const ms = performance.now() - startedAt
            times.record(ms, { method, outcome })
            log.debug({ outcome, ms }, 'answered')
          }
        },
      )
    return await withLogContext(context, observed)
  }
}

function paymentOf(params: unknown): PaymentRef | undefined {
  const id = (params as { outgoingPaymentId?: unknown } | null)?.outgoingPaymentId
  return isUuid(id) ? { outgoingPaymentId: id } : undefined
}
