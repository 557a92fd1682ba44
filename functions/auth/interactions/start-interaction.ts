import { type Clock, type Db, isUuid } from '../../../shared/platform/index.ts'
import { AuthRefusal, type AuthRefusalCode } from '../errors.ts'
import { newSecret } from '../tokens/index.ts'
import { decideStart, type Interaction, withQuery } from './model.ts'
import { findInteraction, type InteractionKey, insertSession } from './store.ts'

export interface StartContext {
  db: Db
  clock: Clock
}

/** Where the browser goes; with a session when it may come back. */
export interface StartAnswer {
  location: string
  session?: { id: string; lifeMs: number }
}

/** What a client reads in its query. */
export interface TurnedAway {
  result: string
  message?: string
}

/** Tells the client, if it is told anything, and the person otherwise. */
export function turnAway(
  { finish }: Pick<Interaction, 'finish'>,
  result: TurnedAway,
  refusal: AuthRefusalCode,
): string {
  if (!finish) throw new AuthRefusal(refusal)
  return withQuery(finish.uri, { ...result })
}

/**
 * Sends a browser to the identity provider. The session is new each time, whatever the browser had, and good for this
 * interaction only: nobody can have given it to the browser beforehand. Throws {@link AuthRefusal}.
 */
export async function startInteraction(ctx: StartContext, key: InteractionKey): Promise<StartAnswer> {
  const interaction = isUuid(key.id) ? await findInteraction(ctx.db, key) : undefined
  if (!interaction) throw new AuthRefusal('start_unknown')
  const now = ctx.clock.now()
  const result = 'invalid_interaction'
  switch (decideStart(interaction, now)) {
    case 'unknown':
      throw new AuthRefusal('start_unknown')
    case 'closed':
      return { location: turnAway(interaction, { result, message: 'invalid interaction' }, 'start_closed') }
    case 'expired':
      return { location: turnAway(interaction, { result, message: 'interaction expired' }, 'start_expired') }
    case 'ask':
      return ask(ctx, key, interaction, now)
  }
}

async function ask(
  ctx: StartContext,
  key: InteractionKey,
  { id, consentUrl = '', client, expiresAt }: Interaction,
  now: Date,
): Promise<StartAnswer> {
  const session = { id: newSecret(), interactionId: id, expiresAt }
  if (!(await insertSession(ctx.db, session))) throw new AuthRefusal('too_many_attempts')
  return {
    location: withQuery(consentUrl, {
      interactId: id,
      nonce: key.nonce,
      clientName: client.name,
      clientUri: client.uri,
    }),
    session: { id: session.id, lifeMs: expiresAt.getTime() - now.getTime() },
  }
}
