import { type ErrorInput, Refusal } from '../platform/index.ts'

export type SignatureRefusalCode =
  /** No Signature or Signature-Input header. */
  | 'signature_missing'
  /** Not structured fields, no usable label, not 64 bytes, and so on. */
  | 'signature_malformed'
  | 'keyid_missing'
  /** A component that this request must cover is not covered. */
  | 'component_not_covered'
  /** A covered component that this profile does not know. */
  | 'component_unsupported'
  /** A covered header that the request does not have. */
  | 'component_missing'
  | 'created_missing'
  | 'created_outside_window'
  | 'signature_expired'
  | 'algorithm_unsupported'
  | 'content_digest_malformed'
  | 'content_digest_mismatch'
  /** The URL is not one that this node answers to. */
  | 'target_invalid'
  /** Not an acceptable Ed25519 public key. */
  | 'key_invalid'
  /** The signature names another key than the one the client gave. */
  | 'keyid_mismatch'
  /** The client publishes no such key. */
  | 'key_unknown'
  /** The client's keys could not be fetched. */
  | 'keys_unavailable'
  | 'signature_invalid'
  | 'nonce_reused'
  /** Too much unproven work from one source. */
  | 'too_many_attempts'

/** The request does not prove that its sender holds the client's key. Messages name the fault, never a value that was sent. */
export class SignatureRefusal extends Refusal<SignatureRefusalCode> {
  // biome-ignore lint/complexity/noUselessConstructor: narrows the code.
  constructor(code: SignatureRefusalCode, input?: ErrorInput) {
    super(code, input)
  }
}
