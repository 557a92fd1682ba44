import type { SendFailure, SendInput } from '../../shared/connector-client/index.ts'
import { AMOUNT_MAX, maximum, minimum } from '../../shared/money/index.ts'
import { assert } from '../../shared/platform/index.ts'
import { type IlpReject, isFulfill, parseAmountTooLarge } from '../packet/index.ts'
import type { PacketAnswer } from './connection.ts'
import type { StreamPacket } from './frames.ts'
import { dataIn, saysClosed } from './money-stream.ts'
import { type PacketPlan, planPacket } from './plan-packet.ts'
import { type RateBounds, refineBounds } from './rate-bounds.ts'
import { createRejectTally, type RejectCount } from './reject-tally.ts'
import { createSendingWindow } from './sending-window.ts'

export type PaymentLimits = Pick<
  SendInput,
  | 'debitAmount'
  | 'receiveAmount'
  | 'sentAmount'
  | 'deliveredAmount'
  | 'minRate'
  | 'lowRate'
  | 'highRate'
  | 'maxPacketAmount'
>

/** A packet under way. */
export interface SentPacket extends PacketPlan {
  /** Packets of a payment are counted from 0. */
  index: number
}

export type NextStep =
  | { kind: 'send'; plan: PacketPlan }
  /** Until an answer comes, or until `untilMs`. */
  | { kind: 'wait'; untilMs?: number }
  | { kind: 'done' }
  | { kind: 'failed'; failure: SendFailure }

export interface PaymentTotals {
  sentAmount: bigint
  deliveredAmount: bigint
  packets: { sent: number; fulfilled: number; rejected: number }
  rejects: RejectCount[]
}

/** Packets per key: far below what random ivs of AES-GCM allow. */
const PACKETS_MAX = 2 ** 31
/** Into so many pieces a payment is cut at most where liquidity is short; with less liquidity than that it waits. */
const PIECES_MAX = 1000n

const failures = {
  insufficient_exchange_rate: { message: 'no packet can be sent at the agreed rate', retryable: true },
  idle_timeout: { message: 'no packet was fulfilled for too long', retryable: true },
  closed_by_receiver: { message: 'the receiver takes no more money', retryable: true },
  application_error: { message: 'the receiver declined', retryable: false },
  no_route: { message: 'the receiver cannot be reached', retryable: true },
  packet_rejected: { message: 'a packet was rejected for good', retryable: true },
  receiver_protocol_violation: {
    message: 'the receiver fulfilled a packet without saying that enough arrived',
    retryable: false,
  },
  packet_limit_reached: { message: 'the payment took too many packets', retryable: false },
} as const
/** Why a STREAM payment stops short. */
export type PaymentFailureCode = keyof typeof failures

const fail = (code: PaymentFailureCode, reject?: IlpReject): SendFailure => ({
  code,
  ...failures[code],
  ...(reject && { ilpCode: reject.code, triggeredBy: reject.triggeredBy }),
})

const WORDS_MAX = 500

/** A receiver that closes with words has decided: nothing that we do later changes its mind (payments.md §3). */
function declined(authentic: StreamPacket, reject: IlpReject): SendFailure {
  const data = dataIn(authentic)
  if (!data || data.length === 0) return fail('closed_by_receiver', reject)
  const words = data
    .toString('utf8')
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, WORDS_MAX)
    .toWellFormed()
  return { ...fail('application_error', reject), message: `the receiver declined: ${words}` }
}

/**
 * What a payment knows and what it does next: no I/O, no timers. Amounts under way count as if they arrived at the best rate,
 * so that all packets together never deliver more than is wanted, beyond the rounding of the last one.
 */
export function createPaymentProgress(limits: PaymentLimits, idleMs: number) {
  const { debitAmount, receiveAmount, minRate } = limits
  assert(debitAmount <= AMOUNT_MAX && receiveAmount <= AMOUNT_MAX, 'amounts are u64', {
    debitAmount,
    receiveAmount,
  })
  const window = createSendingWindow(debitAmount / PIECES_MAX + 1n)
  const tally = createRejectTally()
  const packets = { sent: 0, fulfilled: 0, rejected: 0 }
  let bounds: RateBounds = { low: limits.lowRate, high: limits.highRate }
  let maxPacketAmount = limits.maxPacketAmount ?? AMOUNT_MAX
  let sentAmount = limits.sentAmount
  let deliveredAmount = limits.deliveredAmount
  let sourceInFlight = 0n
  let destinationInFlight = 0n
  let inFlight = 0
  let answeredByReceiver = false
  let failure: SendFailure | undefined
  let lastReject: IlpReject | undefined
  let idleSinceMs = 0

  function plan(): PacketPlan | 'wait' | 'impossible' {
    const remaining = receiveAmount - deliveredAmount - destinationInFlight
    if (remaining <= 0n) return 'wait'
    const payable = minimum(debitAmount - sentAmount - sourceInFlight, maxPacketAmount)
    for (;;) {
      const room = window.amountRoom(sourceInFlight)
      const sourceMax = minimum(payable, room)
      const planned =
        sourceMax > 0n && planPacket({ sourceMax, remaining, othersUnderWay: inFlight > 0, bounds, minRate })
      if (planned) return planned
      if (inFlight > 0) return 'wait'
      if (room >= payable) return 'impossible'
      window.allowMore()
    }
  }

  function settleFulfill(packet: SentPacket, authentic: StreamPacket | undefined, nowMs: number): void {
    packets.fulfilled += 1
    idleSinceMs = nowMs
    sentAmount += packet.sourceAmount
    // Whoever fulfilled got the minimum, whatever he says.
    const arrived = maximum(authentic?.amount ?? 0n, packet.minimumAmount)
    deliveredAmount = minimum(deliveredAmount + arrived, AMOUNT_MAX)
    window.fulfilled(packet.sourceAmount)
    if (!authentic || authentic.amount < packet.minimumAmount) failure ??= fail('receiver_protocol_violation')
  }

  function lowerMaxPacketAmount(packet: SentPacket, reject: IlpReject): void {
    // A larger packet that was sent before the maximum was known says nothing new.
    if (packet.sourceAmount > maxPacketAmount) return
    const told = parseAmountTooLarge(reject.data)
    maxPacketAmount = told
      ? (told.maximumAmount * packet.sourceAmount) / told.receivedAmount
      : packet.sourceAmount / 2n
    if (maxPacketAmount === 0n) failure ??= fail('packet_rejected', reject)
  }

  function settleReject(packet: SentPacket, reject: IlpReject, nowMs: number): void {
    packets.rejected += 1
    tally.add(reject)
    lastReject = reject
    const { code } = reject
    if (code === 'F08') lowerMaxPacketAmount(packet, reject)
    else if (/^[TR]/.test(code) || code === 'F99' || code === 'F04' || code === 'F05')
      window.turnedAway({
        index: packet.index,
        lastIndex: packets.sent - 1,
        nowMs,
        ...(code === 'T04' && { illiquidAmount: sourceInFlight + packet.sourceAmount }),
      })
    else failure ??= fail(code === 'F02' ? 'no_route' : 'packet_rejected', reject)
  }

  return {
    get inFlight() {
      return inFlight
    },
    get answeredByReceiver() {
      return answeredByReceiver
    },
    /** Idle time counts only while the payment runs: tells when a run began, less the idle time of earlier ones. */
    resume: (nowMs: number, idleSpentMs: number) => {
      idleSinceMs = nowMs - idleSpentMs
    },
    idleMs: (nowMs: number): number => nowMs - idleSinceMs,
    totals: (): PaymentTotals => ({
      sentAmount,
      deliveredAmount,
      packets: { ...packets },
      rejects: tally.list(),
    }),

    next(nowMs: number): NextStep {
      const waitOr = (step: NextStep): NextStep => (inFlight > 0 ? { kind: 'wait' } : step)
      if (deliveredAmount >= receiveAmount) return waitOr({ kind: 'done' })
      if (failure) return waitOr({ kind: 'failed', failure })
      if (packets.sent >= PACKETS_MAX)
        return waitOr({ kind: 'failed', failure: fail('packet_limit_reached') })
      const idleEndMs = idleSinceMs + idleMs
      if (nowMs >= idleEndMs) return waitOr({ kind: 'failed', failure: fail('idle_timeout', lastReject) })
      if (nowMs < window.resumesAtMs)
        return { kind: 'wait', untilMs: Math.min(window.resumesAtMs, idleEndMs) }
      if (!window.hasRoom(inFlight)) return { kind: 'wait', untilMs: idleEndMs }
      const planned = plan()
      if (planned === 'wait') return { kind: 'wait', untilMs: idleEndMs }
      if (planned === 'impossible')
        return { kind: 'failed', failure: fail('insufficient_exchange_rate', lastReject) }
      return { kind: 'send', plan: planned }
    },

    begin(packetPlan: PacketPlan): SentPacket {
      const packet = { ...packetPlan, index: packets.sent }
      packets.sent += 1
      inFlight += 1
      sourceInFlight += packet.sourceAmount
      destinationInFlight += packet.mostDelivered
      assert(sentAmount + sourceInFlight <= debitAmount, 'a payment never sends more than it may', packet)
      return packet
    },

    settle(packet: SentPacket, answer: PacketAnswer, nowMs: number): void {
      inFlight -= 1
      sourceInFlight -= packet.sourceAmount
      destinationInFlight -= packet.mostDelivered
      const { reply, authentic } = answer
      if (isFulfill(reply)) settleFulfill(packet, authentic, nowMs)
      else settleReject(packet, reply, nowMs)
      if (!authentic) return
      answeredByReceiver = true
      bounds = refineBounds(bounds, { source: packet.sourceAmount, delivered: authentic.amount })
      if (saysClosed(authentic))
        failure ??= isFulfill(reply) ? fail('closed_by_receiver') : declined(authentic, reply)
    },

    /** The packet's fate is unknown: it stays counted as under way in amounts, and nothing more is sent. */
    lose(): void {
      inFlight -= 1
    },
  }
}
