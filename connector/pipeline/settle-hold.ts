import {
  type Ledger,
  settlementAccountId,
  type TransferEvent,
  transferCode,
} from '../../shared/ledger/index.ts'
import { type Clock, type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { AnswerUnknown } from './errors.ts'
import { applyChain, type ChainOutcome } from './ledger-outcome.ts'
import type { OutgoingPacket } from './model.ts'
import { coverId, type Leg, postedChain, resolutionChain, transferId, transferReason } from './movement.ts'

export interface SettleContext {
  ledger: Ledger
  clock: Clock
  log: Logger
  counters: Counters
}

/**
 * Records the movement of a packet that the next hop has fulfilled: it holds the proof, so the node owes it, whatever the ledger
 * says. Resolves when a posting exists, and only then.
 *
 * 1. The hold is posted: the ordinary case.
 * 2. The hold is gone: the same movement as posted transfers under ids of their own ("late").
 * 3. The payer's account cannot pay that any more: the node pays the next hop from settlement ("covered"), and an operator
 *    claims the amount from the payer, who gets the Fulfill and so owes it.
 */
export async function settleHold(
  ctx: SettleContext,
  packet: OutgoingPacket,
  legs: readonly Leg[],
): Promise<void> {
  try {
    const posted = await applyChain(ctx, resolutionChain(packet, legs, 'post'))
    if (posted.kind === 'created' || posted.kind === 'exists') return
    if (posted.kind === 'refused' && posted.status === 'pending_transfer_already_posted') return
    await makeGood(ctx, packet, legs, posted)
  } catch (error) {
    if (error instanceof AnswerUnknown) throw error
    // The ledger is closed, or said something unheard of. Part of this may have happened, so a Reject could be a lie.
    throw new AnswerUnknown('a fulfilled packet could not be recorded', { reason: messageOf(error) })
  }
}

/** The hold could not be posted: `posted` says why. */
async function makeGood(
  ctx: SettleContext,
  packet: OutgoingPacket,
  legs: readonly Leg[],
  posted: ChainOutcome,
): Promise<void> {
  const about = aboutPacket(packet)

  const late = await applyChain(
    ctx,
    postedChain({
      packet,
      legs,
      idOf: (leg) => transferId(packet, leg, 'late'),
      about: packet.account.id,
      reason: transferReason.late,
    }),
  )
  if (late.kind === 'created' || late.kind === 'exists') {
    ctx.counters.count('late_postings')
    ctx.log.error({ ...about, post: posted }, 'hold was gone when its packet was fulfilled: posted late')
    return
  }

  const covered = await applyChain(ctx, [coverOf(packet)])
  if (covered.kind === 'created' || covered.kind === 'exists') {
    ctx.counters.count('covered_postings')
    ctx.log.fatal({ ...about, post: posted, late }, 'payer could not pay a fulfilled packet: node covered it')
    return
  }
  ctx.log.fatal({ ...about, post: posted, late, covered }, 'a fulfilled packet could not be recorded')
  throw new AnswerUnknown('a fulfilled packet could not be recorded')
}

/** The next hop's share, from settlement: that account has no lower limit, so this is possible when nothing else is. */
const coverOf = (packet: OutgoingPacket): TransferEvent => ({
  kind: 'posted',
  id: coverId(packet),
  debitAccountId: settlementAccountId(packet.peer.asset.ledger),
  creditAccountId: packet.peer.id,
  ledger: packet.peer.asset.ledger,
  code: transferCode.deposit,
  amount: packet.destinationAmount,
  userData128: packet.account.id,
  userData32: transferReason.covered,
})

/**
 * Gives the money back. Waits for the first attempt, so that a sender who tries again finds it; when the ledger does not answer,
 * the rest happens in the background until the hold ends by itself.
 */
export async function releaseHold(
  ctx: SettleContext,
  packet: OutgoingPacket,
  legs: readonly Leg[],
): Promise<void> {
  const events = resolutionChain(packet, legs, 'void')
  const releaseUntil = async (giveUpAtMs: number) => {
    const outcome = await applyChain(ctx, events, giveUpAtMs)
    // Ended by itself, or never made: released as well.
    const released = outcome.kind !== 'refused' || endedStatuses.has(outcome.status)
    if (!released) ctx.log.error({ ...aboutPacket(packet), outcome }, 'hold was not released')
    return outcome.kind
  }
  const failed = (error: unknown) =>
    ctx.log.error({ ...aboutPacket(packet), reason: messageOf(error) }, 'hold was not released')
  try {
    if ((await releaseUntil(0)) === 'unknown') releaseUntil(packet.expiresAt.getTime()).catch(failed)
  } catch (error) {
    // The Reject is true all the same: a hold that is not released is not posted either.
    failed(error)
  }
}

const endedStatuses: ReadonlySet<string> = new Set([
  'pending_transfer_expired',
  'pending_transfer_not_found',
  'pending_transfer_already_voided',
])

const aboutPacket = (packet: OutgoingPacket) => ({
  transferId: transferId(packet, 'source', 'move'),
  accountId: packet.account.id,
  peerId: packet.peer.id,
  amount: packet.prepare.amount.toString(),
  destinationAmount: packet.destinationAmount.toString(),
})
