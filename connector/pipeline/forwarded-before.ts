import type { Ledger } from '../../shared/ledger/index.ts'
import type { IlpReject } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { IdentifiedPacket, Reply } from './model.ts'
import { coverId, transferId } from './movement.ts'

/**
 * What the ledger says of a packet that was perhaps forwarded before, by another connector or by this one before a restart. `moved`: its money
 * did, by the hold or beside it. `ended`: it was held, and given back.
 */
export type ForwardedBefore = 'never' | 'held' | 'moved' | 'ended'

type Context = { ledger: Pick<Ledger, 'lookupTransfers'> }

/** Throws {@link AnswerUnknown} when the ledger cannot tell. */
export async function findForwardedBefore(ctx: Context, packet: IdentifiedPacket): Promise<ForwardedBefore> {
  const ids = [packet.packetId, transferId(packet, 'source', 'late'), coverId(packet)]
  const [hold, ...instead] = await ctx.ledger.lookupTransfers(ids).catch((error: unknown) => {
    throw new AnswerUnknown('a packet that may have come before cannot be looked up', { error })
  })
  if (instead.some((transfer) => transfer !== undefined)) return 'moved'
  if (!hold) return 'never'
  if (hold.state === 'voided' || hold.state === 'expired') return 'ended'
  return hold.state === 'pending' ? 'held' : 'moved'
}

/** Of a packet that was forwarded before and whose end nobody here knows. */
export const answerForgotten = (state: ForwardedBefore) =>
  new AnswerUnknown('the packet was forwarded before, and its answer is not remembered', { state })

/**
 * The answer to a packet that cannot go on, and has moved nothing this time. A Reject says that it never did: that is true unless it came
 * before. Throws {@link AnswerUnknown} if its money moved or is held, and when the ledger cannot tell.
 */
export async function rejectIfNew(ctx: Context, packet: IdentifiedPacket, reject: IlpReject): Promise<Reply> {
  // The node's own packets are new each time.
  if (packet.prepare.amount === 0n || packet.account.kind !== 'peer') return reject
  const before = await findForwardedBefore(ctx, packet)
  if (before === 'never' || before === 'ended') return reject
  throw answerForgotten(before)
}
