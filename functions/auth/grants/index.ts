/**
 * Grants owns what clients were promised: from request to approval, issuance and revocation. A grant moves only forward
 * (PENDING, APPROVED, FINALIZED), each step is one conditional statement, and once it is revoked no token of it acts.
 */
export { type ContinueContext, cancelGrant, continueGrant } from './continue-grant.ts'
export { decideGrant, type GrantPolicy, type GrantRequest } from './decide-grant.ts'
export type { FinalizationReason, Finish, GrantState, Subject } from './model.ts'
export {
  type GrantAnswer,
  type GrantContext,
  giveGrant,
  newGrant,
  toWireContinue,
  type WireContinue,
} from './request-grant.ts'
export {
  deleteAbandonedGrants,
  revokeGrant,
  settlePendingGrant,
  subjectIdsSql,
  withNewGrantSql,
} from './store.ts'
