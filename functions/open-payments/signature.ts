import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import {
  authenticateRequest,
  jwkThumbprint,
  parseJwk,
  targetUri,
} from '../../shared/http-signatures/index.ts'
import { getTenantSettings } from '../../shared/tenants/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import type { TokenClient } from './introspection.ts'

/**
 * Proves that the token's client signed this request, and names the client: its wallet address, or the thumbprint of its key, so
 * that clients without an address are told apart too. Throws SignatureRefusal.
 */
export async function verifyClientSignature(
  ctx: OpenPaymentsContext,
  request: FastifyRequest,
  proof: { client: TokenClient; tenantId: string },
): Promise<string> {
  const { method, headers, rawBody } = request
  const target = targetUri(
    {
      url: request.raw.url ?? '',
      headers,
      isTls: (request.raw.socket as Partial<TLSSocket>).encrypted === true,
    },
    { trustProxy: ctx.trustProxy, publicHosts: await hostsOf(ctx, proof.tenantId) },
  )
  const client = 'jwk' in proof.client ? { jwk: parseJwk(proof.client.jwk) } : proof.client
  await authenticateRequest(
    ctx.signatures,
    { method, targetUri: target, headers, rawBody, source: request.ip },
    client,
  )
  return 'jwk' in client ? jwkThumbprint(client.jwk) : client.walletAddress
}

/** The node's own hosts, and that of the tenant's wallet addresses (decisions: Signatures). */
async function hostsOf(ctx: OpenPaymentsContext, tenantId: string): Promise<ReadonlySet<string>> {
  const { walletAddressUrl } = await getTenantSettings(ctx, tenantId)
  if (walletAddressUrl === undefined) return ctx.publicHosts
  const { host } = new URL(walletAddressUrl)
  return ctx.publicHosts.has(host) ? ctx.publicHosts : new Set([...ctx.publicHosts, host])
}
