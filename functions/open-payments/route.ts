import type { FastifyRequest } from 'fastify'
import type { LazyOpenApiValidator, Operation } from '../../shared/openapi/index.ts'
import { isActive, type WalletAddress } from '../../shared/wallet-addresses/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { RouteRefusal } from './errors.ts'
import { decideGrant, type Grant, tokenOf } from './grant.ts'
import type { AccessAction, AccessType } from './introspection.ts'
import { verifyClientSignature } from './signature.ts'
import { findAwaitedWalletAddress } from './wallet-addresses.ts'

export interface Answer {
  status: number
  body: unknown
}
export const ok = (body: unknown): Answer => ({ status: 200, body })
export const created = (body: unknown): Answer => ({ status: 201, body })

/** A request that the specification admits. */
export interface CheckedRequest {
  tenantId: string
  /** Of the path; empty for collections. */
  id: string
  query: Readonly<Record<string, unknown>>
  body: unknown
}

/** Whose resource the request is about, and the resource itself where the path names one: it is read once. */
export interface Subject<R> {
  walletAddressUrl: string
  walletAddress?: WalletAddress
  resource: R
}

/** A request whose token, signature and wallet address are proven. */
export interface ProvenRequest<R> extends CheckedRequest {
  walletAddress: WalletAddress
  /** The client's wallet address, or the thumbprint of its key. */
  client: string
  grant: Grant
  resource: R
}

interface RouteOptions<R> {
  access: readonly [AccessType, AccessAction]
  /** Throws {@link RouteRefusal} `unknown_subresource`; a wallet address that is named by its URL is looked up later. */
  subject: (ctx: OpenPaymentsContext, request: CheckedRequest) => Promise<Subject<R>>
  /** What callers get that send no Authorization header. */
  anonymous?: (ctx: OpenPaymentsContext, subject: Subject<R>) => Answer
}

export interface Route {
  operation: Operation
  answer(ctx: OpenPaymentsContext, request: FastifyRequest, tenantId: string): Promise<Answer>
}

type RouteName = `${'GET' | 'POST'} /${string}`

/** Refuses a wallet address that is unknown to the tenant, written otherwise than it is stored, or takes no more requests. */
async function activeWalletAddress<R>(
  ctx: OpenPaymentsContext,
  request: { tenantId: string; source: string },
  { walletAddressUrl, walletAddress }: Subject<R>,
): Promise<WalletAddress> {
  const found = walletAddress ?? (await findAwaitedWalletAddress(ctx, walletAddressUrl, request.source))
  const isOurs =
    found?.tenantId === request.tenantId &&
    found.address === walletAddressUrl.toLowerCase() &&
    isActive(found)
  if (!isOurs) throw new RouteRefusal('wallet_address_unavailable', { details: { walletAddressUrl } })
  return found
}

async function checked(
  validator: LazyOpenApiValidator,
  operation: Operation,
  request: FastifyRequest,
  tenantId: string,
): Promise<CheckedRequest> {
  const { query, body } = await validator.validateRequest(operation, request)
  const { id = '' } = request.params as { id?: string }
  return { tenantId, id: id.toLowerCase(), query, body }
}

/**
 * One operation of the resource server. What stands before a handler is the same for all and in this order (contracts/open-payments/routes.md
 * §1): specification, wallet address, token, tenant, signature, active wallet address. The name is the specification's.
 */
export function route<R>(
  name: RouteName,
  options: RouteOptions<R>,
  handler: (ctx: OpenPaymentsContext, request: ProvenRequest<R>) => Promise<Answer>,
): Route {
  const [method, path] = name.split(' ') as ['GET' | 'POST', string]
  const operation: Operation = { method, path }
  const [type, action] = options.access

  return {
    operation,
    async answer(ctx, raw, tenantId) {
      const request = await checked(ctx.validators.resource, operation, raw, tenantId)
      const subject = await options.subject(ctx, request)
      const { authorization } = raw.headers
      if (options.anonymous && authorization === undefined) {
        await activeWalletAddress(ctx, { tenantId, source: raw.ip }, subject)
        return options.anonymous(ctx, subject)
      }
      const wanted = { type, action, identifier: subject.walletAddressUrl }
      const introspection = await ctx.introspect(tokenOf(authorization), wanted)
      const grant = decideGrant(introspection, { ...wanted, tenantId })
      const client = await verifyClientSignature(ctx, raw, { client: grant.client, tenantId })
      const walletAddress = await activeWalletAddress(ctx, { tenantId, source: raw.ip }, subject)
      const { resource } = subject
      return handler(ctx, { ...request, walletAddress, client, grant, resource })
    },
  }
}

/** The wallet address that the body names: creations. */
export async function walletAddressOfBody(
  _ctx: unknown,
  request: CheckedRequest,
): Promise<Subject<undefined>> {
  const { walletAddress } = request.body as { walletAddress: string }
  return { walletAddressUrl: walletAddress, resource: undefined }
}

/** The wallet address that the query names: lists. */
export async function walletAddressOfQuery(
  _ctx: unknown,
  request: CheckedRequest,
): Promise<Subject<undefined>> {
  return { walletAddressUrl: String(request.query['wallet-address']), resource: undefined }
}

/** The resource that the path names; `find` looks inside the tenant only. Says nothing of why there is none. */
export async function resourceOfPath<R extends { walletAddress: WalletAddress }>(
  request: CheckedRequest,
  find: (id: string) => Promise<R | undefined>,
): Promise<Subject<R>> {
  const resource = await find(request.id)
  if (!resource)
    throw new RouteRefusal('unknown_subresource', {
      details: { description: 'Failed to get wallet address from the resource', id: request.id },
    })
  const { walletAddress } = resource
  return { walletAddressUrl: walletAddress.address, walletAddress, resource }
}
