import { type ErrorInput, Refusal } from '../../shared/platform/index.ts'

export type AuthRefusalCode =
  | 'signature_headers_invalid'
  | 'signature_input_invalid'
  | 'signature_invalid'
  | 'client_undetermined'
  | 'tenant_unknown'
  | 'nothing_requested'
  | 'identifier_required'
  | 'interact_required'
  | 'tenant_without_idp'
  | 'both_amounts'
  | 'subject_id_invalid'
  | 'key_cannot_interact'
  | 'grant_unknown'
  | 'grant_not_continuable'
  | 'polled_too_fast'
  | 'reference_missing'
  | 'reference_unknown'
  | 'token_unknown'
  | 'rotation_lost'
  | 'too_many_attempts'

/** Said no, in the words of GNAP: `error-answer.ts` has status, code and description of each. */
export class AuthRefusal extends Refusal<AuthRefusalCode> {
  // biome-ignore lint/complexity/noUselessConstructor: narrows the code.
  constructor(code: AuthRefusalCode, input?: ErrorInput) {
    super(code, input)
  }
}
