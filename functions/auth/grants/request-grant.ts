import { type Db, uuidv7 } from '../../../shared/platform/index.ts'
import { createToken, newSecret, type TokenTerms, toWireToken } from '../tokens/index.ts'
import { decideGrant, type GrantPolicy, type GrantRequest } from './decide-grant.ts'
import { insertApprovedGrant } from './store.ts'

export interface RequestGrantContext extends TokenTerms {
  db: Db
  policy: GrantPolicy
}

/** The wire shape of a grant that needs nobody. */
export interface GrantAnswer {
  access_token: ReturnType<typeof toWireToken>
  continue: { access_token: { value: string }; uri: string }
}

export const toWireContinue = (ctx: TokenTerms, continueId: string, continueToken: string) => ({
  access_token: { value: continueToken },
  uri: `${ctx.authServerUrl}/continue/${continueId}`,
})

/** For a proven client of a known tenant. Throws AuthRefusal. */
export async function requestGrant(
  ctx: RequestGrantContext,
  tenantId: string,
  request: GrantRequest,
): Promise<GrantAnswer> {
  decideGrant(request, ctx.policy)
  const nowMs = ctx.clock.nowMs()
  const grant = {
    id: uuidv7(nowMs),
    tenantId,
    client: request.client,
    access: request.access,
    continueId: uuidv7(nowMs),
    continueToken: newSecret(),
  }
  const token = createToken(ctx)
  await insertApprovedGrant(ctx.db, grant, token, ctx.clock.now())
  return {
    access_token: toWireToken(ctx, token, grant.access),
    continue: toWireContinue(ctx, grant.continueId, grant.continueToken),
  }
}
