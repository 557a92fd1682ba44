import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

export const SHARED_SECRET_LENGTH = 32

/** The two keys of a STREAM connection. KeyObjects: importing raw bytes again for every packet costs five times the packet. */
export interface ConnectionKeys {
  /** AES-256-GCM over the packet's data. */
  encryption: KeyObject
  /** HMAC-SHA256 of the packet's data is its fulfilment. */
  fulfillment: KeyObject
}

export const hmac = (key: KeyObject | Buffer, data: string | Buffer): Buffer =>
  createHmac('sha256', key).update(data).digest()

export function deriveConnectionKeys(sharedSecret: Buffer): ConnectionKeys {
  const secret = createSecretKey(sharedSecret)
  return {
    encryption: createSecretKey(hmac(secret, 'ilp_stream_encryption')),
    fulfillment: createSecretKey(hmac(secret, 'ilp_stream_fulfillment')),
  }
}
