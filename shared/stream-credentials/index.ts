/**
 * Stream-credentials owns the addresses and secrets under which STREAM payments arrive (contracts/ilp/connector.md §8). An
 * address ends in a token, encrypted under the node's STREAM secret, that says what the payment is for; the shared secret
 * follows from the token. Nothing is stored: every address ever given out stays valid while the STREAM secret is unchanged.
 */
export { type ConnectionKeys, deriveConnectionKeys, SHARED_SECRET_LENGTH } from './connection-keys.ts'
export {
  createStreamCredentials,
  type StreamCredentials,
  type StreamCredentialsInput,
} from './create-stream-credentials.ts'
export { type Credential, type CredentialReader, createCredentialReader } from './credential-reader.ts'
export { InvalidStreamCredentials } from './errors.ts'
export type { ReceiptSetup } from './token.ts'
