import { parseHmacSignature, verifyHmacDigest } from '../../shared/platform/index.ts'

/** A webhook as it arrives. `id` is the same at every attempt: it is what repeats are recognised by. */
export interface WalletEvent {
  id: string
  type: string
  data: Record<string, unknown>
}

const AGE_MS_MAX = 5 * 60_000
const SIGNATURE_VERSION = 1

/** Whether `header` (`Rafiki-Signature`) signs this event with `secret`, now. The comparison takes the same time for every wrong digest. */
export function isSigned(event: WalletEvent, header: unknown, secret: string, nowMs: number): boolean {
  const signature = parseHmacSignature(header)
  if (!signature || signature.version !== SIGNATURE_VERSION) return false
  if (Math.abs(nowMs - signature.timestampMs) > AGE_MS_MAX) return false
  return verifyHmacDigest(signature, { secret, body: event })
}

/** The event in a request's body, or `undefined`. Exactly these three fields are signed. */
export function readEvent(body: unknown): WalletEvent | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { id, type, data } = body as Partial<Record<string, unknown>>
  if (typeof id !== 'string' || typeof type !== 'string') return undefined
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  return { id, type, data: data as Record<string, unknown> }
}
