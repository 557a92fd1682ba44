import { type Db, isUuid } from '../../../shared/platform/index.ts'
import type { Client } from '../clients/index.ts'
import { AuthRefusal, type AuthRefusalCode } from '../errors.ts'
import { createToken, type TokenTerms, toWireToken } from '../tokens/index.ts'
import { decidePoll, decideReference, type Grant, type Subject } from './model.ts'
import { toWireContinue, type WireContinue } from './request-grant.ts'
import { findContinuedGrant, issueGrant, recordPoll, revokeGrant } from './store.ts'

export interface ContinueContext extends TokenTerms {
  db: Db
  /** WAIT_SECONDS. */
  waitSeconds: number
}

interface Continuation {
  continueId: string
  continueToken: string
}

/** What was asked for, as far as it is given: a client that asked about a subject only gets no token. */
export interface ContinueAnswer {
  access_token?: ReturnType<typeof toWireToken>
  subject?: Subject
  continue: WireContinue
}

type Prove = (client: Client) => Promise<void>

async function getProvenGrant(ctx: { db: Db }, key: Continuation, prove: Prove): Promise<Grant> {
  const grant = isUuid(key.continueId) ? await findContinuedGrant(ctx.db, key) : undefined
  if (!grant) throw new AuthRefusal('grant_unknown')
  await prove(grant.client)
  return grant
}

/** One statement decides between parallel attempts; `lost` is what all but one of them are told. */
async function issue(
  ctx: ContinueContext,
  grant: Grant,
  key: Continuation,
  lost: AuthRefusalCode,
): Promise<ContinueAnswer> {
  const token = grant.access.length > 0 ? createToken(ctx) : undefined
  if (!(await issueGrant(ctx.db, grant.id, token, ctx.clock.now()))) throw new AuthRefusal(lost)
  return {
    ...(token && { access_token: toWireToken(ctx, token, grant.access) }),
    ...(grant.subject && { subject: grant.subject }),
    continue: toWireContinue(ctx, key),
  }
}

async function poll(ctx: ContinueContext, grant: Grant, key: Continuation): Promise<ContinueAnswer> {
  const now = ctx.clock.now()
  switch (decidePoll(grant, now, ctx.waitSeconds)) {
    case 'too_fast':
      throw new AuthRefusal('polled_too_fast')
    case 'not_pollable':
      throw new AuthRefusal('grant_not_pollable')
    case 'not_continuable':
      throw new AuthRefusal('grant_not_continuable')
    case 'keep_waiting':
      // Whoever loses against a parallel poll, or against the end of the interaction, asks again later.
      if (!(await recordPoll(ctx.db, grant.id, now, new Date(now.getTime() - ctx.waitSeconds * 1000))))
        throw new AuthRefusal('polled_too_fast')
      return { continue: toWireContinue(ctx, key, ctx.waitSeconds) }
    case 'issue':
      return issue(ctx, grant, key, 'grant_not_continuable')
  }
}

async function redeem(
  ctx: ContinueContext,
  grant: Grant,
  key: Continuation,
  reference: string,
): Promise<ContinueAnswer> {
  switch (decideReference(grant, reference, ctx.clock.now(), ctx.waitSeconds)) {
    case 'unknown':
      throw new AuthRefusal('reference_unknown')
    case 'too_fast':
      throw new AuthRefusal('continued_too_fast')
    case 'not_approved':
      throw new AuthRefusal('grant_not_approved')
    case 'issue':
      return issue(ctx, grant, key, 'grant_not_approved')
  }
}

/**
 * A client asks how its grant stands: with nothing (a poll), or with the reference that the browser brought it back from an
 * interaction. Throws {@link AuthRefusal}.
 */
export async function continueGrant(
  ctx: ContinueContext,
  key: Continuation,
  body: Readonly<Record<string, unknown>>,
  prove: Prove,
): Promise<ContinueAnswer> {
  const grant = await getProvenGrant(ctx, key, prove)
  if (Object.keys(body).length === 0) return poll(ctx, grant, key)
  const { interact_ref: reference } = body
  if (typeof reference !== 'string') throw new AuthRefusal('reference_missing')
  return redeem(ctx, grant, key, reference)
}

/** Ends the grant and everything that was issued for it. */
export async function cancelGrant(ctx: ContinueContext, key: Continuation, prove: Prove): Promise<void> {
  const grant = await getProvenGrant(ctx, key, prove)
  if (!(await revokeGrant(ctx.db, grant.id, ctx.clock.now()))) throw new AuthRefusal('grant_unknown')
}
