import { hkdfSync } from 'node:crypto'

export const AUTH_SERVICE_SIGNATURE_VERSION = 1

/** How far the time of a call may be from the authorization server's clock, both ways. Both clocks belong to one operator. */
export const AUTH_SERVICE_WINDOW_MS = 30_000

const derivedFrom = (adminApiSecret: string) =>
  Buffer.from(hkdfSync('sha256', adminApiSecret, 'upesi', 'auth-service-api', 32)).toString('hex')

/**
 * What the node signs with: AUTH_SERVICE_API_SECRET, or a secret derived from ADMIN_API_SECRET (HKDF-SHA256). One secret less to
 * configure; knowing it does not give the one that it comes from.
 */
export const authServiceSecret = (given: {
  authServiceApiSecret?: string | undefined
  adminApiSecret: string
}): string => given.authServiceApiSecret ?? derivedFrom(given.adminApiSecret)

/** What auth accepts: that one, and while it changes the previous one besides. */
export const authServiceSecrets = (given: {
  authServiceApiSecret?: string | undefined
  authServiceApiPreviousSecret?: string | undefined
  adminApiSecret: string
  adminApiPreviousSecret?: string | undefined
}): string[] => {
  const { authServiceApiSecret, authServiceApiPreviousSecret, adminApiPreviousSecret } = given
  const secrets = [authServiceSecret(given)]
  if (authServiceApiPreviousSecret !== undefined) secrets.push(authServiceApiPreviousSecret)
  // With a secret of its own, the operator's counts no more.
  if (authServiceApiSecret === undefined && adminApiPreviousSecret !== undefined)
    secrets.push(derivedFrom(adminApiPreviousSecret))
  return secrets
}
