import type { ProbeInput, ProbeResult } from '../../shared/connector-client/index.ts'
import { type Asset, rate } from '../../shared/money/index.ts'
import { assert, type Clock } from '../../shared/platform/index.ts'
import { type IlpReject, isReject, parseAmountTooLarge } from '../packet/index.ts'
import {
  type Connection,
  exchangePacket,
  openConnection,
  type PacketAnswer,
  type SendPacket,
} from './connection.ts'
import { ProbeFailed } from './errors.ts'
import { saysClosed } from './money-stream.ts'
import { refineBounds } from './rate-bounds.ts'

export interface ProbeContext {
  send: SendPacket
  clock: Clock
}

const DEADLINE_MS = 10_000
const PACKET_LIFE_MS = 20_000
const BACK_OFF_MIN_MS = 10
const BACK_OFF_MAX_MS = 1000

/** Enough for twelve digits of precision, and more than any packet is expected to carry. */
const PROBE_EXPONENT = 12
/** Largest powers of ten that a packet may carry, and that may arrive: what is above 2^64 − 1 cannot. */
const EXPONENT_MAX = 19
const DESTINATION_EXPONENT_MAX = 15

/**
 * The first amount to try. Where the destination's units are much smaller than the source's the converted amount must still
 * fit into a packet, and where they are much larger something must arrive at all.
 */
export function firstProbeAmount(source: Asset, destination: Asset): bigint {
  const shift = destination.assetScale - source.assetScale
  const exponent =
    shift >= 0
      ? Math.max(0, Math.min(PROBE_EXPONENT, DESTINATION_EXPONENT_MAX - shift))
      : Math.min(EXPONENT_MAX, PROBE_EXPONENT - shift)
  return 10n ** BigInt(exponent)
}

/** What the answers so far say about the next attempt. */
interface Attempt {
  amount: bigint
  /** Where to begin again when the amount has become too small. */
  largest: bigint
  /** True once an amount was refused for its size. */
  limited: boolean
  /** Attempts that failed for reasons that may pass. */
  delays: number
  delayMs: number
}

const delayed = (attempt: Attempt, amount: bigint): Attempt => ({
  ...attempt,
  amount: amount === 0n ? attempt.largest : amount,
  delays: attempt.delays + 1,
  delayMs: Math.min(BACK_OFF_MAX_MS, BACK_OFF_MIN_MS * 2 ** attempt.delays),
})

const probeFailed = (message: string, reject?: IlpReject): ProbeFailed =>
  new ProbeFailed('probe_failed', {
    message,
    details: reject ? { ilpCode: reject.code, triggeredBy: reject.triggeredBy } : {},
  })

/** The attempt after one that a connector rejected. Throws {@link ProbeFailed} where no other amount can do better. */
function nextAttempt(attempt: Attempt, reject: IlpReject): Attempt {
  const { code } = reject
  const told = code === 'F08' ? parseAmountTooLarge(reject.data) : undefined
  if (told) {
    const largest = (told.maximumAmount * attempt.amount) / told.receivedAmount
    if (largest === 0n) throw probeFailed('the path takes no amount at all', reject)
    return { ...attempt, amount: largest, largest, limited: true, delayMs: 0 }
  }
  const limited = { ...attempt, limited: true, delayMs: 0 }
  if (code === 'F08') {
    if (attempt.amount === 1n) throw probeFailed('the path takes no amount at all', reject)
    return { ...limited, amount: attempt.amount / 2n, largest: attempt.amount / 2n }
  }
  // Short of liquidity, or beyond what some account can count: a tenth may pass.
  if (code === 'T04' || code === 'R01' || code === 'F03')
    return attempt.amount >= 10n ? { ...limited, amount: attempt.amount / 10n } : delayed(limited, 0n)
  if (code === 'F02')
    throw new ProbeFailed('no_route', {
      message: 'the receiver cannot be reached',
      details: { ilpCode: code, triggeredBy: reject.triggeredBy },
    })
  // Answers of receivers to packets like these, but not authentic: perhaps somebody on the path is confused for a moment.
  if (/^[TR]/.test(code) || code === 'F99' || code === 'F05' || code === 'F04')
    return delayed(attempt, attempt.amount / 10n)
  throw probeFailed('the path rejects packets for good', reject)
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

/** The answer, or undefined when it did not come before the deadline. */
async function beforeDeadline<T>(answer: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const deadline = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => deadline.resolve(undefined), milliseconds)
  try {
    return await Promise.race([answer, deadline.promise])
  } finally {
    clearTimeout(timer)
  }
}

const sendProbe = (ctx: ProbeContext, connection: Connection, amount: bigint): Promise<PacketAnswer> =>
  exchangePacket(connection, ctx.send, {
    amount,
    minimumAmount: 0n,
    expiresAt: ctx.clock.fromNow(PACKET_LIFE_MS),
    frames: [],
    fulfillable: false,
  })

function toResult(attempt: Attempt, delivered: bigint): ProbeResult {
  if (delivered === 0n) throw probeFailed('nothing arrives of what the path takes')
  const { low, high } = refineBounds(undefined, { source: attempt.amount, delivered })
  return {
    ...(attempt.limited && { maxPacketAmount: attempt.amount }),
    lowRate: rate(low.numerator, low.denominator),
    highRate: rate(high.numerator, high.denominator),
  }
}

/**
 * Finds out a path's rate and largest packet with packets that nobody can fulfil (contracts/ilp/payments.md §2). The receiver's
 * own, authentic answer says what arrived of which amount; answers of connectors say which amounts are too large. A path
 * without limits takes one packet, one with a limit that says so two. Throws {@link ProbeFailed} and InvalidDestination.
 */
export async function probePath(
  ctx: ProbeContext,
  input: Pick<ProbeInput, 'destination'> & { sourceAsset: Asset },
): Promise<ProbeResult> {
  const connection = openConnection(input.destination)
  const endsAtMs = ctx.clock.nowMs() + DEADLINE_MS
  const first = firstProbeAmount(input.sourceAsset, input.destination)
  let attempt: Attempt = { amount: first, largest: first, limited: false, delays: 0, delayMs: 0 }
  let lastReject: IlpReject | undefined
  for (;;) {
    if (attempt.delayMs > 0) await sleep(attempt.delayMs)
    const leftMs = endsAtMs - ctx.clock.nowMs()
    if (leftMs <= 0) break
    const answer = await beforeDeadline(sendProbe(ctx, connection, attempt.amount), leftMs)
    if (!answer) break
    if (answer.authentic) {
      if (saysClosed(answer.authentic))
        throw new ProbeFailed('closed_by_receiver', { message: 'the receiver takes no more money' })
      return toResult(attempt, answer.authentic.amount)
    }
    assert(isReject(answer.reply), 'only the receiver could fulfil a probe, and nobody can')
    lastReject = answer.reply
    attempt = nextAttempt(attempt, answer.reply)
  }
  throw probeFailed('the receiver did not answer in time', lastReject)
}
