import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import {
  assert,
  type Clock,
  type Db,
  deriveId,
  Refusal,
  type Row,
  sql,
  uuidv7,
} from '../../shared/platform/index.ts'

export type IdempotencyRefusalCode = 'idempotency_conflict' | 'idempotency_in_progress'

export class IdempotencyRefusal extends Refusal<IdempotencyRefusalCode> {}

export interface IdempotencyContext {
  db: Db
  clock: Clock
  /** How long a repeat waits for the first request, and how long a crashed one blocks its key. */
  lockMs: number
  lifespanMs: number
}

interface Entry {
  operation: string
  argumentsHash: Buffer
  result: unknown
  lockedUntil: Date
  owner: string
}

const toEntry = (row: Row): Entry => ({
  operation: row.operation,
  argumentsHash: row.arguments_hash,
  result: row.result,
  lockedUntil: row.locked_until,
  owner: row.owner,
})

const WAIT_STEP_MS = 25
const KEY_LENGTH_MAX = 255

/** A key is any string, and an index holds short ones only. */
const toStoredKey = (key: string): string =>
  key.length <= KEY_LENGTH_MAX ? key : createHash('sha256').update(key).digest('hex')

/**
 * Runs a mutation at most once per tenant and key: a repeat with the same arguments gets the same answer, with others
 * `idempotency_conflict` and no effect; failures are not stored (decisions: Idempotency and repeats).
 *
 * A run may have had its effect and no stored answer: it died in between, or lost its database and took that for a failure. The
 * next run with the same key and arguments gets the same `requestId`, so that what must not happen twice is found by it; ids of
 * what moves money are derived anyhow.
 */
export async function runOnce<T>(
  ctx: IdempotencyContext,
  request: { tenantId: string; key: string | undefined; operation: string; arguments: unknown },
  run: (requestId: string | undefined) => Promise<T>,
): Promise<T> {
  if (request.key === undefined) return run(undefined)
  const hash = createHash('sha256')
    .update(canonicalize(request.arguments) ?? '')
    .digest()
  const key = toStoredKey(request.key)
  const owner = uuidv7()
  const waitUntil = ctx.clock.nowMs() + ctx.lockMs
  for (;;) {
    if (
      await acquire(ctx, {
        tenantId: request.tenantId,
        key,
        operation: request.operation,
        hash,
        owner,
      })
    )
      break
    const entry = await find(ctx, request.tenantId, key)
    if (!entry) continue
    if (entry.operation !== request.operation || !entry.argumentsHash.equals(hash))
      throw new IdempotencyRefusal('idempotency_conflict', {
        message: 'the idempotency key was used for another request',
      })
    if (entry.result !== null) return (entry.result as { answer: T }).answer
    if (ctx.clock.nowMs() >= waitUntil)
      throw new IdempotencyRefusal('idempotency_in_progress', {
        message: 'a request with this idempotency key is still being carried out; repeat it later',
      })
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS))
  }
  const { tenantId, operation } = request
  const requestId = deriveId('admin request', tenantId, key, operation, hash.toString('hex'))
  return finish(ctx, { tenantId, key, owner }, () => run(requestId))
}

/** Takes the key when it is free, expired, or held by a request that must be dead. The owner token keeps a late one out. */
async function acquire(
  ctx: IdempotencyContext,
  claim: { tenantId: string; key: string; operation: string; hash: Buffer; owner: string },
): Promise<boolean> {
  const now = ctx.clock.now()
  const rows = await ctx.db.execute(sql`
    insert into idempotency_keys as k (tenant_id, key, operation, arguments_hash, locked_until, owner, expires_at)
    values (${claim.tenantId}, ${claim.key}, ${claim.operation}, ${claim.hash}, ${ctx.clock.fromNow(LOCK_LEASE_MS)},
            ${claim.owner}, ${ctx.clock.fromNow(ctx.lifespanMs)})
    on conflict (tenant_id, key) do update
      set operation = excluded.operation, arguments_hash = excluded.arguments_hash, result = null,
          locked_until = excluded.locked_until, owner = excluded.owner, expires_at = excluded.expires_at
      where k.expires_at <= ${now}
         or (k.result is null and k.locked_until <= ${now}
             and k.operation = excluded.operation and k.arguments_hash = excluded.arguments_hash)`)
  return rows === 1
}

/**
 * A run holds its key for so long and extends that while it lives, however slow it is: it must not be overtaken by its own repeat.
 * One that died is waited for no longer than this; what asks again is a wallet with a customer's payment.
 */
const LOCK_LEASE_MS = 10_000

const find = (ctx: IdempotencyContext, tenantId: string, key: string): Promise<Entry | undefined> =>
  ctx.db.maybe(
    toEntry,
    sql`select operation, arguments_hash, result, locked_until, owner from idempotency_keys
        where tenant_id = ${tenantId} and key = ${key} and expires_at > ${ctx.clock.now()}`,
  )

async function finish<T>(
  ctx: IdempotencyContext,
  claim: { tenantId: string; key: string; owner: string },
  run: () => Promise<T>,
): Promise<T> {
  let answer: T
  const extend = () =>
    ctx.db
      .execute(
        sql`update idempotency_keys set locked_until = ${ctx.clock.fromNow(LOCK_LEASE_MS)}
            where tenant_id = ${claim.tenantId} and key = ${claim.key} and owner = ${claim.owner} and result is null`,
      )
      // Without a database nobody else takes the key either.
      .catch(() => undefined)
  const extending = setInterval(extend, LOCK_LEASE_MS / 4)
  try {
    answer = await run()
  } catch (error) {
    await ctx.db.execute(sql`
      delete from idempotency_keys
      where tenant_id = ${claim.tenantId} and key = ${claim.key} and owner = ${claim.owner} and result is null`)
    throw error
  } finally {
    clearInterval(extending)
  }
  const stored = JSON.stringify({ answer })
  assert(stored !== undefined, 'answers are JSON')
  await ctx.db.execute(sql`
    update idempotency_keys set result = ${stored}
    where tenant_id = ${claim.tenantId} and key = ${claim.key} and owner = ${claim.owner}`)
  return answer
}

/** Forgets keys whose time is over. */
export const sweepIdempotencyKeys = (ctx: Pick<IdempotencyContext, 'db' | 'clock'>): Promise<number> =>
  ctx.db.execute(sql`delete from idempotency_keys where expires_at < ${ctx.clock.now()}`)
