import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hash,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import { InvalidStreamPacket } from './errors.ts'
import { decodeStreamPacket, encodeStreamPacket, type StreamPacket } from './frames.ts'

const IV_LENGTH = 12
const AUTH_TAG_LENGTH = 16
const OVERHEAD = IV_LENGTH + AUTH_TAG_LENGTH
const algorithm = 'aes-256-gcm'

// One system call fills many ivs. Each is used once: the offset only grows between refills.
const pool = Buffer.allocUnsafe(512 * IV_LENGTH)
let poolOffset = pool.length

function copyFreshIv(target: Buffer): void {
  if (poolOffset === pool.length) {
    randomFillSync(pool)
    poolOffset = 0
  }
  pool.copy(target, 0, poolOffset, poolOffset + IV_LENGTH)
  poolOffset += IV_LENGTH
}

/** iv ‖ tag ‖ ciphertext (connector.md §8), under a random iv. */
export function encrypt(key: KeyObject, plain: Buffer): Buffer {
  const sealed = Buffer.allocUnsafe(OVERHEAD + plain.length)
  copyFreshIv(sealed)
  const cipher = createCipheriv(algorithm, key, sealed.subarray(0, IV_LENGTH))
  cipher.update(plain).copy(sealed, OVERHEAD)
  cipher.final()
  cipher.getAuthTag().copy(sealed, IV_LENGTH)
  return sealed
}

/** The plaintext, or undefined when the bytes were not sealed under this key. */
export function decrypt(key: KeyObject, sealed: Buffer): Buffer | undefined {
  if (sealed.length < OVERHEAD) return undefined
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, IV_LENGTH), {
    authTagLength: AUTH_TAG_LENGTH,
  })
  decipher.setAuthTag(sealed.subarray(IV_LENGTH, OVERHEAD))
  const plain = decipher.update(sealed.subarray(OVERHEAD))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plain
}

export const sealStreamPacket = (key: KeyObject, packet: StreamPacket): Buffer =>
  encrypt(key, encodeStreamPacket(packet))

/** The packet inside, or undefined when the data is not authentic or not a STREAM packet. */
export function openStreamPacket(key: KeyObject, data: Buffer): StreamPacket | undefined {
  const plain = decrypt(key, data)
  if (!plain) return undefined
  try {
    return decodeStreamPacket(plain)
  } catch (error) {
    if (error instanceof InvalidStreamPacket) return undefined
    throw error
  }
}

/** HMAC-SHA256 of the packet's data: only the two ends can make it. */
export const fulfillmentOf = (key: KeyObject, data: Buffer): Buffer =>
  createHmac('sha256', key).update(data).digest()

/** By way of text: a digest as bytes costs several times as much. */
export const conditionOf = (fulfillment: Buffer): Buffer =>
  Buffer.from(hash('sha256', fulfillment, 'hex'), 'hex')
