import type { AccessItem } from '../access/index.ts'
import type { Client } from '../clients/index.ts'

export type GrantState = 'PENDING' | 'APPROVED' | 'FINALIZED'

export interface Grant {
  id: string
  tenantId: string
  state: GrantState
  client: Client
  access: AccessItem[]
  continueId: string
  /** Creation or last poll. */
  continuedAt: Date
}

/** What a poll may do now (contracts/open-payments/gnap.md §3). */
export type PollDecision = 'issue' | 'too_fast' | 'not_continuable'

export function decidePoll(
  grant: Pick<Grant, 'state' | 'continuedAt'>,
  now: Date,
  waitSeconds: number,
): PollDecision {
  if (now.getTime() - grant.continuedAt.getTime() < waitSeconds * 1000) return 'too_fast'
  return grant.state === 'APPROVED' ? 'issue' : 'not_continuable'
}
