import { toMoneyAsset } from '../assets/index.ts'
import {
  awaitIncomingPaymentApproval,
  completeIncomingPayment,
  createIncomingPayment,
  findIncomingPayment,
  findReceivingPayment,
  type IncomingPayment,
  IncomingPaymentRefusal,
  incomingPaymentUrl,
} from '../incoming-payments/index.ts'
import type { Amount } from '../money/index.ts'
import { type Cache, createCache, type Db } from '../platform/index.ts'
import { findWalletAddressByUrl } from '../wallet-addresses/index.ts'
import type { CreateReceiverContext, ReceiverContext } from './context.ts'
import { ReceiverRefusal } from './errors.ts'
import { type Receiver, receiverClosed } from './model.ts'
import { completeRemote, createRemote, readRemote } from './remote.ts'
import { isOwnUrl, parseReceiverUrl, type ReceiverUrl, readReceiverUrl } from './url.ts'

const unknownReceiver = () =>
  new ReceiverRefusal('unknown_receiver', { message: 'there is no such incoming payment' })

export interface ReceiverInput {
  /** On whose behalf: other nodes' grants are held per tenant. */
  tenantId: string
  url: string
}

/**
 * Reads an incoming payment here or at another node. Throws {@link ReceiverRefusal}; a Fault `receiver_unreachable`, retryable, when its
 * node does not answer.
 */
export async function getReceiver(ctx: ReceiverContext, input: ReceiverInput): Promise<Receiver> {
  const { tenantId, url } = input
  const receiver = parseReceiverUrl(url)
  if (!isOwnUrl(receiver, ctx.settings.openPaymentsUrl)) {
    const recent = recentReceivers(ctx)
    recent.delete(recentKey(input))
    return await recent.get(recentKey(input), () => readRemote(ctx, { tenantId, receiver }))
  }
  const payment = await findLocal(ctx, receiver)
  if (!payment) throw unknownReceiver()
  return toLocalReceiver(payment, url)
}

/** As {@link getReceiver}, but what another node answered within the last two seconds will do. */
export async function getRecentReceiver(ctx: ReceiverContext, input: ReceiverInput): Promise<Receiver> {
  const { tenantId, url } = input
  const receiver = parseReceiverUrl(url)
  if (isOwnUrl(receiver, ctx.settings.openPaymentsUrl)) return await getReceiver(ctx, input)
  return await recentReceivers(ctx).get(recentKey(input), () => readRemote(ctx, { tenantId, receiver }))
}

const RECENT_MS = 2_000
const RECENT_MAX = 1_000
/** Answers of other nodes, kept beside the client that got them. */
const recentOf = new WeakMap<object, Cache>()

function recentReceivers(ctx: ReceiverContext): Cache {
  const known = recentOf.get(ctx.grants)
  if (known) return known
  const cache = createCache({ clock: ctx.clock, lifeMs: RECENT_MS, entriesMax: RECENT_MAX })
  recentOf.set(ctx.grants, cache)
  return cache
}

const recentKey = ({ tenantId, url }: ReceiverInput) => `${tenantId} ${url}`

/** As other nodes said when they made them, by what they may still be used for without being asked anew. */
const asCreated = { toQuote: new WeakSet<Receiver>(), toPay: new WeakSet<Receiver>() }

/**
 * As {@link getReceiver}, but for the first quote after {@link createReceiver} what the other node answered then will do. Not for a
 * second one: the first may have been paid since, which changes what is wanted.
 */
export const getReceiverToQuote = (ctx: ReceiverContext, input: ReceiverInput): Promise<Receiver> =>
  getUnused(ctx, input, asCreated.toQuote)

/**
 * As {@link getReceiver}, but for the first payment after {@link createReceiver}, within two seconds and while nothing else asked for the
 * receiver, what the other node answered then will do. A failure may have its cause in what has changed since.
 */
export const getReceiverToPay = (ctx: ReceiverContext, input: ReceiverInput): Promise<Receiver> =>
  getUnused(ctx, input, asCreated.toPay)

async function getUnused(
  ctx: ReceiverContext,
  input: ReceiverInput,
  unused: WeakSet<Receiver>,
): Promise<Receiver> {
  const receiver = parseReceiverUrl(input.url)
  if (isOwnUrl(receiver, ctx.settings.openPaymentsUrl)) return await getReceiver(ctx, input)
  const { tenantId } = input
  let isRead = false
  const known = await recentReceivers(ctx).get(recentKey(input), () => {
    isRead = true
    return readRemote(ctx, { tenantId, receiver })
  })
  return isRead || unused.delete(known) ? known : await getReceiver(ctx, input)
}

async function createdRemote(ctx: CreateReceiverContext, input: CreateReceiverInput): Promise<Receiver> {
  const receiver = await createRemote(ctx, input)
  const key = recentKey({ tenantId: input.tenantId, url: receiver.url })
  // A node may say only later how it is paid.
  if (receiverClosed(receiver, ctx.clock.now())) return receiver
  await recentReceivers(ctx).get(key, async () => receiver)
  for (const unused of Object.values(asCreated)) unused.add(receiver)
  return receiver
}

/**
 * Every text under which payments to this receiver may be kept: an own incoming payment is known with the tenant's segment and, to
 * older wallets, without. Of anything else the text itself.
 */
export async function receiverUrlForms(
  ctx: { db: Db; settings: { openPaymentsUrl: string } },
  url: string,
): Promise<string[]> {
  const receiver = readReceiverUrl(url)
  if (!receiver || !isOwnUrl(receiver, ctx.settings.openPaymentsUrl)) return [url]
  const { id } = receiver
  const tenantId = receiver.tenantId ?? (await findReceivingPayment(ctx, id))?.tenantId
  if (tenantId === undefined) return [url]
  const own = incomingPaymentUrl(ctx.settings.openPaymentsUrl, { id, tenantId })
  return [...new Set([url, own, own.replace(`/${tenantId}/`, '/')])]
}

/** Any tenant's: who knows the URL may pay it, as over Open Payments. A tenant segment that is there must be the owner's. */
async function findLocal(ctx: ReceiverContext, receiver: ReceiverUrl): Promise<IncomingPayment | undefined> {
  const scope = receiver.tenantId === undefined ? 'all' : { tenantId: receiver.tenantId }
  return await findIncomingPayment(ctx, scope, receiver.id)
}

function toLocalReceiver(payment: IncomingPayment, url: string): Receiver {
  return {
    url,
    local: payment,
    walletAddressUrl: payment.walletAddress.address,
    asset: toMoneyAsset(payment.asset),
    receivedAmount: payment.receivedAmount,
    completed: payment.state === 'COMPLETED',
    expiresAt: payment.expiresAt,
    createdAt: payment.createdAt,
    methods: [],
    ...(payment.incomingAmount && { incomingAmount: payment.incomingAmount }),
    ...(payment.metadata && { metadata: payment.metadata }),
  }
}

const unknownWalletAddress = (message: string) => new ReceiverRefusal('unknown_wallet_address', { message })
const isHttpUrl = (url: string): boolean => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

export interface CreateReceiverInput {
  tenantId: string
  walletAddressUrl: string
  incomingAmount?: Amount
  expiresAt?: Date
  metadata?: Record<string, unknown>
  /**
   * The same for every run of one request (a UUID), and whether another run may have come before: that one's payment is found
   * instead of making a second. Other nodes know no such thing; a payment that is made twice there expires unpaid.
   */
  request?: { id: string; isRepeat: boolean }
}

/**
 * Creates an incoming payment at a wallet address of this tenant or of another node. Throws {@link ReceiverRefusal}; for an own wallet
 * address also what creating an incoming payment throws.
 */
export async function createReceiver(
  ctx: CreateReceiverContext,
  input: CreateReceiverInput,
): Promise<Receiver> {
  const { walletAddressUrl, request, ...given } = input
  if (!isHttpUrl(walletAddressUrl)) throw unknownWalletAddress('a wallet address is a URL')
  const walletAddress = await findWalletAddressByUrl(ctx, 'all', walletAddressUrl)
  if (!walletAddress) return await createdRemote(ctx, input)
  if (walletAddress.tenantId !== input.tenantId) throw unknownWalletAddress('unknown wallet address')
  const { tenantId } = input
  const known = request?.isRepeat ? await findIncomingPayment(ctx, { tenantId }, request.id) : undefined
  const payment =
    known ??
    (await createIncomingPayment(ctx, {
      ...given,
      ...(request && { id: request.id }),
      walletAddress,
      initiatedBy: 'ADMIN',
    }))
  await awaitIncomingPaymentApproval(ctx, payment)
  return toLocalReceiver(payment, incomingPaymentUrl(ctx.settings.openPaymentsUrl, payment))
}

/** Closes an incoming payment of this tenant or of another node. Throws {@link ReceiverRefusal}. */
export async function completeReceiver(ctx: ReceiverContext, input: ReceiverInput): Promise<Receiver> {
  const { tenantId } = input
  const receiver = parseReceiverUrl(input.url)
  if (!isOwnUrl(receiver, ctx.settings.openPaymentsUrl)) {
    recentReceivers(ctx).delete(recentKey(input))
    return await completeRemote(ctx, { tenantId, receiver })
  }
  if (receiver.tenantId !== undefined && receiver.tenantId !== tenantId) throw unknownReceiver()
  try {
    const payment = await completeIncomingPayment(ctx, { tenantId }, receiver.id)
    return toLocalReceiver(payment, input.url)
  } catch (error) {
    if (!(error instanceof IncomingPaymentRefusal)) throw error
    if (error.code === 'unknown_incoming_payment') throw unknownReceiver()
    if (error.code !== 'wrong_state') throw error
    throw new ReceiverRefusal('receiver_wrong_state', { message: error.message, cause: error })
  }
}
