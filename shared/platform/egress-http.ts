import { isIP, type LookupFunction } from 'node:net'
import type { buildConnector } from 'undici'
import { createEgressPolicy, type EgressPolicy, egressDenied } from './egress.ts'
import { assert, Fault } from './errors.ts'
import {
  createLazyAgent,
  exchange,
  type HttpRequest,
  type HttpResponse,
  type OpenHttpClient,
} from './http-client.ts'
import { createHostResolver, type HostAddress } from './resolve-host.ts'

type Resolve = (hostname: string) => Promise<HostAddress[]>

export interface GuardedHttpOptions {
  /** Host names, addresses or networks exempt from the address rule (EGRESS_ALLOW). */
  allow: readonly string[]
  /** https URLs whose host is in `allow` are fetched over http (EGRESS_ALLOW_HTTP). */
  allowHttp: boolean
  /** Default: {@link createHostResolver}, to which names in `allow` are the operator's. */
  resolve?: Resolve
  /** Default 16. */
  connectionsPerHost?: number
  /** Of one request, whatever it asks for. Default 10 s. */
  timeoutMsMax?: number
}

const TIMEOUT_MS_MAX_DEFAULT = 10_000
const CONNECT_TIMEOUT_MS = 5_000
const RESPONSE_SIZE_MAX = 64 * 1024
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/**
 * A socket's lookup that answers with checked addresses only: the name is resolved once per connection, one forbidden address
 * forbids the name, and the socket connects to exactly what was checked. Reused connections keep the address they have.
 */
function guardedLookup(policy: EgressPolicy, resolve: Resolve): LookupFunction {
  const checked = async (hostname: string): Promise<HostAddress[]> => {
    const addresses = await resolve(hostname)
    if (addresses.length === 0) throw new Error(`no address for ${hostname}`)
    const isForbidden = ({ address }: HostAddress) =>
      !policy.isHostExempt(hostname) && !policy.isAddressAllowed(address)
    if (addresses.some(isForbidden))
      throw egressDenied(`${hostname} is not at a public address`, { addresses })
    return addresses
  }
  return (hostname, options, callback) => {
    checked(hostname).then(
      (addresses) => {
        const [first] = addresses
        if (options.all) callback(null, addresses)
        else callback(null, first?.address ?? '', first?.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    )
  }
}

/** Literal addresses never reach a lookup, so the connector judges them itself. */
function guardedConnector(
  build: typeof buildConnector,
  policy: EgressPolicy,
  resolve: Resolve,
): buildConnector.connector {
  const connect = build({
    timeout: CONNECT_TIMEOUT_MS,
    allowH2: false,
    lookup: guardedLookup(policy, resolve),
    autoSelectFamily: true,
  })
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0 && !policy.isAddressAllowed(host))
      callback(egressDenied(`${host} is not a public address`), null)
    else connect(options, callback)
  }
}

const isSigned = (headers: Record<string, string> = {}) =>
  Object.keys(headers).some((name) => /^(authorization|signature|signature-input|cookie)$/i.test(name))

const locationOf = (response: HttpResponse, base: URL): string | undefined => {
  const { location } = response.headers
  if (!REDIRECTS.has(response.status) || typeof location !== 'string') return undefined
  if (!URL.canParse(location, base.href))
    throw egressDenied(`${base.host} redirects to something that is no URL`)
  return new URL(location, base).href
}

/**
 * For URLs that others name: clients, receivers, wallet addresses, tenants. https to checked public addresses, no proxies, no
 * redirects unless asked for on an unsigned GET, 64 KiB and `timeoutMsMax` at most. Bodies are taken as sent, never inflated. Refused
 * targets are {@link Fault} `egress_denied`.
 */
export function createGuardedHttp(options: GuardedHttpOptions): OpenHttpClient {
  const policy = createEgressPolicy(options)
  const { timeoutMsMax = TIMEOUT_MS_MAX_DEFAULT } = options
  const resolve = options.resolve ?? createHostResolver({ isOwn: policy.isHostExempt })
  const agent = createLazyAgent(
    ({ Agent, buildConnector }) =>
      new Agent({
        connect: guardedConnector(buildConnector, policy, resolve),
        connections: options.connectionsPerHost ?? 16,
        keepAliveTimeout: 10_000,
        keepAliveMaxTimeout: 60_000,
        maxHeaderSize: 16 * 1024,
      }),
  )

  const request = async (input: HttpRequest): Promise<HttpResponse> => {
    const hopsMax = input.redirectsMax ?? 0
    assert(
      hopsMax === 0 || (input.method === 'GET' && !isSigned(input.headers)),
      'only unsigned GETs follow redirects',
    )
    const deadline = performance.now() + Math.min(input.timeoutMs, timeoutMsMax)
    let url = policy.toFetch(input.url)
    for (let hops = 0; ; hops++) {
      const timeoutMs = Math.ceil(deadline - performance.now())
      if (timeoutMs <= 0)
        throw new Fault('request_timeout', { retryable: true, message: `no answer from ${url.host} in time` })
      const response = await exchange(await agent.get(), {
        ...input,
        url: url.href,
        timeoutMs,
        responseSizeMax: Math.min(input.responseSizeMax ?? RESPONSE_SIZE_MAX, RESPONSE_SIZE_MAX),
      })
      const location = hopsMax > 0 ? locationOf(response, url) : undefined
      if (location === undefined) return response
      if (hops >= hopsMax)
        throw new Fault('too_many_redirects', {
          retryable: false,
          message: `more than ${hopsMax} redirects from ${url.host}`,
        })
      url = policy.toFetch(location)
    }
  }

  // Strangers' servers do not get to delay a shutdown.
  return {
    request,
    effectiveUrl: policy.effectiveUrl,
    renew: agent.renew,
    close: () => agent.end((opened) => opened.destroy()),
  }
}
