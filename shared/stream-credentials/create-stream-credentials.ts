import type { Asset } from '../money/index.ts'
import { configuration } from '../platform/index.ts'
import { hmac } from './connection-keys.ts'
import { InvalidStreamCredentials } from './errors.ts'
import { deriveTokenKeys, type ReceiptSetup, sealToken } from './token.ts'

export interface StreamCredentialsInput {
  /** STREAM_SECRET, 32 bytes. */
  streamSecret: Buffer
  /** The node's address; for another tenant's payments the tenant's. */
  ilpAddress: string
  /** Id of the incoming payment or wallet address, ASCII. */
  paymentTag?: string
  asset?: Asset
  receipt?: ReceiptSetup
}

export interface StreamCredentials {
  ilpAddress: string
  /** 32 bytes. On the wire base64url without padding. */
  sharedSecret: Buffer
}

/** Fresh credentials; earlier ones for the same payment stay valid. Throws {@link InvalidStreamCredentials}. */
export function createStreamCredentials(input: StreamCredentialsInput): StreamCredentials {
  const keys = deriveTokenKeys(input.streamSecret)
  const token = sealToken(keys, input)
  const ilpAddress = `${input.ilpAddress}.${token.toString('base64url')}`
  if (!configuration.isIlpAddress(ilpAddress))
    throw new InvalidStreamCredentials('the node address and the payment do not fit into one ILP address')
  return { ilpAddress, sharedSecret: hmac(keys.sharedSecret, token) }
}
