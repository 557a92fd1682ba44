import { type Clock, type Db, isUuid } from '../../../shared/platform/index.ts'
import { AuthRefusal } from '../errors.ts'
import { choiceRefusal } from './model.ts'
import {
  findInteractionDetails,
  type InteractionDetails,
  type InteractionKey,
  recordChoice,
} from './store.ts'

/** What an identity provider sees of an interaction of its tenants. Throws {@link AuthRefusal}. */
export async function getInteractionDetails(
  ctx: { db: Db },
  key: InteractionKey,
  tenantIds: readonly string[],
): Promise<InteractionDetails> {
  const details = isUuid(key.id) ? await findInteractionDetails(ctx.db, key, tenantIds) : undefined
  if (!details) throw new AuthRefusal('interaction_unknown')
  return details
}

/**
 * What a person decided, in the words of their identity provider. It counts once; the grant learns of it when the browser is
 * back, which proves that it was the same person. Throws {@link AuthRefusal}.
 */
export async function chooseInteraction(
  ctx: { db: Db; clock: Clock },
  key: InteractionKey,
  tenantIds: readonly string[],
  choice: 'accept' | 'reject',
): Promise<void> {
  const details = await getInteractionDetails(ctx, key, tenantIds)
  const now = ctx.clock.now()
  const refusal = choiceRefusal(details, now)
  if (refusal) throw new AuthRefusal(refusal === 'denied' ? 'choice_denied' : 'choice_closed')
  const state = choice === 'accept' ? 'APPROVED' : 'DENIED'
  if (!(await recordChoice(ctx.db, details.id, state, now))) throw new AuthRefusal('choice_closed')
}
