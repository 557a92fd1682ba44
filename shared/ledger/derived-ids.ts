import { deriveId } from '../platform/index.ts'
import type { LedgerId } from './port.ts'

/** The first digit of a UUID's fourth group, in UUIDs of RFC 9562 (§4.1) and in those beside them. */
const VARIANT_AT = 19
const RFC_VARIANTS = '89ab'
const OTHER_VARIANTS = 'cdef'

/** Whether wallets may give this id to a transfer: a UUID of RFC 9562, whichever version. */
export const isChosenId = (id: LedgerId): boolean =>
  RFC_VARIANTS.includes(id.charAt(VARIANT_AT).toLowerCase())

/**
 * The id of a transfer that follows from what it is for (`deriveId`), and that nobody can choose ({@link isChosenId}). Whoever foresees
 * an id, out of a payment's URL or a packet, could take it first with a deposit of his own, and the transfer it was meant for could
 * never be made.
 */
export function deriveTransferId(purpose: string, ...parts: (string | number | bigint)[]): LedgerId {
  const id = deriveId(purpose, ...parts)
  const variant = RFC_VARIANTS.indexOf(id.charAt(VARIANT_AT))
  if (variant < 0) return id
  return id.slice(0, VARIANT_AT) + OTHER_VARIANTS.charAt(variant) + id.slice(VARIANT_AT + 1)
}

/** The same as earlier versions derived it: what they have left for long is found under it. */
export const formerTransferId = deriveId
