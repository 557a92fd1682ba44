import { type ErrorInput, Refusal } from '../../shared/platform/index.ts'

export type AuthRefusalCode =
  | 'signature_headers_invalid'
  | 'signature_input_invalid'
  | 'signature_invalid'
  | 'client_undetermined'
  | 'tenant_unknown'
  | 'nothing_requested'
  | 'identifier_required'
  | 'identifier_invalid'
  | 'interact_required'
  | 'tenant_without_idp'
  | 'both_amounts'
  | 'limits_malformed'
  | 'interval_invalid'
  | 'subject_id_invalid'
  | 'subject_format_invalid'
  | 'finish_uri_invalid'
  | 'finish_nonce_invalid'
  | 'key_cannot_interact'
  | 'client_without_name'
  | 'grant_unknown'
  | 'grant_not_continuable'
  | 'grant_not_pollable'
  | 'grant_not_approved'
  | 'polled_too_fast'
  | 'continued_too_fast'
  | 'reference_missing'
  | 'reference_unknown'
  | 'start_unknown'
  | 'start_expired'
  | 'start_closed'
  | 'interaction_unknown'
  | 'interaction_expired'
  | 'interaction_not_active'
  | 'session_invalid'
  | 'details_secret_invalid'
  | 'choice_secret_invalid'
  | 'choice_denied'
  | 'choice_closed'
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
