import { isIPv6 } from 'node:net'

/** The same address, as a socket that takes both says it. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
/** Of eight groups: who has a network has these, and every address in it. */
const NETWORK_GROUPS = 4
/** IPv4 addresses, as a translator says them that stands before a network without IPv4 (RFC 6052): each is somebody else. */
const TRANSLATED = /^64:ff9b:0:0:0:0:/

const groupsOf = (text: string | undefined): string[] => (text ? text.split(':') : [])

/** What counts as one source: an IPv4 address, or the network of an IPv6 one, in which a caller takes addresses as it likes. */
export function networkOf(source: string): string {
  const [, mapped] = MAPPED.exec(source) ?? []
  if (mapped !== undefined || !isIPv6(source)) return mapped ?? source
  const [address = ''] = source.split('%')
  const [left, right] = address.split('::').map(groupsOf) as [string[], string[]?]
  const zeros = right ? Array<string>(Math.max(8 - left.length - right.length, 0)).fill('0') : []
  const groups = [...left, ...zeros, ...(right ?? [])].map((group) => Number.parseInt(group, 16).toString(16))
  return TRANSLATED.test(groups.join(':')) ? address : groups.slice(0, NETWORK_GROUPS).join(':')
}
