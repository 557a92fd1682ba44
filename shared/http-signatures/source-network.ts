import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Of eight groups: who has a network has these, and every address in it. */
const NETWORK_GROUPS = 4

/** What counts as one source: an IPv4 address, or the network of an IPv6 one, in which a caller takes addresses as it likes. */
export function networkOf(source: string): string {
  if (!isIPv6(source)) return source
  const address = ipaddr.IPv6.parse(source)
  // As a socket that takes both says it.
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString()
  // As a translator says it that stands before a network without IPv4 (RFC 6052): each is somebody else.
  if (address.range() === 'rfc6052') return source
  return address.parts
    .slice(0, NETWORK_GROUPS)
    .map((group) => group.toString(16))
    .join(':')
}
