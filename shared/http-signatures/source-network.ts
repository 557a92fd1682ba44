import { isIPv6 } from 'node:net'

/** The same address, as a socket that takes both says it. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
/** Of eight groups: who has a network has these, and every address in it. */
const NETWORK_GROUPS = 4

const groupsOf = (text: string | undefined): string[] => (text ? text.split(':') : [])

/** What counts as one source: an IPv4 address, or the network of an IPv6 one, in which a caller takes addresses as it likes. */
export function networkOf(source: string): string {
  const [, mapped] = MAPPED.exec(source) ?? []
  if (mapped !== undefined || !isIPv6(source)) return mapped ?? source
  const [address = ''] = source.split('%')
  const [left, right] = address.split('::').map(groupsOf) as [string[], string[]?]
  const zeros = right ? Array<string>(Math.max(8 - left.length - right.length, 0)).fill('0') : []
  return [...left, ...zeros, ...(right ?? [])]
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
