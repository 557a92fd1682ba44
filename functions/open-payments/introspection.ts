import {
  type Clock,
  createCache,
  type HttpClient,
  isObject,
  type Logger,
  messageOf,
} from '../../shared/platform/index.ts'
import { AccessRefusal } from './errors.ts'

export type AccessType = 'incoming-payment' | 'outgoing-payment' | 'quote'
export type AccessAction = 'create' | 'read' | 'list' | 'complete'

/** What a route needs: one action on one wallet address. */
export interface RequestedAccess {
  type: AccessType
  action: AccessAction
  /** The wallet address. */
  identifier: string
}

/** An item of the grant, as the authorization server says it. */
export interface GrantedAccess {
  type: string
  actions: readonly string[]
  identifier?: string
  /** Of outgoing payments; opaque to the authorization server, the resource server's to enforce. */
  limits?: Readonly<Record<string, unknown>>
}

export type TokenClient = { walletAddress: string } | { jwk: Readonly<Record<string, unknown>> }

export type Introspection =
  | { active: false }
  | { active: true; grantId: string; tenantId: string; access: readonly GrantedAccess[]; client: TokenClient }

/** Asks the authorization server about a token. Throws {@link AccessRefusal} `introspection_failed` when it gives no usable answer. */
export type Introspect = (token: string, access: RequestedAccess) => Promise<Introspection>

function parseAccess(value: unknown): GrantedAccess {
  if (!isObject(value) || typeof value.type !== 'string' || !Array.isArray(value.actions))
    throw new TypeError('an access item has no type or actions')
  const { type, actions, identifier, limits } = value
  if (identifier !== undefined && identifier !== null && typeof identifier !== 'string')
    throw new TypeError('an identifier is not text')
  // Limits that cannot be read must never look like none.
  if (limits !== undefined && limits !== null && !isObject(limits))
    throw new TypeError('limits are not an object')
  return {
    type,
    actions: actions.map(String),
    ...(typeof identifier === 'string' && { identifier }),
    ...(isObject(limits) && { limits }),
  }
}

function parseClient(value: unknown): TokenClient {
  if (isObject(value) && typeof value.walletAddress === 'string')
    return { walletAddress: value.walletAddress }
  if (isObject(value) && isObject(value.jwk)) return { jwk: value.jwk }
  throw new TypeError('the client is neither a wallet address nor a key')
}

/** The authorization server's answer (contracts/open-payments/gnap.md §8). Throws TypeError for anything else. */
export function parseIntrospection(value: unknown): Introspection {
  if (!isObject(value) || typeof value.active !== 'boolean') throw new TypeError('active is missing')
  if (!value.active) return { active: false }
  const { grant, tenant, access, client } = value
  if (typeof grant !== 'string') throw new TypeError('grant is missing')
  // Without it a token of one tenant would open the doors of another.
  if (typeof tenant !== 'string') throw new TypeError('tenant is missing')
  if (!Array.isArray(access)) throw new TypeError('access is missing')
  return {
    active: true,
    grantId: grant,
    tenantId: tenant.toLowerCase(),
    access: access.map(parseAccess),
    client: parseClient(client),
  }
}

/**
 * The client of auth's introspection listener. Questions that are the same and are in flight at the same time are asked once.
 * With `cacheMs` 0, the default, no answer outlives the requests that waited for it: a revoked token is refused from the next
 * request on.
 */
export function createIntrospect(ctx: {
  http: HttpClient
  clock: Clock
  log: Logger
  url: string
  timeoutMs: number
  /** INTROSPECTION_CACHE_MS */
  cacheMs: number
}): Introspect {
  const cache = createCache({ clock: ctx.clock, lifeMs: ctx.cacheMs })

  const ask = async (token: string, access: RequestedAccess): Promise<Introspection> => {
    const { type, action, identifier } = access
    try {
      const response = await ctx.http.request({
        method: 'POST',
        url: ctx.url,
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify({ access_token: token, access: [{ type, actions: [action], identifier }] }),
        timeoutMs: ctx.timeoutMs,
      })
      if (response.status !== 200) throw new TypeError(`answered ${response.status}`)
      return parseIntrospection(JSON.parse(response.body.toString('utf8')))
    } catch (error) {
      ctx.log.warn({ reason: messageOf(error) }, 'token introspection failed')
      throw new AccessRefusal('introspection_failed', { cause: error })
    }
  }

  return (token, access) =>
    cache.get(JSON.stringify([token, access.type, access.action, access.identifier]), () =>
      ask(token, access),
    )
}
