import { hkdfSync } from 'node:crypto'

/** Of the header that signs RPC requests, as `shared/platform`'s HMAC signature. */
export const RPC_SIGNATURE_HEADER = 'signature'
export const RPC_SIGNATURE_VERSION = 1
/** A signature older or newer than this is refused: the two clocks belong to one operator. */
export const RPC_SIGNATURE_WINDOW_MS = 30_000

/**
 * The secret that both ends sign with: CONNECTOR_RPC_SECRET, or one derived from ADMIN_API_SECRET (HKDF-SHA256), so that a node
 * needs no further secret and knowing one does not give the other.
 */
export const connectorRpcSecret = (given: {
  connectorRpcSecret?: string | undefined
  adminApiSecret: string
}): string =>
  given.connectorRpcSecret ??
  Buffer.from(hkdfSync('sha256', given.adminApiSecret, 'upesi', 'connector-rpc', 32)).toString('hex')
