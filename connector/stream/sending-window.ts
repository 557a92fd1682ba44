import { AMOUNT_MAX, maximum } from '../../shared/money/index.ts'

const PACKETS_START = 8
const PACKETS_MAX = 256
const BACK_OFF_MIN_MS = 10
const BACK_OFF_MAX_MS = 2000

/**
 * How much may be under way at once: additive increase, multiplicative decrease over the number of packets, and over their
 * amount once a connector was short of liquidity. There is no fixed pace: answers make room for the next packets.
 */
export interface SendingWindow {
  hasRoom(inFlight: number): boolean
  /** Source units that may still be put under way. */
  amountRoom(sourceInFlight: bigint): bigint
  /** No packet starts before this instant, in milliseconds. */
  readonly resumesAtMs: number
  fulfilled(sourceAmount: bigint): void
  turnedAway(packet: TurnedAway): void
  /** The amount under way is too small to be worth anything at this rate: allow twice as much. */
  allowMore(): void
}

export interface TurnedAway {
  /** Packets are counted as they are sent; `lastIndex` is the newest one. */
  index: number
  lastIndex: number
  nowMs: number
  /** When a connector lacked liquidity: all that was under way, this packet included. */
  illiquidAmount?: bigint
}

/** `amountMin`: below it the amount under way is not cut for lack of liquidity, however often that is the answer. */
export function createSendingWindow(amountMin: bigint): SendingWindow {
  let packets = PACKETS_START
  // Below it the window doubles per round trip, above it it grows by one.
  let threshold = PACKETS_MAX
  let amountMax: bigint | undefined
  let failuresInARow = 0
  let answeredUpTo = -1
  let resumesAtMs = 0

  const setAmountMax = (amount: bigint) => {
    amountMax = amount >= AMOUNT_MAX ? undefined : maximum(amount, amountMin)
  }

  return {
    hasRoom: (inFlight) => inFlight < Math.floor(packets),
    amountRoom(sourceInFlight) {
      if (amountMax === undefined) return AMOUNT_MAX
      return maximum(amountMax - sourceInFlight, 0n)
    },
    get resumesAtMs() {
      return resumesAtMs
    },
    fulfilled(sourceAmount) {
      failuresInARow = 0
      packets = Math.min(PACKETS_MAX, packets + (packets < threshold ? 1 : 1 / packets))
      if (amountMax !== undefined)
        setAmountMax(amountMax + maximum((sourceAmount * sourceAmount) / amountMax, 1n))
    },
    turnedAway({ index, lastIndex, nowMs, illiquidAmount }) {
      // The packets that were under way together are turned away together: they count once.
      if (index <= answeredUpTo) return
      answeredUpTo = lastIndex
      packets = Math.max(1, packets / 2)
      threshold = packets
      resumesAtMs = nowMs + Math.min(BACK_OFF_MAX_MS, BACK_OFF_MIN_MS * 2 ** failuresInARow)
      failuresInARow = Math.min(failuresInARow + 1, 20)
      if (illiquidAmount !== undefined) setAmountMax(illiquidAmount / 2n)
    },
    allowMore() {
      if (amountMax !== undefined) setAmountMax(amountMax * 2n)
    },
  }
}
