import { setTimeout as sleep } from 'node:timers/promises'
import type { Transfer } from '../../shared/ledger/index.ts'
import type { FoundPacket } from '../../shared/outgoing-payments/index.ts'
import { Fault } from '../../shared/platform/index.ts'
import { deserializeReply, InvalidPacket, isFulfill, parsePrepare } from '../packet/index.ts'
import type { PeerDirectory } from '../routing/index.ts'
import type { IncomingAccount, OutgoingPacket, Reply } from './model.ts'
import { coverId, type Leg, transferId } from './movement.ts'
import type { Rejects } from './rejects.ts'
import type { PeerTransport } from './send-to-peer.ts'
import { releaseHold, type SettleContext, settleHold } from './settle-hold.ts'
import { validateFulfilment } from './validate-fulfilment.ts'

export interface AskAgainContext extends SettleContext {
  directory: Pick<PeerDirectory, 'findPeer'>
  transport: PeerTransport
  rejects: Rejects
}

export type AskedAgain =
  /** Its peer has answered, and the ledger has its end. `amount`: what it cost the payer's account, if it was fulfilled. */
  | { kind: 'answered'; amount: bigint; reply: Reply }
  /** It never left, or its money was given back. */
  | { kind: 'over' }
  /** Its peer would take it for another packet, or is no peer any more. */
  | { kind: 'unasked' }
  /** Its peer does not answer. */
  | { kind: 'unanswered' }

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 1_000

/**
 * What became of a packet whose connector is gone: its peer gets the same bytes once more and answers as it did, or would have
 * (`ILP-Repeats`). A Fulfill is posted even where the hold has ended meanwhile: the payer's account is this node's own, and nobody before it has
 * been told anything. Only peers that know repeats are asked. Throws {@link AnswerUnknown} when the ledger cannot be told.
 */
export async function askAgain(
  ctx: AskAgainContext,
  kept: FoundPacket,
  untilMs: number,
): Promise<AskedAgain> {
  const peer = ctx.directory.findPeer(kept.peerId)
  if (!peer) return { kind: 'unasked' }
  const sent = parsePrepare(kept.prepare)
  const conditionHex = sent.executionCondition.toString('hex')
  const prepare = { ...sent, expiresAt: kept.expiresAt }
  // Its asset is told by the hold's transfers.
  const account: IncomingAccount = {
    kind: 'payment',
    id: kept.outgoingPaymentId,
    tenantId: kept.tenantId,
    asset: peer.asset,
  }
  const packet = { account, prepare, conditionHex, packetId: kept.id }
  const [source, destination, ...instead] = await ctx.ledger.lookupTransfers([
    kept.id,
    transferId(packet, 'destination', 'move'),
    transferId(packet, 'source', 'late'),
    coverId(packet),
  ])
  if (source?.kind !== 'pending' || source.state === 'voided') return { kind: 'over' }
  const isPosted = source.state === 'posted' || instead.some((transfer) => transfer !== undefined)
  const outgoing: OutgoingPacket = {
    ...packet,
    prepare: { ...prepare, amount: source.amount },
    peer,
    expiresAt: sent.expiresAt,
    destinationAmount: sent.amount,
  }
  const reply = await exchange(ctx, outgoing, kept.prepare, untilMs)
  if (typeof reply === 'string') return { kind: reply }
  const answer = await validateFulfilment(ctx, () => Promise.resolve(reply))(outgoing)
  const legs = [legOf('source', source), ...(destination ? [legOf('destination', destination)] : [])]
  // Who posted it did not live to count it.
  if (isPosted)
    return isFulfill(answer) ? { kind: 'answered', amount: source.amount, reply } : { kind: 'unasked' }
  if (isFulfill(answer)) await settleHold(ctx, outgoing, legs)
  else await releaseHold(ctx, outgoing, legs)
  return { kind: 'answered', amount: source.amount, reply: answer }
}

const legOf = (name: Leg['name'], transfer: Transfer): Leg => ({
  name,
  debitAccountId: transfer.debitAccountId,
  creditAccountId: transfer.creditAccountId,
  ledger: transfer.ledger,
  amount: transfer.amount,
})

async function exchange(
  ctx: AskAgainContext,
  { peer }: OutgoingPacket,
  bytes: Buffer,
  untilMs: number,
): Promise<Reply | 'unasked' | 'unanswered'> {
  for (let delayMs = RETRY_MS_MIN; ; delayMs = Math.min(delayMs * 2, RETRY_MS_MAX)) {
    const restMs = untilMs - ctx.clock.nowMs()
    if (restMs <= 0) return 'unanswered'
    try {
      const isKnown = await ctx.transport.knowsRepeats(peer, restMs)
      if (isKnown === false) return 'unasked'
      if (isKnown) {
        ctx.counters.count('packets_repeated')
        return deserializeReply(await ctx.transport.post(peer, bytes, restMs))
      }
    } catch (error) {
      if (!(error instanceof Fault || error instanceof InvalidPacket)) throw error
      ctx.log.warn({ peerId: peer.id, code: error.code, reason: error.message }, 'peer did not answer again')
    }
    await sleep(Math.min(delayMs, Math.max(0, untilMs - ctx.clock.nowMs())))
  }
}
