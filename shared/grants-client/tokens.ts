import type { KeyObject } from 'node:crypto'
import { signRequest } from '../http-signatures/index.ts'
import {
  type Clock,
  type Db,
  Fault,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type Logger,
  type SecretBox,
} from '../platform/index.ts'
import { RemoteRefusal } from './errors.ts'
import { type GrantKey, isFresh, isPassing, parseToken, type RemoteToken, unavailable } from './model.ts'
import { findToken, saveToken } from './store.ts'

export interface TokensContext {
  db: Db
  http: HttpClient
  clock: Clock
  log: Logger
  secretBox: SecretBox
  /** What to sign with, asked for at each signature: keys change. */
  key: () => { privateKey: KeyObject; keyId: string }
  clientWalletAddress: string
}

/** Tokens by grant, from memory, from the database, by rotation or by a new grant, in this order. */
export interface Tokens {
  /** A token for the grant. `refused` is one that did not work: something else is given. */
  get(key: GrantKey, refused?: RemoteToken): Promise<RemoteToken>
}

const TIMEOUT_MS = 10_000
const TOKENS_MAX = 10_000

/** Sends a signed request; the signature covers the URL that is really fetched. */
export async function sendSigned(
  ctx: Pick<TokensContext, 'http' | 'clock' | 'key'>,
  request: { method: HttpRequest['method']; url: string; token?: string; body?: string },
): Promise<HttpResponse> {
  const url = ctx.http.effectiveUrl(request.url)
  const { privateKey, keyId } = ctx.key()
  const headers = signRequest({
    method: request.method,
    url,
    headers: {
      Accept: 'application/json',
      ...(request.token !== undefined && { Authorization: `GNAP ${request.token}` }),
    },
    ...(request.body !== undefined && { body: request.body }),
    privateKey,
    keyId,
    created: Math.floor(ctx.clock.nowMs() / 1000),
  })
  return await ctx.http.request({
    method: request.method,
    url,
    headers,
    ...(request.body !== undefined && { body: request.body }),
    timeoutMs: TIMEOUT_MS,
  })
}

async function requestGrant(ctx: TokensContext, key: GrantKey): Promise<RemoteToken> {
  const response = await sendSigned(ctx, {
    method: 'POST',
    url: key.authServer,
    body: JSON.stringify({
      access_token: { access: [{ type: key.type, actions: key.actions.split(',') }] },
      // As text: the form that every server in the field understands.
      client: ctx.clientWalletAddress,
    }),
  })
  if (isPassing(response.status)) throw unavailable('the authorization server', response.status)
  if (response.status !== 200)
    throw new RemoteRefusal('grant_refused', {
      message: `the authorization server refused a grant with status ${response.status}`,
      details: { body: response.body.toString('utf8').slice(0, 500) },
    })
  return parseToken(response, ctx.clock.now())
}

/** `undefined` when the token cannot be rotated any more, for whatever lasting reason: a new grant is due. */
async function rotate(ctx: TokensContext, token: RemoteToken): Promise<RemoteToken | undefined> {
  try {
    const response = await sendSigned(ctx, { method: 'POST', url: token.manageUrl, token: token.value })
    if (isPassing(response.status)) throw unavailable('the authorization server', response.status)
    return response.status === 200 ? parseToken(response, ctx.clock.now()) : undefined
  } catch (error) {
    if (error instanceof RemoteRefusal) return undefined
    if (error instanceof Fault && !error.retryable) return undefined
    throw error
  }
}

async function obtain(ctx: TokensContext, key: GrantKey, refused?: RemoteToken): Promise<RemoteToken> {
  const isUsable = (token: RemoteToken) => token.value !== refused?.value && isFresh(token, ctx.clock.nowMs())
  const stored = await findToken(ctx, key)
  if (stored && isUsable(stored)) return stored
  let token = stored && (await rotate(ctx, stored))
  if (!token) {
    // Another process may have been faster with the same rotation.
    const current = stored && (await findToken(ctx, key))
    if (current && current.value !== stored?.value && isUsable(current)) return current
    token = await requestGrant(ctx, key)
    ctx.log.debug({ authServer: key.authServer, actions: key.actions }, 'grant obtained')
  }
  await saveToken(ctx, key, token)
  return token
}

export function createTokens(ctx: TokensContext): Tokens {
  const known = new Map<string, RemoteToken>()
  const underway = new Map<string, Promise<RemoteToken>>()

  const remember = (id: string, token: RemoteToken) => {
    known.delete(id)
    known.set(id, token)
    const oldest = known.size > TOKENS_MAX ? known.keys().next() : undefined
    if (oldest && !oldest.done) known.delete(oldest.value)
  }

  return {
    get(key, refused) {
      const id = JSON.stringify([key.tenantId, key.authServer, key.type, key.actions])
      const token = known.get(id)
      if (token && token.value !== refused?.value && isFresh(token, ctx.clock.nowMs()))
        return Promise.resolve(token)
      const running = underway.get(id)
      if (running) return running
      const obtaining = obtain(ctx, key, refused)
        .then((obtained) => {
          remember(id, obtained)
          return obtained
        })
        .finally(() => underway.delete(id))
      underway.set(id, obtaining)
      return obtaining
    },
  }
}
