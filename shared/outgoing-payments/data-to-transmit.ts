import type { SecretBox } from '../platform/index.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import type { OutgoingPaymentRow } from './store.ts'

/** Fits into one packet, beside everything else, on the way through any node. */
const BYTES_MAX = 16 * 1024

/** What it is sealed for: in another payment's row it does not open. */
export const dataToTransmitPlace = (paymentId: string): string =>
  `outgoing-payment:${paymentId}:data-to-transmit`

/**
 * What a wallet wants the receiver of a payment to get, for its row: encrypted, and good in that row only. Throws
 * {@link OutgoingPaymentRefusal} `invalid_data`.
 */
export function sealDataToTransmit(
  ctx: { secretBox: Pick<SecretBox, 'seal'> },
  input: { outgoingPaymentId: string; text: string },
): string {
  const size = Buffer.byteLength(input.text)
  if (size === 0 || size > BYTES_MAX)
    throw new OutgoingPaymentRefusal('invalid_data', {
      message: `dataToTransmit must have 1 to ${BYTES_MAX} bytes`,
    })
  return ctx.secretBox.seal(input.text, dataToTransmitPlace(input.outgoingPaymentId))
}

/** For the packets of the payment that has it. */
export const openDataToTransmit = (
  ctx: { secretBox: Pick<SecretBox, 'open'> },
  payment: Pick<OutgoingPaymentRow, 'id' | 'sealedDataToTransmit'>,
): string | undefined =>
  payment.sealedDataToTransmit === undefined
    ? undefined
    : ctx.secretBox.open(payment.sealedDataToTransmit, dataToTransmitPlace(payment.id))
