/**
 * HTTP signatures own proof of possession: the strict profile of RFC 9421 that Open Payments and GNAP requests are signed with
 * (Ed25519 only; contracts/open-payments/gnap.md §9), the client keys that prove it, and our own signing. What is verified is
 * what was received, byte for byte; everything that costs a network call comes after everything that does not; and whatever a
 * stranger sends, the only thing thrown is a {@link SignatureRefusal}.
 */
export {
  type AttemptLimiter,
  type Authenticated,
  authenticateRequest,
  createAttemptLimiter,
  type KeySource,
} from './authenticate-request.ts'
export { type ClientKeys, createClientKeys } from './client-keys.ts'
export { SignatureRefusal, type SignatureRefusalCode } from './errors.ts'
export { importJwk, type Jwk, jwkOf, jwkThumbprint, parseJwk } from './jwk.ts'
export type { NonceStore } from './nonces.ts'
export { type SignedHeaders, signRequest } from './sign-request.ts'
export { type ParsedSignature, parseSignatureInput, type RequestHeaders } from './signature-input.ts'
export { publicHostsOf, type TargetUriOptions, targetUri } from './target-uri.ts'
export {
  type CheckedRequest,
  checkRequest,
  type RequestToVerify,
  verifyRequest,
  verifySignature,
} from './verify-request.ts'
