import {
  type Clock,
  createBatcher,
  createCache,
  Fault,
  type HttpClient,
  isObject,
  type Logger,
  messageOf,
} from '../../shared/platform/index.ts'
import { AccessRefusal } from './errors.ts'

export type AccessType = 'incoming-payment' | 'outgoing-payment' | 'quote'
export type AccessAction = 'create' | 'read' | 'list' | 'complete'

/** What a route needs: one action on one wallet address, or wherever the grant allows it. */
export interface RequestedAccess {
  type: AccessType
  action: AccessAction
  /** The wallet address. */
  identifier?: string
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

interface Question {
  token: string
  access: RequestedAccess
}

/** Questions in one call: what their tokens and addresses can weigh stays below the listener's limit on bodies. */
const BATCH_SIZE_MAX = 50
/** An authorization server without the batch form is not offered it again for so long. */
const BATCH_FORM_RETRY_MS = 60_000

const toWire = ({ token, access: { type, action, identifier } }: Question) => ({
  access_token: token,
  access: [{ type, actions: [action], identifier }],
})

interface IntrospectContext {
  http: HttpClient
  clock: Clock
  log: Logger
  /** AUTH_SERVER_INTROSPECTION_URL */
  url: string
  timeoutMs: number
  /** INTROSPECTION_CACHE_MS */
  cacheMs: number
}

/** The two forms of asking: one question as anybody may ask it, and many in one call (`POST /batch`), which only this node's auth knows. */
function createQuestioner(ctx: IntrospectContext): (questions: readonly Question[]) => Promise<unknown[]> {
  const batchUrl = `${ctx.url.replace(/\/+$/, '')}/batch`
  let singlesUntilMs = 0

  const post = async (url: string, body: unknown): Promise<unknown> => {
    const response = await ctx.http.request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      timeoutMs: ctx.timeoutMs,
    })
    if (response.status >= 500)
      throw new Fault('introspection_unavailable', {
        retryable: true,
        message: `answered ${response.status}`,
      })
    if (url === batchUrl && response.status === 404) singlesUntilMs = ctx.clock.nowMs() + BATCH_FORM_RETRY_MS
    if (response.status !== 200) throw new TypeError(`answered ${response.status}`)
    return JSON.parse(response.body.toString('utf8'))
  }

  return async (questions) => {
    const [only] = questions
    if (only && questions.length === 1) return [await post(ctx.url, toWire(only))]
    // Not a fault: the batcher then asks for each alone.
    if (ctx.clock.nowMs() < singlesUntilMs) throw new TypeError('the server has no batch form')
    const answer = await post(batchUrl, { requests: questions.map(toWire) })
    if (!isObject(answer) || !Array.isArray(answer.responses)) throw new TypeError('responses are missing')
    return answer.responses
  }
}

/**
 * The client of auth's introspection listener. Questions of different requests that come while a call is under way go together in the
 * next one. An answer goes to those only who asked before its call left, and with `cacheMs` 0, the default, it ends with them: a revoked
 * token is refused from the next request on.
 */
export function createIntrospect(ctx: IntrospectContext): Introspect {
  const questions = createBatcher({ ask: createQuestioner(ctx), sizeMax: BATCH_SIZE_MAX })

  const ask: Introspect = async (token, access) => {
    try {
      return parseIntrospection(await questions.submit({ token, access }))
    } catch (error) {
      ctx.log.warn({ reason: messageOf(error) }, 'token introspection failed')
      throw new AccessRefusal('introspection_failed', { cause: error })
    }
  }
  if (ctx.cacheMs === 0) return ask

  const cache = createCache({ clock: ctx.clock, lifeMs: ctx.cacheMs })
  return (token, access) =>
    cache.get(JSON.stringify([token, access.type, access.action, access.identifier]), () =>
      ask(token, access),
    )
}
