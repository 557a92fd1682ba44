import { isValidIlpAddress } from 'ilp-packet'

/** Grammar of ILP addresses (RFC 15): a known scheme, then one or more segments, at most 1023 characters. */
export const isIlpAddress = (text: unknown): text is string => isValidIlpAddress(text)

/** True for `address` itself and for every address below it, by whole segments. */
export const isOwnOrBelow = (destination: string, address: string): boolean =>
  destination.startsWith(address) &&
  (destination.length === address.length || destination[address.length] === '.')
