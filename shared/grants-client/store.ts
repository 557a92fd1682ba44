import { type Db, type Row, type SecretBox, sql, uuidv7 } from '../platform/index.ts'
import type { GrantKey, RemoteToken } from './model.ts'

interface Sealed {
  db: Db
  secretBox: SecretBox
}

export const placeOf = (key: GrantKey) =>
  `remote_grants:${JSON.stringify([key.tenantId, key.authServer, key.type, key.actions])}`

const toToken =
  (secretBox: SecretBox, key: GrantKey) =>
  (row: Row): RemoteToken => ({
    value: secretBox.open(row.access_token_sealed, placeOf(key)),
    manageUrl: row.manage_url,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
  })

export const findToken = (ctx: Sealed, key: GrantKey): Promise<RemoteToken | undefined> =>
  ctx.db.maybe(
    toToken(ctx.secretBox, key),
    sql`select access_token_sealed, manage_url, expires_at from remote_grants
        where tenant_id = ${key.tenantId} and auth_server = ${key.authServer}
          and access_type = ${key.type} and actions = ${key.actions}`,
  )

/** The last writer's token is kept; others that were given meanwhile stay good and expire. */
export async function saveToken(ctx: Sealed, key: GrantKey, token: RemoteToken): Promise<void> {
  const sealed = ctx.secretBox.seal(token.value, placeOf(key))
  await ctx.db.execute(
    sql`insert into remote_grants
          (id, tenant_id, auth_server, access_type, actions, access_token_sealed, manage_url, expires_at)
        values (${uuidv7()}, ${key.tenantId}, ${key.authServer}, ${key.type}, ${key.actions}, ${sealed},
          ${token.manageUrl}, ${token.expiresAt ?? null})
        on conflict on constraint remote_grants_once do update
          set access_token_sealed = excluded.access_token_sealed, manage_url = excluded.manage_url,
              expires_at = excluded.expires_at, updated_at = now()`,
  )
}
