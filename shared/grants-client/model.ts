import { Fault, type HttpResponse, isObject, parseJsonBody } from '../platform/index.ts'
import { RemoteRefusal } from './errors.ts'

export interface RemoteAccess {
  type: 'incoming-payment'
  actions: readonly string[]
}

/** The public document of a wallet address (Open Payments, wallet-address-server). */
export interface RemoteWalletAddress {
  id: string
  publicName?: string
  assetCode: string
  assetScale: number
  authServer: string
  resourceServer: string
}

/** What a grant is kept under. */
export interface GrantKey {
  tenantId: string
  authServer: string
  type: string
  /** Sorted, comma separated. */
  actions: string
}

export interface RemoteToken {
  value: string
  manageUrl: string
  /** Absent: the server did not say. */
  expiresAt?: Date
}

/** All that servers give for incoming payments without asking anybody. One grant with them serves every call of a payment. */
const EVERYDAY_ACTIONS = ['complete', 'create', 'list', 'read', 'read-all']
/** A token is not used in its last seconds: it must still be good when it arrives. */
const EXPIRY_MARGIN_MS = 10_000

export const sortedActions = (actions: readonly string[]): string => [...new Set(actions)].sort().join(',')

/** The everyday grant when it covers what is wanted, or else exactly that. */
export function wideActions(actions: readonly string[]): string {
  const isEveryday = actions.every((action) => EVERYDAY_ACTIONS.includes(action))
  return isEveryday ? sortedActions(EVERYDAY_ACTIONS) : sortedActions(actions)
}

export const isFresh = (token: RemoteToken, nowMs: number): boolean =>
  token.expiresAt === undefined || token.expiresAt.getTime() - EXPIRY_MARGIN_MS > nowMs

function parseJson(body: Buffer): Record<string, unknown> {
  try {
    const value = parseJsonBody(body)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

/** Longer ones do not fit the index by which grants are found. */
const URL_LENGTH_MAX = 2048

const isUrl = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= URL_LENGTH_MAX && URL.canParse(value)

export function parseWalletAddress(response: HttpResponse): RemoteWalletAddress {
  const { id, publicName, assetCode, assetScale, authServer, resourceServer } = parseJson(response.body)
  const isScale = Number.isInteger(assetScale) && Number(assetScale) >= 0 && Number(assetScale) <= 255
  if (!isUrl(id) || typeof assetCode !== 'string' || !isScale || !isUrl(authServer) || !isUrl(resourceServer))
    throw new RemoteRefusal('wallet_address_invalid', {
      message: 'the answer is not a wallet address document',
    })
  return {
    id,
    ...(typeof publicName === 'string' && { publicName }),
    assetCode,
    assetScale: Number(assetScale),
    authServer,
    resourceServer,
  }
}

/** Overload and failures of another server pass; what it refuses stays refused. */
export const isPassing = (status: number): boolean => status >= 500 || status === 429 || status === 408

export const unavailable = (what: string, status: number): Fault =>
  new Fault('remote_unavailable', { retryable: true, message: `${what} answers ${status}` })

/** The token of a grant or rotation answer. */
export function parseToken(response: HttpResponse, receivedAt: Date): RemoteToken {
  const { access_token: token, interact } = parseJson(response.body)
  if (token === undefined && interact !== undefined)
    throw new RemoteRefusal('grant_needs_interaction', {
      message: 'the authorization server wants an interaction',
    })
  if (!isObject(token) || typeof token.value !== 'string' || token.value === '' || !isUrl(token.manage))
    throw new RemoteRefusal('grant_answer_invalid', { message: 'the answer has no usable access token' })
  const { value, manage, expires_in: expiresIn } = token
  const isKnown = typeof expiresIn === 'number' && Number.isFinite(expiresIn) && expiresIn >= 0
  return {
    value,
    manageUrl: manage,
    ...(isKnown && { expiresAt: new Date(receivedAt.getTime() + Math.min(expiresIn, 315_360_000) * 1000) }),
  }
}
