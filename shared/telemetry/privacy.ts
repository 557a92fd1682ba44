/**
 * How an amount may leave the node (features.md §I): rounded to a bucket, and with noise. Below 20,000 buckets are 5,000 wide,
 * beyond that the next power of two times 5,000; they are never narrower than 2,500 and never wider than 10,000,000, and an
 * amount is taken for at least and at most that much. `random` is in [0, 1).
 */
const STEP = 5_000
const LINEAR_BELOW = 20_000
const LEAST = 2_500
const MOST = 10_000_000
const SENSITIVITY_SHARE = 0.1

const within = (value: number): number => Math.max(LEAST, Math.min(value, MOST))

const bucketSizeOf = (amount: number): number =>
  within(
    amount < LINEAR_BELOW
      ? Math.round(amount / STEP) * STEP
      : 2 ** Math.ceil(Math.log2(amount / STEP)) * STEP,
  )

function rounded(amount: number, bucketSize: number): number {
  const clipped = within(amount)
  const lower = Math.floor(clipped / bucketSize) * bucketSize
  const upper = Math.ceil(clipped / bucketSize) * bucketSize
  return Math.max(clipped <= (lower + upper) / 2 ? lower : upper, bucketSize / 2)
}

/** Laplace, around zero. */
function noise(scale: number, random: number): number {
  const centred = random - 0.5
  // The very edge has no logarithm.
  return -scale * Math.sign(centred) * Math.log(Math.max(1 - 2 * Math.abs(centred), Number.MIN_VALUE))
}

export function applyPrivacy(amount: number, random: number): number {
  const bucketSize = bucketSizeOf(amount)
  const value = rounded(amount, bucketSize)
  const noisy = value + Math.round(noise(Math.max(value / 10, bucketSize) * SENSITIVITY_SHARE, random))
  return noisy === 0 ? bucketSize / 2 : noisy
}
