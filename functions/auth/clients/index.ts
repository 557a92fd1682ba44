/**
 * Clients owns who is asking: a wallet address that publishes keys, or a bare key. Whatever a client does here, it first proves
 * that it holds its key, for this very request.
 */
export { getClientName } from './client-name.ts'
export { type Client, checkSignatureShape, parseClient, proveClient, toClient } from './clients.ts'
