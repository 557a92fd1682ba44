import { timingSafeEqual } from 'node:crypto'
import type { AccessItem } from '../access/index.ts'
import type { Client } from '../clients/index.ts'
import { hashSecret } from '../tokens/index.ts'

export type GrantState = 'PENDING' | 'APPROVED' | 'FINALIZED'
export type FinalizationReason = 'ISSUED' | 'REVOKED' | 'REJECTED'

/** Who a client wants to know about: that the person who is asked is this one. */
export interface Subject {
  sub_ids: readonly { id: string; format: string }[]
}

/** How a client hears that an interaction is over: the browser comes to `uri`, with a hash over `nonce`. */
export interface Finish {
  uri: string
  nonce: string
}

export interface Grant {
  id: string
  tenantId: string
  state: GrantState
  /** Of finalized grants. */
  finalizationReason?: FinalizationReason
  client: Client
  access: AccessItem[]
  subject?: Subject
  continueId: string
  /** Creation or last poll. */
  continuedAt: Date
  /** Whether the client is told of the end of the interaction, and so has no reason to poll. */
  hasFinish: boolean
  /** Of grants with an interaction. */
  referenceHash?: Buffer
}

type Continued = Pick<Grant, 'state' | 'continuedAt' | 'finalizationReason' | 'hasFinish' | 'referenceHash'>

/** What a continuation may do now, one table each for polls and for references (contracts/open-payments/gnap.md §3). */
export type PollDecision = 'issue' | 'keep_waiting' | 'too_fast' | 'not_pollable' | 'not_continuable'
export type ReferenceDecision = 'issue' | 'unknown' | 'too_fast' | 'not_approved'

const isTooFast = (grant: Pick<Grant, 'continuedAt'>, now: Date, waitSeconds: number) =>
  now.getTime() - grant.continuedAt.getTime() < waitSeconds * 1000

export function decidePoll(grant: Continued, now: Date, waitSeconds: number): PollDecision {
  if (isTooFast(grant, now, waitSeconds)) return 'too_fast'
  if (grant.hasFinish) return 'not_pollable'
  switch (grant.state) {
    case 'PENDING':
      return 'keep_waiting'
    case 'APPROVED':
      return 'issue'
    case 'FINALIZED':
      return 'not_continuable'
  }
}

export function decideReference(
  grant: Continued,
  reference: string,
  now: Date,
  waitSeconds: number,
): ReferenceDecision {
  const isOurs =
    grant.referenceHash !== undefined && timingSafeEqual(grant.referenceHash, hashSecret(reference))
  if (!isOurs || grant.finalizationReason === 'REJECTED') return 'unknown'
  if (isTooFast(grant, now, waitSeconds)) return 'too_fast'
  return grant.state === 'APPROVED' ? 'issue' : 'not_approved'
}
