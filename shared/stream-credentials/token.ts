import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import type { Asset } from '../money/index.ts'
import { assert } from '../platform/index.ts'
import { hmac } from './connection-keys.ts'
import { InvalidStreamCredentials } from './errors.ts'

/** Who asked for receipts (RFC 39): `nonce` 16 bytes, `secret` 32 bytes. */
export interface ReceiptSetup {
  nonce: Buffer
  secret: Buffer
}

/** What a token says. */
export interface TokenContents {
  /** Id of the incoming payment or wallet address that the money is for. */
  paymentTag?: string
  receipt?: ReceiptSetup
  asset?: Asset
}

/** Keys that follow from the STREAM secret. */
export interface TokenKeys {
  token: KeyObject
  sharedSecret: KeyObject
}

const flag = { paymentTag: 1, receipt: 2, asset: 4 } as const
const STREAM_SECRET_LENGTH = 32
const NONCE_LENGTH = 16
const RECEIPT_SECRET_LENGTH = 32
const IV_LENGTH = 12
const AUTH_TAG_LENGTH = 16
const PRINTABLE_ASCII = /^[ -~]+$/
const algorithm = 'aes-256-gcm'

/** By identity: a node has one secret, and its bytes do not change. */
const derived = new WeakMap<Buffer, TokenKeys>()

export function deriveTokenKeys(streamSecret: Buffer): TokenKeys {
  const known = derived.get(streamSecret)
  if (known) return known
  assert(streamSecret.length === STREAM_SECRET_LENGTH, 'the STREAM secret is 32 bytes', streamSecret.length)
  const secret = createSecretKey(streamSecret)
  const keys = {
    token: createSecretKey(hmac(secret, 'ilp_stream_connection_token')),
    sharedSecret: createSecretKey(hmac(secret, 'ilp_stream_shared_secret')),
  }
  derived.set(streamSecret, keys)
  return keys
}

/** Length-prefixed bytes. A token fits an ILP address, so lengths of one byte are enough: up to 127. */
function varOctets(bytes: Buffer, name: string): Buffer {
  if (bytes.length > 127) throw new InvalidStreamCredentials(`${name} is longer than 127 bytes`)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function encodeContents(contents: TokenContents): Buffer {
  const { paymentTag, receipt, asset } = contents
  const flags =
    (paymentTag === undefined ? 0 : flag.paymentTag) | (receipt ? flag.receipt : 0) | (asset ? flag.asset : 0)
  const parts: Buffer[] = [Buffer.of(flags)]
  if (paymentTag !== undefined) {
    if (!PRINTABLE_ASCII.test(paymentTag))
      throw new InvalidStreamCredentials('a payment tag is printable ASCII')
    parts.push(varOctets(Buffer.from(paymentTag, 'latin1'), 'payment tag'))
  }
  if (receipt) {
    if (receipt.nonce.length !== NONCE_LENGTH || receipt.secret.length !== RECEIPT_SECRET_LENGTH)
      throw new InvalidStreamCredentials('a receipt nonce is 16 bytes and a receipt secret 32')
    parts.push(receipt.nonce, receipt.secret)
  }
  if (asset) {
    if (!Number.isInteger(asset.assetScale) || asset.assetScale < 0 || asset.assetScale > 255)
      throw new InvalidStreamCredentials('an asset scale is an integer from 0 to 255')
    parts.push(varOctets(Buffer.from(asset.assetCode, 'utf8'), 'asset code'), Buffer.of(asset.assetScale))
  }
  return Buffer.concat(parts)
}

/** Random bytes that were fetched many at a time, because fetching costs the same for few; each is given out once. */
const fetched = Buffer.alloc(IV_LENGTH * 128)
let given = fetched.length

function freshIv(): Buffer {
  if (given === fetched.length) {
    randomFillSync(fetched)
    given = 0
  }
  // A copy: the bytes behind it are filled again.
  const iv = Buffer.from(fetched.subarray(given, given + IV_LENGTH))
  given += IV_LENGTH
  return iv
}

/** iv ‖ tag ‖ ciphertext, under a fresh random iv: the same contents give another token each time. */
export function sealToken(keys: TokenKeys, contents: TokenContents): Buffer {
  const iv = freshIv()
  const cipher = createCipheriv(algorithm, keys.token, iv)
  const ciphertext = cipher.update(encodeContents(contents))
  cipher.final()
  return Buffer.concat([iv, cipher.getAuthTag(), ciphertext])
}

/** The token's plaintext, or undefined when it was not sealed under these keys. */
function decrypt(keys: TokenKeys, token: Buffer): Buffer | undefined {
  if (token.length <= IV_LENGTH + AUTH_TAG_LENGTH) return undefined
  const decipher = createDecipheriv(algorithm, keys.token, token.subarray(0, IV_LENGTH), {
    authTagLength: AUTH_TAG_LENGTH,
  })
  decipher.setAuthTag(token.subarray(IV_LENGTH, IV_LENGTH + AUTH_TAG_LENGTH))
  const plain = decipher.update(token.subarray(IV_LENGTH + AUTH_TAG_LENGTH))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plain
}

/** What the token says, or undefined when it is not one of ours. */
export function openToken(keys: TokenKeys, token: Buffer): TokenContents | undefined {
  const plain = decrypt(keys, token)
  if (!plain) return undefined
  let offset = 1
  const take = (length: number): Buffer => {
    const bytes = plain.subarray(offset, offset + length)
    offset += length
    return bytes
  }
  const takeByte = (): number => plain[offset++] ?? 0
  const flags = plain[0] ?? 0
  const contents: TokenContents = {}
  if (flags & flag.paymentTag) contents.paymentTag = take(takeByte()).toString('latin1')
  if (flags & flag.receipt)
    contents.receipt = { nonce: take(NONCE_LENGTH), secret: take(RECEIPT_SECRET_LENGTH) }
  if (flags & flag.asset)
    contents.asset = { assetCode: take(takeByte()).toString('utf8'), assetScale: takeByte() }
  // Authentic and yet too short for its flags: another program sealed something else under the same secret.
  return offset <= plain.length ? contents : undefined
}
