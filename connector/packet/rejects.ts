import { type IlpErrorCode, type IlpReject, ilpErrors } from './model.ts'

const NO_DATA = Buffer.alloc(0)

export interface RejectInput {
  /** This node's address. */
  triggeredBy: string
  /** Default: the words of {@link ilpErrors}. */
  message?: string
  data?: Buffer
}

export const createReject = (code: IlpErrorCode, input: RejectInput): IlpReject => ({
  code,
  triggeredBy: input.triggeredBy,
  message: input.message ?? ilpErrors[code],
  data: input.data ?? NO_DATA,
})

/** F08 with both amounts in its data, in the units of the node that rejects, so that the sender can find its own maximum. */
export function amountTooLargeReject(input: {
  triggeredBy: string
  receivedAmount: bigint
  maximumAmount: bigint
}): IlpReject {
  const data = Buffer.allocUnsafe(16)
  data.writeBigUInt64BE(input.receivedAmount, 0)
  data.writeBigUInt64BE(input.maximumAmount, 8)
  const message = `packet size too large. maxAmount=${input.maximumAmount} actualAmount=${input.receivedAmount}`
  return { code: 'F08', triggeredBy: input.triggeredBy, message, data }
}

/** The amounts in the data of an F08, or undefined when it carries none that make sense. */
export function parseAmountTooLarge(
  data: Buffer,
): { receivedAmount: bigint; maximumAmount: bigint } | undefined {
  if (data.length < 16) return undefined
  const receivedAmount = data.readBigUInt64BE(0)
  const maximumAmount = data.readBigUInt64BE(8)
  return receivedAmount > maximumAmount ? { receivedAmount, maximumAmount } : undefined
}
