import { type SecretBox, uuidv7 } from '../../../shared/platform/index.ts'
import {
  type Finish,
  type GrantContext,
  type GrantRequest,
  newGrant,
  toWireContinue,
  type WireContinue,
} from '../grants/index.ts'
import { newSecret } from '../tokens/index.ts'
import { withQuery } from './model.ts'
import { insertInteraction } from './store.ts'

export interface ConsentContext extends GrantContext {
  secretBox: SecretBox
  /** WAIT_SECONDS. */
  waitSeconds: number
  /** INTERACTION_EXPIRY_SECONDS. */
  interactionLifeSeconds: number
}

/** The wire shape of a grant that somebody must agree to. */
export interface ConsentAnswer {
  interact: { redirect: string; finish: string }
  continue: WireContinue
}

/** What the reference of an interaction is sealed for. */
export const referencePurpose = (interactionId: string) => `interaction:${interactionId}:reference`

/** For a proven client of a tenant with an identity provider, once it is decided that somebody has to agree. */
export async function requestConsent(
  ctx: ConsentContext,
  tenantId: string,
  request: GrantRequest,
  client: { name: string; uri: string; finish: Finish | undefined },
): Promise<ConsentAnswer> {
  const reference = newSecret()
  const consent = { clientName: client.name, finish: client.finish, reference }
  const grant = { ...newGrant(ctx, tenantId, request), consent }
  const id = uuidv7(ctx.clock.nowMs())
  const interaction = {
    id,
    nonce: newSecret(),
    referenceSealed: ctx.secretBox.seal(reference, referencePurpose(id)),
    expiresAt: ctx.clock.fromNow(ctx.interactionLifeSeconds * 1000),
  }
  await insertInteraction(ctx.db, grant, interaction, ctx.clock.now())
  const redirect = `${ctx.authServerUrl}/interact/${id}/${interaction.nonce}`
  return {
    interact: {
      redirect: withQuery(redirect, { clientName: client.name, clientUri: client.uri }),
      finish: interaction.nonce,
    },
    continue: toWireContinue(ctx, grant, ctx.waitSeconds),
  }
}
