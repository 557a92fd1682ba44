import { Fault, type HttpClient, signHmac } from '../platform/index.ts'
import { AUTH_SERVICE_SIGNATURE_VERSION } from './secret.ts'

/** What the authorization server keeps of a tenant. Null clears. */
export interface MirroredTenant {
  id: string
  apiSecret: string
  /** Good besides, until then (ISO 8601). */
  previousApiSecret: { secret: string; until: string } | null
  idpConsentUrl: string | null
  idpSecret: string | null
}

export type MirroredChange = Partial<Omit<MirroredTenant, 'id'>>

/**
 * The authorization server's tenants, as the node writes them. Each call may be repeated. Throws {@link Fault} when there is no
 * answer or none that it knows: `auth_unavailable`, `auth_refused` (not retryable), or one of the HTTP client's.
 *
 * `asOf` is when the caller read what it sends. The call is signed with that time, so one that was held up for longer than the
 * signature lives changes nothing: it cannot overtake what was read later.
 */
export interface AuthServiceClient {
  /** Makes a tenant, or makes it be exactly this. False: it was deleted there, for good. */
  putTenant(tenant: MirroredTenant, asOf: Date): Promise<boolean>
  /** Absent members stay. False: there is no such tenant. */
  patchTenant(id: string, change: MirroredChange, asOf: Date): Promise<boolean>
  /** False: there is none, or none any more. */
  deleteTenant(id: string, deletedAt: Date, asOf: Date): Promise<boolean>
  /** Takes back a creation: the id may be used again, unless grants were asked for meanwhile. */
  forgetTenant(id: string, asOf: Date): Promise<boolean>
}

export interface AuthServiceClientOptions {
  /** AUTH_SERVICE_API_URL. */
  url: string
  /** See authServiceSecret. */
  secret: string
  http: HttpClient
}

const TIMEOUT_MS = 5_000

/** Contract: contracts/admin/tenancy.md §6, signed as HMAC over {method, path, body}. */
export function createAuthServiceClient(options: AuthServiceClientOptions): AuthServiceClient {
  const base = new URL(options.url)
  const prefix = base.pathname.replace(/\/+$/, '')

  const call = async (
    method: 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    asOf: Date,
  ): Promise<boolean> => {
    const signature = signHmac({
      secret: options.secret,
      version: AUTH_SERVICE_SIGNATURE_VERSION,
      timestampMs: asOf.getTime(),
      body: { method, path: `${prefix}${path}`, body },
    })
    const { status } = await options.http.request({
      method,
      url: `${base.origin}${prefix}${path}`,
      headers: { 'content-type': 'application/json', signature },
      body: JSON.stringify(body),
      timeoutMs: TIMEOUT_MS,
    })
    if (status === 204) return true
    if (status === 404) return false
    const isDown = status >= 500 || status === 429
    throw new Fault(isDown ? 'auth_unavailable' : 'auth_refused', {
      retryable: isDown,
      message: `the authorization server answered ${method} of a tenant with ${status}`,
    })
  }

  return {
    putTenant: (tenant, asOf) => call('POST', '/tenant', tenant, asOf),
    patchTenant: (id, change, asOf) => call('PATCH', `/tenant/${id}`, change, asOf),
    deleteTenant: (id, deletedAt, asOf) =>
      call('DELETE', `/tenant/${id}`, { deletedAt: deletedAt.toISOString() }, asOf),
    forgetTenant: (id, asOf) =>
      call('DELETE', `/tenant/${id}`, { deletedAt: asOf.toISOString(), forget: true }, asOf),
  }
}
