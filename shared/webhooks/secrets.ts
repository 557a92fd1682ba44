import { type Clock, type Db, type Row, type SecretBox, sql } from '../platform/index.ts'

/** What a tenant's webhooks are signed with. */
export interface WebhookSecrets {
  secret: string
  /** Good until then besides. */
  previous?: { secret: string; until: Date }
}

type Context = { db: Db; secretBox: SecretBox }

// The place a secret belongs to is part of its seal: copied to another row, it does not open.
export const webhookSecretPlace = (tenantId: string) => `tenant:${tenantId}:webhook-secret`

const toSecrets =
  ({ secretBox }: Context, tenantId: string) =>
  (row: Row): WebhookSecrets => ({
    secret: secretBox.open(row.current_sealed, webhookSecretPlace(tenantId)),
    ...(row.previous_sealed !== null && {
      previous: {
        secret: secretBox.open(row.previous_sealed, webhookSecretPlace(tenantId)),
        until: row.previous_until,
      },
    }),
  })

/** Of the tenant itself; `undefined`: it has none of its own. */
export const findWebhookSecrets = (ctx: Context, tenantId: string): Promise<WebhookSecrets | undefined> =>
  ctx.db.maybe(
    toSecrets(ctx, tenantId),
    sql`select current_sealed, previous_sealed, previous_until from webhook_secrets where tenant_id = ${tenantId}`,
  )

/** Puts a secret in the place of the one that was, which stays good for `overlapMs`. `before`: what signed until the tenant had one. */
export const replaceWebhookSecret = (
  ctx: Context & { clock: Clock },
  input: { tenantId: string; secret: string; overlapMs: number; before?: string },
): Promise<WebhookSecrets> =>
  ctx.db.tx(async (db) => {
    const { tenantId, secret, overlapMs } = input
    // Two at a time must not both take the same one for the previous.
    await db.execute(sql`select from tenants where id = ${tenantId} for update`)
    const found = await findWebhookSecrets({ ...ctx, db }, tenantId)
    if (found?.secret === secret) return found
    const before = found?.secret ?? input.before
    const previous =
      before !== undefined && before !== secret && overlapMs > 0
        ? { secret: before, until: ctx.clock.fromNow(overlapMs) }
        : undefined
    const sealed = (text: string) => ctx.secretBox.seal(text, webhookSecretPlace(tenantId))
    await db.execute(sql`
      insert into webhook_secrets (tenant_id, current_sealed, previous_sealed, previous_until, changed_at)
      values (${tenantId}, ${sealed(secret)}, ${previous ? sealed(previous.secret) : null}, ${previous?.until ?? null},
        ${ctx.clock.now()})
      on conflict (tenant_id) do update set current_sealed = excluded.current_sealed,
        previous_sealed = excluded.previous_sealed, previous_until = excluded.previous_until, changed_at = excluded.changed_at`)
    return { secret, ...(previous && { previous }) }
  })
