/**
 * Grants client: this node as a client of other authorization servers. It owns the grants that the node holds elsewhere
 * (`remote_grants`, tokens sealed) and always has at most one that it uses per tenant, authorization server and kind of access.
 * Callers name what they want to do; obtaining, reusing and rotating tokens happens here, once for everybody who waits for it.
 */
export {
  createGrantsClient,
  type GrantsClient,
  type GrantsClientOptions,
  type RemoteRequest,
} from './client.ts'
export { RemoteRefusal, type RemoteRefusalCode } from './errors.ts'
export type { RemoteAccess, RemoteWalletAddress } from './model.ts'
export { sealedGrantColumns } from './sealed-columns.ts'
