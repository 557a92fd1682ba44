import { type Db, isUuid } from '../../../shared/platform/index.ts'
import type { Client } from '../clients/index.ts'
import { AuthRefusal } from '../errors.ts'
import { createToken, type TokenTerms, toWireToken } from '../tokens/index.ts'
import { decidePoll, type Grant } from './model.ts'
import { type GrantAnswer, toWireContinue } from './request-grant.ts'
import { findContinuedGrant, issueToken, revokeGrant } from './store.ts'

export interface ContinueContext extends TokenTerms {
  db: Db
  /** WAIT_SECONDS. */
  waitSeconds: number
}

interface Continuation {
  continueId: string
  continueToken: string
}

type Prove = (client: Client) => Promise<void>

async function getProvenGrant(ctx: { db: Db }, key: Continuation, prove: Prove): Promise<Grant> {
  const grant = isUuid(key.continueId) ? await findContinuedGrant(ctx.db, key) : undefined
  if (!grant) throw new AuthRefusal('grant_unknown')
  await prove(grant.client)
  return grant
}

/**
 * A client asks how its grant stands: with nothing (a poll), or with the reference that an interaction gave it. Only a grant of
 * an interaction has a reference.
 */
export async function continueGrant(
  ctx: ContinueContext,
  key: Continuation,
  body: Readonly<Record<string, unknown>>,
  prove: Prove,
): Promise<GrantAnswer> {
  const grant = await getProvenGrant(ctx, key, prove)
  if (Object.keys(body).length > 0)
    throw new AuthRefusal(body.interact_ref === undefined ? 'reference_missing' : 'reference_unknown')

  const now = ctx.clock.now()
  const decision = decidePoll(grant, now, ctx.waitSeconds)
  if (decision === 'too_fast') throw new AuthRefusal('polled_too_fast')
  const token = createToken(ctx)
  if (decision === 'not_continuable' || !(await issueToken(ctx.db, grant.id, token, now)))
    throw new AuthRefusal('grant_not_continuable')
  return {
    access_token: toWireToken(ctx, token, grant.access),
    continue: toWireContinue(ctx, grant.continueId, key.continueToken),
  }
}

/** Ends the grant and everything that was issued for it. */
export async function cancelGrant(ctx: ContinueContext, key: Continuation, prove: Prove): Promise<void> {
  const grant = await getProvenGrant(ctx, key, prove)
  if (!(await revokeGrant(ctx.db, grant.id, ctx.clock.now()))) throw new AuthRefusal('grant_unknown')
}
