import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../../shared/ledger/index.ts'
import { AMOUNT_MAX, minimum } from '../../shared/money/index.ts'
import type { AnsweredPacket, FoundPacket } from '../../shared/outgoing-payments/index.ts'
import type { Clock, Logger } from '../../shared/platform/index.ts'
import { isFulfill, parsePrepare } from '../packet/index.ts'
import type { AskedAgain, KeptPackets, Pipeline } from '../pipeline/index.ts'
import { readDelivered } from '../stream/index.ts'
import type { SendRecords } from './send-ledger.ts'

export interface LeftBehindContext {
  pipeline: Pick<Pipeline, 'askAgain'>
  kept: KeptPackets
  ledger: Pick<Ledger, 'lookupAccounts'>
  records: SendRecords
  clock: Clock
  log: Logger
}

/** Packets of payments that other connectors sent, or this one before it lost count of them. */
export interface LeftBehind {
  /**
   * Each of a payment's is asked for once more, its money is posted or given back, and what arrived of it is recorded. False: not all of them
   * have their end by `untilMs`.
   */
  settle(outgoingPaymentId: string, found: readonly FoundPacket[], untilMs: number): Promise<boolean>
}

/** Younger ones may be those of a connector that lives, and answers come in less. */
const LEFT_AGE_MS = 250
/** A peer that stays away is asked for this long, and for as long after a packet's time. Then what it may have delivered is not counted. */
const ASK_MS_MAX = 60_000

interface Asked {
  packet: FoundPacket
  outcome: AskedAgain
}

export function createLeftBehind(ctx: LeftBehindContext): LeftBehind {
  /** When this connector first asked for those that have not answered. */
  const askedSince = new Map<string, number>()

  const isOver = ({ packet, outcome }: Asked): boolean => {
    const { id, outgoingPaymentId, peerId } = packet
    const about = { outgoingPaymentId, packetId: id, peerId }
    if (outcome.kind === 'unasked')
      ctx.log.warn(about, 'a peer is not asked for a packet: its hold ends by itself')
    if (outcome.kind !== 'unanswered') return true
    const sinceMs = askedSince.get(id) ?? ctx.clock.nowMs()
    askedSince.set(id, sinceMs)
    const isTooLate = ctx.clock.nowMs() > Math.max(packet.expiresAt.getTime(), sinceMs) + ASK_MS_MAX
    if (isTooLate) ctx.log.error(about, 'nobody says what became of a packet: it may have been delivered')
    return isTooLate
  }

  return {
    async settle(outgoingPaymentId, found, untilMs) {
      const left = await stillLeft(ctx, outgoingPaymentId, found, untilMs)
      if (left.length === 0) return true
      ctx.log.warn(
        { outgoingPaymentId, packets: left.length },
        'packets of another connector are asked for again',
      )
      const asked = await Promise.all(
        left.map(async (packet) => ({ packet, outcome: await ctx.pipeline.askAgain(packet, untilMs) })),
      )
      const over = asked.filter(isOver)
      const [account] = await ctx.ledger.lookupAccounts([outgoingPaymentId])
      await ctx.records.recordAnswers({
        outgoingPaymentId,
        debitsPosted: account?.debitsPosted ?? 0n,
        answered: over.flatMap(toAnswered),
        over: over.map(({ packet }) => packet.id),
      })
      for (const { packet } of over) askedSince.delete(packet.id)
      return over.length === asked.length
    },
  }
}

/** When the youngest is old enough, those that have not been forgotten by then. */
async function stillLeft(
  ctx: LeftBehindContext,
  outgoingPaymentId: string,
  found: readonly FoundPacket[],
  untilMs: number,
): Promise<readonly FoundPacket[]> {
  const waitMs = LEFT_AGE_MS - Math.min(...found.map(({ ageMs }) => ageMs))
  if (found.length === 0 || waitMs <= 0) return found
  await sleep(Math.max(0, Math.min(waitMs, untilMs - ctx.clock.nowMs())))
  return await ctx.kept.find(outgoingPaymentId)
}

/** Of those that nobody can read the ledger's figure is all there is. */
function toAnswered({ packet, outcome }: Asked): AnsweredPacket[] {
  if (outcome.kind !== 'answered' || !packet.answerKey || !isFulfill(outcome.reply)) return []
  const delivered = readDelivered(packet.answerKey, parsePrepare(packet.prepare), outcome.reply)
  return [{ id: packet.id, sentAmount: outcome.amount, deliveredAmount: minimum(delivered, AMOUNT_MAX) }]
}
