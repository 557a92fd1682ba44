import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Operation } from '../../shared/openapi/index.ts'
import { findTenantByWalletAddressUrl, getTenantSettings, isBelowPrefix } from '../../shared/tenants/index.ts'
import {
  findOrAwaitWalletAddress,
  findWalletAddressByUrl,
  isActive,
  listWalletAddressKeys,
  type WalletAddress,
} from '../../shared/wallet-addresses/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { RouteRefusal } from './errors.ts'
import { receiptSetupOf, SPSP_TYPE, spspDocument, wantsSpsp } from './spsp.ts'
import { fillRedirect, walletAddressTarget } from './wallet-address-url.ts'
import { toWalletAddress } from './wire.ts'

const getDocument: Operation = { method: 'GET', path: '/' }
const getKeys: Operation = { method: 'GET', path: '/jwks.json' }

const notFound = (walletAddressUrl: string) =>
  new RouteRefusal('wallet_address_not_found', { details: { walletAddressUrl } })

/**
 * The wallet address, or the one that its wallet creates when told that somebody asks. Only for URLs that could be a wallet address
 * of this node, and not endlessly for one source: each wait costs an event.
 */
export async function findAwaitedWalletAddress(
  ctx: OpenPaymentsContext,
  url: string,
  source: string,
): Promise<WalletAddress | undefined> {
  const found = await findWalletAddressByUrl(ctx, 'all', url)
  if (found) return found
  const tenantId = await findTenantByWalletAddressUrl(ctx, url)
  const { walletAddressUrl: prefix } = await getTenantSettings(ctx, tenantId)
  if (prefix === undefined || !isBelowPrefix(url, prefix)) return undefined
  ctx.signatures.limiter.take(source)
  return await findOrAwaitWalletAddress(ctx, url)
}

/** The catch-all: a wallet address's document, its keys, or the way to its page for people (contracts/open-payments/routes.md §2). */
export async function answerWalletAddress(
  ctx: OpenPaymentsContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const target = walletAddressTarget(request.host, request.raw.url ?? '')
  if (!target) throw notFound(`https://${request.host}${request.raw.url}`)
  if (target.document === 'keys') return reply.send(await keysDocument(ctx, request, target.url))
  if (ctx.walletAddressPage !== undefined && request.headers.accept?.includes('text/html'))
    return reply
      .status(302)
      .header('location', fillRedirect(ctx.walletAddressPage, target.url))
      .type('text/plain')
      .send('Found')
  if (ctx.answersSpsp && wantsSpsp(request)) return await answerSpsp(ctx, request, reply, target.url)
  return reply.send(await walletAddressDocument(ctx, request, target.url))
}

/** Keys are public as long as the address exists: what it signed while it was active must stay verifiable. */
async function keysDocument(ctx: OpenPaymentsContext, request: FastifyRequest, url: string) {
  const { walletAddress: validator } = ctx.validators
  await validator.validateRequest(getKeys, request)
  if (url === ctx.ownWalletAddress) return { keys: ctx.instanceJwks() }
  const walletAddress = await findAwaitedWalletAddress(ctx, url, request.ip)
  if (!walletAddress) throw notFound(url)
  const keys = await listWalletAddressKeys(ctx, walletAddress.id)
  const body = { keys: keys.map(({ jwk }) => jwk) }
  if (ctx.validatesResponses) await validator.validateResponse(getKeys, { status: 200, body })
  return body
}

/** Credentials are for one payer and no cache. */
async function answerSpsp(
  ctx: OpenPaymentsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  url: string,
): Promise<FastifyReply> {
  const receipt = receiptSetupOf(request.headers)
  const document = await spspDocument(ctx, await activeWalletAddress(ctx, request, url), receipt)
  if (!document) throw notFound(url)
  return reply.type(SPSP_TYPE).header('cache-control', 'no-store').send(JSON.stringify(document))
}

async function activeWalletAddress(
  ctx: OpenPaymentsContext,
  request: FastifyRequest,
  url: string,
): Promise<WalletAddress> {
  // The node's own address is an identity for signing, not an account.
  if (url === ctx.ownWalletAddress) throw notFound(url)
  const walletAddress = ctx.awaitsWalletAddresses
    ? await findAwaitedWalletAddress(ctx, url, request.ip)
    : await findWalletAddressByUrl(ctx, 'all', url)
  if (!walletAddress || !isActive(walletAddress)) throw notFound(url)
  return walletAddress
}

async function walletAddressDocument(ctx: OpenPaymentsContext, request: FastifyRequest, url: string) {
  const { walletAddress: validator } = ctx.validators
  await validator.validateRequest(getDocument, request)
  const walletAddress = await activeWalletAddress(ctx, request, url)
  const body = toWalletAddress(ctx.urls, walletAddress)
  if (ctx.validatesResponses) await validator.validateResponse(getDocument, { status: 200, body })
  return body
}
