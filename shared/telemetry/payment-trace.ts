import { createHash } from 'node:crypto'
import { isUuid } from '../platform/index.ts'

/** Which payment some work is about. */
export interface PaymentRef {
  outgoingPaymentId?: string
  incomingPaymentId?: string
}

export interface TracePlace {
  traceId: string
  spanId: string
}

const ZERO_TRACE = '0'.repeat(32)

/**
 * The trace of a payment: its id is the payment's, so that whoever has the one has the other, and work that a queue, a sweep, a
 * webhook or a restart lies before belongs to it without carrying anything along. The span is the trace's root, which is written
 * when the payment is made. At a payer's node that is the outgoing payment, at a payee's the incoming one.
 */
export function placeOf({ outgoingPaymentId, incomingPaymentId }: PaymentRef): TracePlace | undefined {
  const id = outgoingPaymentId ?? incomingPaymentId
  if (!isUuid(id)) return undefined
  const traceId = id.toLowerCase().replaceAll('-', '')
  if (traceId === ZERO_TRACE) return undefined
  // The first bit is set, so that it cannot be all zeros, which means "none".
  const bytes = createHash('sha256').update('payment-root').update(traceId, 'hex').digest().subarray(0, 8)
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return { traceId, spanId: bytes.toString('hex') }
}

const OUTGOING = 'upesi.outgoing_payment.id'
const INCOMING = 'upesi.incoming_payment.id'

/** Callers may have named what is no id. */
export const paymentAttributes = ({ outgoingPaymentId, incomingPaymentId }: PaymentRef) => ({
  ...(isUuid(outgoingPaymentId) && { [OUTGOING]: outgoingPaymentId.toLowerCase() }),
  ...(isUuid(incomingPaymentId) && { [INCOMING]: incomingPaymentId.toLowerCase() }),
})

/** W3C Baggage: which payment the caller is at. */
export function parseBaggage(header: unknown): PaymentRef {
  if (typeof header !== 'string' || header.length > 1_000) return {}
  const items = new Map(
    header.split(',').map((item) => item.trim().split('=', 2) as [string, string | undefined]),
  )
  const outgoingPaymentId = items.get(OUTGOING)
  const incomingPaymentId = items.get(INCOMING)
  return {
    ...(isUuid(outgoingPaymentId) && { outgoingPaymentId }),
    ...(isUuid(incomingPaymentId) && { incomingPaymentId }),
  }
}

export const toBaggage = (payment: PaymentRef): string =>
  Object.entries(paymentAttributes(payment))
    .map(([name, value]) => `${name}=${value}`)
    .join(',')

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

/** W3C Trace Context, version 00. `undefined` for anything else: a header is never a reason to refuse a request. */
export function parseTraceparent(header: unknown): (TracePlace & { traceFlags: number }) | undefined {
  const match = typeof header === 'string' ? TRACEPARENT.exec(header) : null
  const [, traceId, spanId, flags] = match ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 }
}

export const toTraceparent = ({ traceId, spanId, traceFlags }: TracePlace & { traceFlags: number }): string =>
  `00-${traceId}-${spanId}-${(traceFlags & 1).toString(16).padStart(2, '0')}`
