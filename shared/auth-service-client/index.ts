/**
 * Auth-service-client is the node's way to the authorization server's tenant API, and what both ends know of its signatures.
 * Always true: every call is signed over its method, path and body, and may be sent again.
 */
export {
  type AuthServiceClient,
  type AuthServiceClientOptions,
  createAuthServiceClient,
  type MirroredChange,
  type MirroredTenant,
} from './client.ts'
export {
  AUTH_SERVICE_SIGNATURE_VERSION,
  AUTH_SERVICE_WINDOW_MS,
  authServiceSecret,
  authServiceSecrets,
} from './secret.ts'
