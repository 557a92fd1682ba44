import { type Db, uuidv7 } from '../../../shared/platform/index.ts'
import { createToken, newSecret, type TokenTerms, toWireToken } from '../tokens/index.ts'
import type { GrantRequest } from './decide-grant.ts'
import { insertApprovedGrant, type NewGrant } from './store.ts'

export interface GrantContext extends TokenTerms {
  db: Db
}

export interface WireContinue {
  access_token: { value: string }
  uri: string
  /** Seconds; absent where there is nothing to wait for. */
  wait?: number
}

/** The wire shape of a grant that needs nobody. */
export interface GrantAnswer {
  access_token: ReturnType<typeof toWireToken>
  continue: WireContinue
}

export const toWireContinue = (
  ctx: Pick<TokenTerms, 'authServerUrl'>,
  grant: { continueId: string; continueToken: string },
  waitSeconds?: number,
): WireContinue => ({
  access_token: { value: grant.continueToken },
  uri: `${ctx.authServerUrl}/continue/${grant.continueId}`,
  ...(waitSeconds !== undefined && { wait: waitSeconds }),
})

/** A grant as it begins, with ids and secrets of its own. */
export function newGrant(
  ctx: Pick<TokenTerms, 'clock'>,
  tenantId: string,
  { client, access, subject }: GrantRequest,
): NewGrant {
  const nowMs = ctx.clock.nowMs()
  return {
    id: uuidv7(nowMs),
    tenantId,
    client,
    access,
    ...(subject && { subject }),
    continueId: uuidv7(nowMs),
    continueToken: newSecret(),
  }
}

/** For a proven client of a known tenant, once it is decided that nobody has to agree. */
export async function giveGrant(
  ctx: GrantContext,
  tenantId: string,
  request: GrantRequest,
): Promise<GrantAnswer> {
  const grant = newGrant(ctx, tenantId, request)
  const token = createToken(ctx)
  await insertApprovedGrant(ctx.db, grant, token, ctx.clock.now())
  return {
    access_token: toWireToken(ctx, token, grant.access),
    continue: toWireContinue(ctx, grant),
  }
}
