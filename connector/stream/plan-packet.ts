import {
  AMOUNT_MAX,
  compareRates,
  convertCeil,
  convertFloor,
  invertRate,
  maximum,
  minimum,
  type Rate,
} from '../../shared/money/index.ts'
import { mostDelivered, type RateBounds } from './rate-bounds.ts'

export interface PacketPlan {
  sourceAmount: bigint
  /** The receiver declines if less arrives. */
  minimumAmount: bigint
  /** What may arrive at most if the bounds are right; while the packet is under way it counts as if that had arrived. */
  mostDelivered: bigint
}

export interface PlanInput {
  /** Most source units that this packet may have. */
  sourceMax: bigint
  /** Still to deliver, beyond what is under way. Positive. */
  remaining: bigint
  /** Other packets are under way, so that this one may not be the last. */
  othersUnderWay: boolean
  bounds: RateBounds
  minRate: Rate
}

/**
 * The next packet of a payment that has to deliver a fixed amount, or undefined when no packet of this size can keep to
 * `minRate` (contracts/ilp/payments.md §3). Source units that rounding would lose are not sent: a packet is the cheapest one
 * that delivers what it delivers.
 */
export function planPacket(input: PlanInput): PacketPlan | undefined {
  const { bounds, minRate, remaining } = input
  if (bounds.low.numerator === 0n || compareRates(bounds.low, minRate) < 0) return undefined
  // What arrives must fit into a packet as well.
  const sourceMax = minimum(input.sourceMax, convertFloor(AMOUNT_MAX, invertRate(bounds.high)))
  const sourcePerUnit = invertRate(bounds.low)
  const sourceNeeded = convertCeil(remaining, sourcePerUnit)
  if (sourceNeeded <= sourceMax) {
    const careful = carefulSource(input, sourceNeeded)
    if (careful === 0n) return withMinimum(input, sourceNeeded, true)
    const plan = withMinimum(input, careful, false)
    // Counted as if it delivered all, so that what is left is not guessed at before the answer.
    return plan && { ...plan, mostDelivered: remaining }
  }
  return withMinimum(input, convertCeil(convertFloor(sourceMax, bounds.low), sourcePerUnit), false)
}

/**
 * While the rate is known too roughly for the size of the packet, the source needed at the low rate could deliver far more
 * than remains. Then a first packet that cannot deliver too much makes the rate precise, and the rest follows. 0: not needed.
 */
function carefulSource({ bounds, remaining }: PlanInput, sourceNeeded: bigint): bigint {
  const excess = mostDelivered(sourceNeeded, bounds) - remaining
  return excess > 1n + convertFloor(2n, bounds.high) ? convertFloor(remaining, invertRate(bounds.high)) : 0n
}

function withMinimum(
  { bounds, minRate, othersUnderWay }: PlanInput,
  sourceAmount: bigint,
  completes: boolean,
): PacketPlan | undefined {
  const expected = convertFloor(sourceAmount, bounds.low)
  if (expected === 0n) return undefined
  let minimumAmount = convertCeil(sourceAmount, minRate)
  // The last packet may lose one source unit to rounding: with few units that is more than the slippage.
  if (completes && !othersUnderWay && minimumAmount > expected) {
    const lessOne = convertCeil(sourceAmount - 1n, minRate)
    minimumAmount = minimum(expected, maximum(lessOne, convertFloor(sourceAmount, minRate)))
  }
  if (minimumAmount > expected) return undefined
  return {
    sourceAmount,
    minimumAmount,
    mostDelivered: maximum(expected, mostDelivered(sourceAmount, bounds)),
  }
}
