import { Refusal } from '../platform/index.ts'

/** Why a ledger is not copied. Nothing, or nothing more, was written. */
export class LedgerCopyRefusal extends Refusal<
  /** The books of the source do not hold. */
  | 'ledger_not_sound'
  /** Somebody uses the source, or has used it since the copy began. */
  | 'ledger_in_use'
  /** Money is reserved: by packets and withdrawals that are under way. */
  | 'ledger_holds_open'
  /** The target is another ledger, or one that is in use already. */
  | 'target_differs'
  /** TigerBeetle took something otherwise than the source had taken it. */
  | 'target_refused'
  /** The books of the source went to another place before, and what came since is there. */
  | 'moved_elsewhere'
  /** The target holds what the source does not know: there is no way back. */
  | 'target_used'
> {}
