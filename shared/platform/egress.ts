import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Fault } from './errors.ts'

/**
 * Which URLs this node may be made to fetch by others: https to public unicast addresses, and what EGRESS_ALLOW exempts
 * (decisions: Outbound requests). Pure; `egress-http.ts` resolves and connects.
 */
export interface EgressPolicy {
  /** The URL to fetch, normalised, without fragment; https may have become http. Throws {@link Fault} `egress_denied`. */
  toFetch(url: string): URL
  /** The same without judging: what a signature has to cover. */
  effectiveUrl(url: string): string
  /** `allow` names this host, so its addresses need not be public. */
  isHostExempt(hostname: string): boolean
  isAddressAllowed(address: string): boolean
}

type Network = ReturnType<typeof ipaddr.parseCIDR>

/** Global unicast is all that IANA has ever assigned for the public IPv6 internet (RFC 4291 §2.4). */
let ipv6Public: ReturnType<typeof ipaddr.IPv6.parseCIDR> | undefined
const isPublicIpv6 = (address: ipaddr.IPv6): boolean => {
  ipv6Public ??= ipaddr.IPv6.parseCIDR('2000::/3')
  return address.match(ipv6Public)
}

export const egressDenied = (reason: string, details: Record<string, unknown> = {}): Fault =>
  new Fault('egress_denied', { retryable: false, message: reason, details })

/** Host names compare in lower case, IPv6 without brackets, names without the root's dot. */
const bareHost = (hostname: string) => hostname.toLowerCase().replace(/^\[|\]$|\.$/g, '')

/** Public unicast: nothing private, local, mapped, translated, tunnelled, documentary or reserved. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed.kind() === 'ipv4' || isPublicIpv6(parsed as ipaddr.IPv6)
}

function parseNetwork(entry: string): Network | undefined {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry)
  if (entry.includes('/')) throw new TypeError(`EGRESS_ALLOW: not a network: ${entry}`)
  const host = bareHost(entry)
  if (isIP(host) === 0) return undefined
  return ipaddr.parseCIDR(`${host}/${isIP(host) === 4 ? 32 : 128}`)
}

/** Throws TypeError for an entry that is neither host, address nor network. */
export function createEgressPolicy(options: { allow: readonly string[]; allowHttp: boolean }): EgressPolicy {
  const networks: Network[] = []
  const hosts = new Set<string>()
  for (const entry of options.allow) {
    const network = parseNetwork(entry)
    if (network) networks.push(network)
    else if (/^[a-z0-9._-]+$/i.test(entry)) hosts.add(bareHost(entry))
    else throw new TypeError(`EGRESS_ALLOW: not a host or network: ${entry}`)
  }

  const inNetworks = (address: string): boolean => {
    if (isIP(address) === 0) return false
    const parsed = ipaddr.parse(address)
    return networks.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits))
  }
  const isHostExempt = (hostname: string) => hosts.has(bareHost(hostname))
  const isAddressAllowed = (address: string) => isPublicAddress(address) || inNetworks(address)
  const mayUseHttp = (url: URL) =>
    options.allowHttp && (isHostExempt(url.hostname) || inNetworks(bareHost(url.hostname)))

  const rewrite = (text: string): URL | undefined => {
    if (!URL.canParse(text)) return undefined
    const url = new URL(text)
    url.hash = ''
    if (url.protocol === 'https:' && mayUseHttp(url)) url.protocol = 'http:'
    return url
  }

  return {
    isHostExempt,
    isAddressAllowed,
    effectiveUrl: (text) => rewrite(text)?.href ?? text,
    toFetch(text) {
      const url = rewrite(text)
      if (!url) throw egressDenied('not a URL')
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayUseHttp(url)))
        throw egressDenied('only https URLs may be fetched', { url: text })
      if (url.username !== '' || url.password !== '')
        throw egressDenied('a URL with user information is not fetched')
      const host = bareHost(url.hostname)
      if (host === '') throw egressDenied('a URL without a host is not fetched')
      if (isIP(host) !== 0 && !isAddressAllowed(host))
        throw egressDenied(`${url.host} is not a public address`)
      return url
    },
  }
}
