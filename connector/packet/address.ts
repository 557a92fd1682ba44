import { isValidIlpAddress } from 'ilp-packet'

/** Grammar of ILP addresses (RFC 15): a known scheme, then one or more segments, at most 1023 characters. */
export const isIlpAddress = (text: unknown): text is string => isValidIlpAddress(text)
