import { hash, randomFillSync } from 'node:crypto'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const pool = Buffer.allocUnsafe(4096)
let poolOffset = pool.length
let lastMs = 0
let sequence = 0

function take(size: number): number {
  if (poolOffset + size > pool.length) {
    randomFillSync(pool)
    poolOffset = 0
  }
  const start = poolOffset
  poolOffset += size
  return start
}

/** UUID text of 16 bytes. */
export function bytesToUuid(bytes: Uint8Array): string {
  let text = ''
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += '-'
    text += HEX[bytes[index] ?? 0]
  }
  return text
}

/**
 * Time-ordered UUID (RFC 9562 §5.7). Ids of one process are strictly increasing: `rand_a` counts within a millisecond and
 * borrows from the next one when it overflows. Ordered keys keep Postgres and TigerBeetle indexes compact.
 */
export function uuidv7(nowMs: number = Date.now()): string {
  const at = take(16)
  const bytes = pool.subarray(at, at + 16)
  if (nowMs > lastMs) {
    lastMs = nowMs
    sequence = (((bytes[6] ?? 0) & 0x07) << 8) | (bytes[7] ?? 0)
  } else if (++sequence > 0xfff) {
    lastMs++
    sequence = 0
  }
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes[6] = 0x70 | (sequence >> 8)
  bytes[7] = sequence & 0xff
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  return bytesToUuid(bytes)
}

/**
 * The id of a thing that follows from what it is for: the first 128 bits of SHA-256 over the length-prefixed parts
 * (decisions: Money). A retry after a crash derives the same id, so it cannot move money twice.
 */
export function deriveId(purpose: string, ...parts: (string | number | bigint)[]): string {
  let text = `${purpose.length}:${purpose}`
  for (const part of parts) {
    const word = String(part)
    text += `|${word.length}:${word}`
  }
  // As text: a digest as bytes costs several times as much.
  const hex = hash('sha256', text, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/** The same as a UUID of RFC 9562, version 8, for where it has to pass for one. */
export function deriveUuid(purpose: string, ...parts: (string | number | bigint)[]): string {
  const id = deriveId(purpose, ...parts)
  const variant = ((Number.parseInt(id.charAt(19), 16) & 3) | 8).toString(16)
  return `${id.slice(0, 14)}8${id.slice(15, 19)}${variant}${id.slice(20)}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isUuid = (text: unknown): text is string => typeof text === 'string' && UUID.test(text)
