import { isFulfill } from '../packet/index.ts'
import { answerForgotten, findForwardedBefore } from './forwarded-before.ts'
import { applyChain } from './ledger-outcome.ts'
import type { OutgoingPacket, Reply, Service } from './model.ts'
import { type Leg, legsOf, pendingChain, transferId, transferReason } from './movement.ts'
import { type Rejects, rejectMessages } from './rejects.ts'
import { releaseHold, type SettleContext, settleHold } from './settle-hold.ts'

export interface HoldContext extends SettleContext {
  rejects: Rejects
  /** TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS: the least time that a hold lasts. */
  holdSecondsMin: number
}

/** A hold outlives its packet by this much: time to post what arrives in the last moment. */
const HOLD_MARGIN_MS = 2_000
/** A hold that has no answer this long before the packet ends is not tried again. */
const SEND_WINDOW_MS = 1_000
/** With less time than this a packet does not leave: the next hop might deliver it, and its answer come too late to count. */
const SEND_MS_MIN = 500

/**
 * The money of a forwarded packet. It is held before the packet leaves and posted before the Fulfill goes back, so:
 *
 * - Fulfill upstream means that the ledger has the posting. A post whose outcome is unknown is repeated under its ids until it
 *   is known; the answer waits that long, and the upstream node's own timer decides for it.
 * - Reject upstream means that the ledger has none. The hold is voided first; a void that fails leaves money held, never moved,
 *   and the hold ends by itself.
 * - A post that finds its hold gone is made good by {@link settleHold}.
 * - A crash in between leaves a hold, which ends by itself.
 * - A hold that exists already is a repeat that this process does not remember (the first came before a restart). Voided or
 *   ended: the packet moved nothing, a Reject is true. Otherwise no ILP answer is: see `AnswerUnknown`. It is never
 *   forwarded again, because the next hop might be paid twice for one hold.
 */
export function holdMoney(ctx: HoldContext, next: Service<OutgoingPacket>): Service<OutgoingPacket> {
  return async (packet) => {
    if (packet.prepare.amount === 0n || packet.account.kind === 'probe') return await next(packet)
    const legs = legsOf(packet, {
      accountId: packet.peer.id,
      asset: packet.peer.asset,
      amount: packet.destinationAmount,
    })
    const refusal = await hold(ctx, packet, legs)
    if (refusal) return refusal
    packet.onHeld?.()
    let reply: Reply
    try {
      reply = await next(packet)
    } catch (error) {
      await releaseHold(ctx, packet, legs)
      throw error
    }
    if (isFulfill(reply)) await settleHold(ctx, packet, legs)
    else await releaseHold(ctx, packet, legs)
    return reply
  }
}

/** A Reject when the money cannot be held. */
async function hold(
  ctx: HoldContext,
  packet: OutgoingPacket,
  legs: readonly Leg[],
): Promise<Reply | undefined> {
  const expiresMs = packet.expiresAt.getTime()
  const remainingMs = expiresMs - ctx.clock.nowMs()
  const events = pendingChain({
    packet,
    legs,
    idOf: (leg) => transferId(packet, leg, 'move'),
    about: packet.account.id,
    reason: transferReason.forwarded,
    timeoutSeconds: Math.max(ctx.holdSecondsMin, Math.ceil((remainingMs + HOLD_MARGIN_MS) / 1000)),
  })
  const outcome = await applyChain(ctx, events, expiresMs - SEND_WINDOW_MS)
  const isLate = ctx.clock.nowMs() > expiresMs - SEND_MS_MIN
  if (outcome.kind === 'created' && !isLate) return undefined
  if (outcome.kind === 'unknown' || outcome.kind === 'created') {
    // The packet has not left, so nothing can be posted: at worst the money stays held until the hold ends.
    await releaseHold(ctx, packet, legs)
    return ctx.rejects('T00', rejectMessages.internal)
  }
  if (outcome.kind === 'refused' && outcome.status !== 'exists_with_different_fields')
    return refuse(ctx, packet, legs, outcome)
  // Different fields are a repeat too: the time left, and so the timeout, was another; or the rate was.
  return await answerRepeat(ctx, packet, { mayBeOwn: outcome.repeated && outcome.kind === 'exists' })
}

function refuse(
  ctx: HoldContext,
  packet: OutgoingPacket,
  legs: readonly Leg[],
  outcome: { status: string; index: number },
): Reply {
  // TigerBeetle remembers refusals for lack of money by id; the packet is as poor as it was.
  if (outcome.status === 'exceeds_credits' || outcome.status === 'id_already_failed')
    return ctx.rejects(
      'T04',
      legs[outcome.index]?.name === 'destination'
        ? rejectMessages.insufficientLiquidity
        : rejectMessages.insufficientBalance,
    )
  ctx.log.error({ accountId: packet.account.id, status: outcome.status }, 'ledger refused a hold')
  return ctx.rejects('T00', rejectMessages.internal)
}

/** The hold was there before. `mayBeOwn`: an attempt of this very call, whose answer was lost, may have made it. */
async function answerRepeat(
  ctx: HoldContext,
  packet: OutgoingPacket,
  given: { mayBeOwn: boolean },
): Promise<Reply | undefined> {
  const before = await findForwardedBefore(ctx, packet)
  if (before === 'held' && given.mayBeOwn) return undefined
  ctx.counters.count('duplicate_packets')
  if (before === 'ended') return ctx.rejects('T00', rejectMessages.alreadyAnswered)
  throw answerForgotten(before)
}
