import { type Clock, type Db, isUuid, type SecretBox } from '../../../shared/platform/index.ts'
import { AuthRefusal, type AuthRefusalCode } from '../errors.ts'
import { settlePendingGrant } from '../grants/index.ts'
import { decideFinish, finishHash, type Interaction, withQuery } from './model.ts'
import { referencePurpose } from './request-consent.ts'
import { type TurnedAway, turnAway } from './start-interaction.ts'
import { findInteraction, type InteractionKey, isSessionOf } from './store.ts'

export interface FinishContext {
  db: Db
  clock: Clock
  secretBox: SecretBox
  /** Where clients ask for grants, without the tenant and without a slash at its end. */
  grantUrl: string
}

/** Where the browser goes, or nowhere: the client polls. */
export type FinishAnswer = { location: string } | 'done'

/** The same each time: a browser that comes twice brings the client the same reference, which is good once. */
function bringReference(ctx: FinishContext, key: InteractionKey, interaction: Interaction): FinishAnswer {
  const { id, finish, referenceSealed, tenantId } = interaction
  if (!finish) return 'done'
  const reference = ctx.secretBox.open(referenceSealed, referencePurpose(id))
  const hash = finishHash({
    clientNonce: finish.nonce,
    serverNonce: key.nonce,
    reference,
    grantEndpoint: `${ctx.grantUrl}/${tenantId}`,
  })
  return { location: withQuery(finish.uri, { hash, interact_ref: reference }) }
}

/**
 * The browser is back, and with it the decision reaches the grant: from PENDING only, so that coming again changes nothing.
 * Throws {@link AuthRefusal}.
 */
export async function finishInteraction(
  ctx: FinishContext,
  key: InteractionKey,
  sessionId: string | undefined,
): Promise<FinishAnswer> {
  const interaction = isUuid(key.id) ? await findInteraction(ctx.db, key) : undefined
  if (!interaction) throw new AuthRefusal('interaction_unknown')
  const { id, grantId, finish } = interaction
  const now = ctx.clock.now()
  const hasSession =
    sessionId !== undefined && (await isSessionOf(ctx.db, { id: sessionId, interactionId: id }, now))
  const turnedAway = (result: TurnedAway, refusal: AuthRefusalCode): FinishAnswer => ({
    location: turnAway(interaction, result, refusal),
  })
  switch (decideFinish(interaction, hasSession, now)) {
    case 'expired':
      return turnedAway(
        { result: 'invalid_interaction', message: 'interaction expired' },
        'interaction_expired',
      )
    case 'no_session':
      throw new AuthRefusal('session_invalid')
    case 'gone':
      return turnedAway(
        { result: 'unknown_interaction', message: 'unknown interaction' },
        'interaction_unknown',
      )
    case 'pending':
      return turnedAway({ result: 'grant_invalid' }, 'interaction_not_active')
    case 'reject':
      await settlePendingGrant(ctx.db, grantId, 'reject', now)
      return finish ? { location: withQuery(finish.uri, { result: 'grant_rejected' }) } : 'done'
    case 'approve':
      await settlePendingGrant(ctx.db, grantId, 'approve', now)
      return bringReference(ctx, key, interaction)
  }
}
