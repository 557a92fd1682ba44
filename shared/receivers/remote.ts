import { RemoteRefusal, type RemoteRefusalCode } from '../grants-client/index.ts'
import { type Amount, toWireAmount } from '../money/index.ts'
import { Fault, type HttpResponse } from '../platform/index.ts'
import type { ReceiverContext } from './context.ts'
import { ReceiverRefusal, type ReceiverRefusalCode } from './errors.ts'
import type { Receiver } from './model.ts'
import type { ReceiverUrl } from './url.ts'
import { parseDescription, parseObject, parseReceiver, urlField } from './wire.ts'

const TIMEOUT_MS = 10_000
const INCOMING_PAYMENT = 'incoming-payment'

const meaningOf: Record<RemoteRefusalCode, ReceiverRefusalCode | 'unreachable'> = {
  wallet_address_unknown: 'unknown_wallet_address',
  wallet_address_invalid: 'unknown_wallet_address',
  grant_refused: 'receiver_forbidden',
  grant_needs_interaction: 'receiver_forbidden',
  grant_answer_invalid: 'unreachable',
}

const unreachable = (cause: Error) =>
  new Fault('receiver_unreachable', {
    retryable: true,
    message: `the receiver's node cannot be reached: ${cause.message}`,
    cause,
  })

/** Turns what went wrong on the way into a refusal or a retryable fault. Nothing is ever swallowed (reference: F3). */
function asReceiverError(error: unknown): unknown {
  if (error instanceof RemoteRefusal) {
    const meaning = meaningOf[error.code]
    if (meaning === 'unreachable') return unreachable(error)
    return new ReceiverRefusal(meaning, { message: error.message, cause: error })
  }
  if (!(error instanceof Fault) || error.code === 'database_unavailable') return error
  if (error.code === 'egress_denied')
    return new ReceiverRefusal('invalid_receiver_url', { message: error.message, cause: error })
  return error.code === 'receiver_unreachable' ? error : unreachable(error)
}

async function reach<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asReceiverError(error)
  }
}

/** The codes of statuses that mean something else from place to place; the rest is the same everywhere. */
type Meanings = Partial<Record<number, ReceiverRefusalCode>>

function checkStatus(response: HttpResponse, meanings: Meanings): void {
  const { status } = response
  if (status === 200 || status === 201) return
  const description = parseDescription(response.body)
  const message = `the receiver's node answered ${status}${description === '' ? '' : `: ${description}`}`
  const code = meanings[status]
  if (code) throw new ReceiverRefusal(code, { message })
  if (status === 401 || status === 403) throw new ReceiverRefusal('receiver_forbidden', { message })
  if (status === 404) throw new ReceiverRefusal('unknown_receiver', { message })
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    throw new ReceiverRefusal('receiver_refused', { message })
  throw new Fault('receiver_unreachable', { retryable: true, message })
}

/** The public part of an incoming payment names the server that gives grants for it; all payments below one base share it. */
async function authServerOf(ctx: ReceiverContext, receiver: ReceiverUrl): Promise<string> {
  return await ctx.cache.get(`receiver-auth-server:${receiver.base}`, async () => {
    const response = await ctx.guardedHttp.request({
      method: 'GET',
      url: receiver.url,
      headers: { accept: 'application/json' },
      timeoutMs: TIMEOUT_MS,
    })
    // Nodes answer 401 to strangers who ask for a payment that does not exist.
    checkStatus(response, { 401: 'unknown_receiver' })
    return urlField(parseObject(response.body), 'authServer')
  })
}

interface RemoteInput {
  tenantId: string
  receiver: ReceiverUrl
}

export const readRemote = (ctx: ReceiverContext, input: RemoteInput): Promise<Receiver> =>
  askRemote(ctx, input, { action: 'read-all', method: 'GET', url: input.receiver.url, meanings: {} })

export const completeRemote = (ctx: ReceiverContext, input: RemoteInput): Promise<Receiver> =>
  askRemote(ctx, input, {
    action: 'complete',
    method: 'POST',
    url: `${input.receiver.url}/complete`,
    meanings: { 409: 'receiver_wrong_state' },
  })

async function askRemote(
  ctx: ReceiverContext,
  { tenantId, receiver }: RemoteInput,
  request: { action: string; method: 'GET' | 'POST'; url: string; meanings: Meanings },
): Promise<Receiver> {
  const { action, method, url, meanings } = request
  return await reach(async () => {
    const response = await ctx.grants.request({
      tenantId,
      authServer: await authServerOf(ctx, receiver),
      access: { type: INCOMING_PAYMENT, actions: [action] },
      method,
      url,
    })
    checkStatus(response, meanings)
    // The URL that was asked for is the one that is paid, whatever name the other node uses for itself.
    return { ...parseReceiver(response.body), url: receiver.url }
  })
}

export interface CreateRemoteInput {
  tenantId: string
  walletAddressUrl: string
  incomingAmount?: Amount
  expiresAt?: Date
  metadata?: Record<string, unknown>
}

export async function createRemote(ctx: ReceiverContext, input: CreateRemoteInput): Promise<Receiver> {
  return await reach(async () => {
    const wallet = await ctx.grants.getWalletAddress(input.walletAddressUrl)
    const response = await ctx.grants.request({
      tenantId: input.tenantId,
      authServer: wallet.authServer,
      access: { type: INCOMING_PAYMENT, actions: ['create', 'read-all'] },
      method: 'POST',
      url: `${wallet.resourceServer.replace(/\/+$/, '')}/incoming-payments`,
      body: JSON.stringify({
        walletAddress: wallet.id,
        ...(input.incomingAmount && { incomingAmount: toWireAmount(input.incomingAmount) }),
        ...(input.expiresAt && { expiresAt: input.expiresAt.toISOString() }),
        ...(input.metadata && { metadata: input.metadata }),
      }),
    })
    checkStatus(response, { 404: 'unknown_wallet_address' })
    return parseReceiver(response.body)
  })
}
