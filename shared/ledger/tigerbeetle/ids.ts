import { assert, isUuid } from '../../platform/index.ts'
import type { LedgerId } from '../port.ts'
import { ID_MAX } from './native.ts'

/** The same 128 bits. */
export function toU128(id: LedgerId): bigint {
  assert(isUuid(id), 'an id is a UUID', id)
  const value = BigInt(
    `0x${id.slice(0, 8)}${id.slice(9, 13)}${id.slice(14, 18)}${id.slice(19, 23)}${id.slice(24)}`,
  )
  assert(value < ID_MAX, 'TigerBeetle has no such id', id)
  return value
}

export function toUuid(value: bigint): LedgerId {
  const hex = value.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
