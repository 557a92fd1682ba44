import { Refusal } from '../platform/index.ts'

export type GrantLimitsRefusalCode =
  /** Not an object, or with a member that is not known or cannot be read: nobody could say what it limits. */
  | 'limits_malformed'
  /** A debit amount and a receive amount: one of them at most. */
  | 'both_amounts'
  /** Not a repeating interval, or one that no calendar needs. */
  | 'interval_invalid'

/** The limits of a grant cannot be enforced. Never to be taken for no limits. */
export class GrantLimitsRefusal extends Refusal<GrantLimitsRefusalCode> {
  constructor(code: GrantLimitsRefusalCode, message: string) {
    super(code, { message })
  }
}
