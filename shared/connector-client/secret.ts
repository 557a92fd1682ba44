import { hkdfSync } from 'node:crypto'

/** Of the header that signs RPC requests, as `shared/platform`'s HMAC signature. */
export const RPC_SIGNATURE_HEADER = 'signature'
export const RPC_SIGNATURE_VERSION = 1
/** A signature older or newer than this is refused: the two clocks belong to one operator. */
export const RPC_SIGNATURE_WINDOW_MS = 30_000

const derivedFrom = (adminApiSecret: string) =>
  Buffer.from(hkdfSync('sha256', adminApiSecret, 'upesi', 'connector-rpc', 32)).toString('hex')

/**
 * What callers sign with: CONNECTOR_RPC_SECRET, or a secret derived from ADMIN_API_SECRET (HKDF-SHA256), so that a node needs no
 * further secret and knowing one does not give the other.
 */
export const connectorRpcSecret = (given: {
  connectorRpcSecret?: string | undefined
  adminApiSecret: string
}): string => given.connectorRpcSecret ?? derivedFrom(given.adminApiSecret)

/** What the connector accepts: that one, and while it changes the previous one besides. */
export const connectorRpcSecrets = (given: {
  connectorRpcSecret?: string | undefined
  connectorRpcPreviousSecret?: string | undefined
  adminApiSecret: string
  adminApiPreviousSecret?: string | undefined
}): string[] => {
  const { connectorRpcSecret: own, connectorRpcPreviousSecret, adminApiPreviousSecret } = given
  const secrets = [connectorRpcSecret(given)]
  if (connectorRpcPreviousSecret !== undefined) secrets.push(connectorRpcPreviousSecret)
  // With a secret of its own, the operator's counts no more.
  if (own === undefined && adminApiPreviousSecret !== undefined)
    secrets.push(derivedFrom(adminApiPreviousSecret))
  return secrets
}
