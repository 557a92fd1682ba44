import { createHmac } from 'node:crypto'
import type { ReceiptSetup } from '../../shared/stream-credentials/index.ts'

const RECEIPT_LENGTH = 58
const SIGNED_LENGTH = 26
const VERSION = 1

/** A receipt (RFC 39): what this connection's stream has received in all, signed for whoever asked for receipts. */
export function createReceipt(input: ReceiptSetup & { streamId: number; totalReceived: bigint }): Buffer {
  const receipt = Buffer.allocUnsafe(RECEIPT_LENGTH)
  receipt.writeUInt8(VERSION, 0)
  input.nonce.copy(receipt, 1)
  receipt.writeUInt8(input.streamId, 17)
  receipt.writeBigUInt64BE(input.totalReceived, 18)
  createHmac('sha256', input.secret)
    .update(receipt.subarray(0, SIGNED_LENGTH))
    .digest()
    .copy(receipt, SIGNED_LENGTH)
  return receipt
}
