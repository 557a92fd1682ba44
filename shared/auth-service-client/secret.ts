import { hkdfSync } from 'node:crypto'

export const AUTH_SERVICE_SIGNATURE_VERSION = 1

/** How far the time of a call may be from the authorization server's clock, both ways. Both clocks belong to one operator. */
export const AUTH_SERVICE_WINDOW_MS = 30_000

/**
 * The secret that both ends sign with: AUTH_SERVICE_API_SECRET, or one derived from ADMIN_API_SECRET (HKDF-SHA256). One secret
 * less to configure; knowing it does not give the one that it comes from.
 */
export const authServiceSecret = (given: {
  authServiceApiSecret?: string | undefined
  adminApiSecret: string
}): string =>
  given.authServiceApiSecret ??
  Buffer.from(hkdfSync('sha256', given.adminApiSecret, 'upesi', 'auth-service-api', 32)).toString('hex')
