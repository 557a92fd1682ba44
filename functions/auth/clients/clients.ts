import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import {
  authenticateRequest,
  type Jwk,
  parseJwk,
  parseSignatureInput,
  type RequestHeaders,
  SignatureRefusal,
  type SignatureRefusalCode,
  targetUri,
} from '../../../shared/http-signatures/index.ts'
import type { Row } from '../../../shared/platform/index.ts'
import { AuthRefusal, type AuthRefusalCode } from '../errors.ts'
import { isPlainUrl } from '../plain-url.ts'

export type Client = { walletAddress: string } | { jwk: Jwk }

interface Context {
  signatures: Parameters<typeof authenticateRequest>[0]
  trustProxy: boolean
  /** Hosts that signed requests may name. */
  publicHosts: ReadonlySet<string>
}

/** What the protocol calls each way of not proving a key (contracts/open-payments/gnap.md §1). */
const refusals = {
  signature_missing: 'signature_headers_invalid',
  signature_malformed: 'signature_headers_invalid',
  keyid_missing: 'signature_input_invalid',
  component_not_covered: 'signature_headers_invalid',
  component_unsupported: 'signature_headers_invalid',
  component_missing: 'signature_headers_invalid',
  created_missing: 'signature_headers_invalid',
  created_outside_window: 'signature_headers_invalid',
  signature_expired: 'signature_headers_invalid',
  algorithm_unsupported: 'signature_headers_invalid',
  content_digest_malformed: 'signature_headers_invalid',
  content_digest_mismatch: 'signature_headers_invalid',
  target_invalid: 'signature_invalid',
  keyid_mismatch: 'signature_invalid',
  key_invalid: 'client_undetermined',
  key_unknown: 'client_undetermined',
  keys_unavailable: 'client_undetermined',
  signature_invalid: 'signature_invalid',
  nonce_reused: 'signature_invalid',
  too_many_attempts: 'too_many_attempts',
} as const satisfies Record<SignatureRefusalCode, AuthRefusalCode>

function asAuthRefusal(error: unknown): unknown {
  if (!(error instanceof SignatureRefusal)) return error
  return new AuthRefusal(refusals[error.code], { cause: error, details: { reason: error.code } })
}

/** The cheapest look at a request: is it signed at all? Throws {@link AuthRefusal}. */
export function checkSignatureShape(headers: RequestHeaders): void {
  try {
    parseSignatureInput(headers)
  } catch (error) {
    throw asAuthRefusal(error)
  }
}

/** Whoever is asked is shown it, and the resource server keeps it in an index with what the client makes. */
function walletAddressClient(walletAddress: string): Client {
  if (!isPlainUrl(walletAddress))
    throw new AuthRefusal('client_undetermined', { details: { reason: 'wallet_address_invalid' } })
  return { walletAddress }
}

/** The three forms of the request's `client`; the text is the oldest. */
export function parseClient(value: unknown): Client {
  if (typeof value === 'string') return walletAddressClient(value)
  const { walletAddress, jwk } = value as { walletAddress?: string; jwk?: unknown }
  if (walletAddress !== undefined) return walletAddressClient(walletAddress)
  try {
    return { jwk: parseJwk(jwk) }
  } catch (error) {
    throw asAuthRefusal(error)
  }
}

/** A row of `grants`. */
export const toClient = (row: Row): Client =>
  row.client_jwk ? { jwk: row.client_jwk } : { walletAddress: row.client }

/** Throws {@link AuthRefusal} unless `client` signed this request. */
export async function proveClient(ctx: Context, request: FastifyRequest, client: Client): Promise<void> {
  try {
    const { method, headers, rawBody } = request
    const target = targetUri(
      {
        url: request.raw.url ?? '',
        headers,
        isTls: (request.raw.socket as Partial<TLSSocket>).encrypted === true,
      },
      ctx,
    )
    const proof = { method, targetUri: target, headers, rawBody, source: request.ip }
    await authenticateRequest(ctx.signatures, proof, client)
  } catch (error) {
    throw asAuthRefusal(error)
  }
}
