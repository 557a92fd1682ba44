import { convertCeil, rate } from '../money/index.ts'
import { assert } from '../platform/index.ts'

/** Basis points are of the principal: what enters the network when that is quoted, the debit when that is given. */
export interface SendingFee {
  id: string
  fixed: bigint
  basisPoints: number
}

const BASIS_POINTS = 10_000

/** `ceil(principal × basisPoints / 10000) + fixed`, exact. */
export function feeOn(principal: bigint, fee: SendingFee | undefined): bigint {
  if (!fee) return 0n
  assert(fee.fixed >= 0n && fee.basisPoints >= 0 && fee.basisPoints <= BASIS_POINTS, 'fee in range', fee)
  return convertCeil(principal, rate(BigInt(fee.basisPoints), BigInt(BASIS_POINTS))) + fee.fixed
}

/** What a given debit leaves for the network; zero when the fee takes all. */
export function sourceOfDebit(debit: bigint, fee: SendingFee | undefined): bigint {
  const source = debit - feeOn(debit, fee)
  return source > 0n ? source : 0n
}

/** The least debit of which `minSource` enters the network; `undefined` when the fee takes all of any debit. */
export function minDebit(minSource: bigint, fee: SendingFee | undefined): bigint | undefined {
  if (!fee) return minSource
  const kept = BASIS_POINTS - fee.basisPoints
  if (kept === 0) return undefined
  return convertCeil(minSource + fee.fixed, rate(BigInt(BASIS_POINTS), BigInt(kept)))
}
