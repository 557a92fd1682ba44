import type { Ledger } from '../../shared/ledger/index.ts'
import type { Clock } from '../../shared/platform/index.ts'
import { rejectIfNew } from './forwarded-before.ts'
import type { RoutedPacket, ScheduledPacket, Service } from './model.ts'
import type { Rejects } from './rejects.ts'

/** What this node keeps for itself: time for its own answer to travel back, and the least that the next hop must have. */
const EXPIRATION_WINDOW_MS = 1_000
/** Longest that money is held for a packet, whatever its sender would allow. */
export const HOLD_WINDOW_MS = 30_000

/** Gives the next hop a little less time than this node has; R02 when that leaves too little (connector.md §5). */
export const shortenExpiry =
  (
    ctx: { clock: Clock; rejects: Rejects; ledger: Pick<Ledger, 'lookupTransfers'> },
    next: Service<ScheduledPacket>,
  ): Service<RoutedPacket> =>
  (packet) => {
    const { expiresAt: sourceExpiry } = packet.prepare
    const nowMs = ctx.clock.nowMs()
    const expiresMs = Math.min(sourceExpiry.getTime() - EXPIRATION_WINDOW_MS, nowMs + HOLD_WINDOW_MS)
    if (expiresMs < nowMs + EXPIRATION_WINDOW_MS)
      return rejectIfNew(ctx, packet, ctx.rejects('R02', tooLate(sourceExpiry, nowMs)))
    return next({ ...packet, expiresAt: new Date(expiresMs) })
  }

function tooLate(sourceExpiry: Date, nowMs: number): string {
  const currentTime = new Date(nowMs).toISOString()
  if (sourceExpiry.getTime() < nowMs)
    return `source transfer has already expired. sourceExpiry=${sourceExpiry.toISOString()} currentTime=${currentTime}`
  const required = new Date(nowMs + 2 * EXPIRATION_WINDOW_MS).toISOString()
  return `source transfer expires too soon to complete payment. actualSourceExpiry=${sourceExpiry.toISOString()} requiredSourceExpiry=${required} currentTime=${currentTime}`
}
