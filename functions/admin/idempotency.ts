import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { SignatureUsed, type UsedSignature } from '../../shared/graphql-server/index.ts'
import { type Clock, type Db, deriveId, Refusal, type Row, sql, uuidv7 } from '../../shared/platform/index.ts'
import { type OwnedKey, storeAnswer, takeKey } from './idempotency-store.ts'
import { createSignatureClaims } from './used-signatures.ts'

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
}

const toEntry = (row: Row): Entry => ({
  operation: row.operation,
  argumentsHash: row.arguments_hash,
  result: row.result,
})

const WAIT_STEP_MS = 25
const KEY_LENGTH_MAX = 255

/** A key is any string, and an index holds short ones only. */
const toStoredKey = (key: string): string =>
  key.length <= KEY_LENGTH_MAX ? key : createHash('sha256').update(key).digest('hex')

/** What a run knows about its request. */
export interface Run {
  /**
   * The same for every run of one request (a UUID): what must not happen twice is made under an id that follows from it. Another
   * request's is another, even under the same key. `undefined` without a key.
   */
  requestId: string | undefined
  /** Another run of this request may have had its effect already: it died, or failed in a way that leaves that open. */
  isRepeat: boolean
  /** Where the effect is to be written: in the transaction that stores the answer, if the request asked for that. */
  db: Db
}

export interface IdempotentRequest {
  tenantId: string
  key: string | undefined
  operation: string
  arguments: unknown
  /** The request's, if it is unused yet: it is used up before anything else. */
  signature?: UsedSignature
  /** The whole effect is rows of this database: they are written together with the answer, or not at all. */
  isOneTransaction?: boolean
}

/**
 * Runs a mutation at most once per tenant and key: a repeat with the same arguments gets the same answer, with others
 * `idempotency_conflict` and no effect; refusals are not stored (decisions: Idempotency and repeats).
 *
 * An effect that is rows only is one transaction with its answer. One that also moves money or asks other nodes cannot be: such a
 * run may have had its effect and no stored answer. Its key stays with its arguments then, and the next run with both is told
 * {@link Run.isRepeat} and the same {@link Run.requestId}, so that it finds what is there.
 *
 * Throws SignatureUsed, and neither runs nor takes the key, where the signature was used before.
 */
export async function runOnce<T>(
  ctx: IdempotencyContext,
  request: IdempotentRequest,
  run: (known: Run) => Promise<T>,
): Promise<T> {
  if (request.key === undefined) {
    if (request.signature && !(await createSignatureClaims(ctx)(request.signature))) throw new SignatureUsed()
    return run({ requestId: undefined, isRepeat: false, db: ctx.db })
  }
  const claim: HashedRequest = {
    tenantId: request.tenantId,
    key: toStoredKey(request.key),
    operation: request.operation,
    hash: createHash('sha256')
      .update(canonicalize(request.arguments) ?? '')
      .digest(),
    owner: uuidv7(),
  }
  const waitUntil = ctx.clock.nowMs() + ctx.lockMs
  let unused = request.signature
  for (;;) {
    const acquired = await acquire(ctx, claim, unused)
    unused = undefined
    if (acquired) return finish(ctx, claim, { ...request, ...acquired }, run)
    const entry = await find(ctx, claim)
    if (!entry) {
      // Its time is over, or it has just been freed.
      await ctx.db.execute(sql`
        delete from idempotency_keys
        where tenant_id = ${claim.tenantId} and key = ${claim.key} and expires_at <= ${ctx.clock.now()}`)
      continue
    }
    if (entry.operation !== claim.operation || !entry.argumentsHash.equals(claim.hash))
      throw new IdempotencyRefusal('idempotency_conflict', {
        message: 'the idempotency key was used for another request',
      })
    if (entry.result !== null) return (entry.result as { answer: T }).answer
    if (ctx.clock.nowMs() >= waitUntil) throw inProgress()
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS))
  }
}

const inProgress = () =>
  new IdempotencyRefusal('idempotency_in_progress', {
    message: 'a request with this idempotency key is still being carried out; repeat it later',
  })

interface HashedRequest extends OwnedKey {
  operation: string
  hash: Buffer
}

type Acquired = Pick<Run, 'isRepeat'> & { requestId: string }

async function acquire(
  ctx: IdempotencyContext,
  request: HashedRequest,
  signature: UsedSignature | undefined,
): Promise<Acquired | undefined> {
  const taken = await ctx.db.batched(takeKey, {
    ...request,
    now: ctx.clock.now(),
    lockedUntil: ctx.clock.fromNow(LOCK_LEASE_MS),
    expiresAt: ctx.clock.fromNow(ctx.lifespanMs),
    ...(signature && { signature }),
  })
  if (!taken) return undefined
  if (taken === 'signature_used') throw new SignatureUsed()
  const { tenantId, key, operation, hash } = request
  const parts = [tenantId, key, operation, hash.toString('hex'), taken.expiresAt.toISOString()]
  return { requestId: deriveId('admin request', ...parts), isRepeat: taken.isRepeat }
}

/**
 * A run holds its key for so long and extends that while it lives, however slow it is: it must not be overtaken by its own repeat.
 * One that died is waited for no longer than this; what asks again is a wallet with a customer's payment.
 */
const LOCK_LEASE_MS = 10_000

const find = (ctx: IdempotencyContext, claim: HashedRequest): Promise<Entry | undefined> =>
  ctx.db.maybe(
    toEntry,
    sql`select operation, arguments_hash, result from idempotency_keys
        where tenant_id = ${claim.tenantId} and key = ${claim.key} and expires_at > ${ctx.clock.now()}`,
  )

const isOwners = ({ tenantId, key, owner }: OwnedKey) =>
  sql`tenant_id = ${tenantId} and key = ${key} and owner = ${owner} and result is null`

async function finish<T>(
  ctx: IdempotencyContext,
  claim: HashedRequest,
  request: Acquired & Pick<IdempotentRequest, 'isOneTransaction'>,
  run: (known: Run) => Promise<T>,
): Promise<T> {
  const { requestId, isRepeat, isOneTransaction } = request
  const extend = () =>
    ctx.db
      .execute(
        sql`update idempotency_keys set locked_until = ${ctx.clock.fromNow(LOCK_LEASE_MS)} where ${isOwners(claim)}`,
      )
      // Without a database nobody else takes the key either.
      .catch(() => undefined)
  const extending = setInterval(extend, LOCK_LEASE_MS / 4)
  try {
    if (!isOneTransaction) {
      const answer = await run({ requestId, isRepeat, db: ctx.db })
      await store(ctx.db, claim, answer)
      return answer
    }
    return await ctx.db.tx(async (db) => {
      const answer = await run({ requestId, isRepeat, db })
      // Another run has the key since: its effect counts, this one's is taken back.
      if (!(await store(db, claim, answer))) throw inProgress()
      return answer
    })
  } catch (error) {
    await release(ctx, claim, error)
    throw error
  } finally {
    clearInterval(extending)
  }
}

/** Whether the key was still this run's. */
async function store(db: Db, { tenantId, key, owner }: OwnedKey, answer: unknown): Promise<boolean> {
  return (await db.batched(storeAnswer, { tenantId, key, owner, answer })) === true
}

/** A refused request had no effect, so its key is free. Of any other failure nobody knows: the key waits for the same request. */
const release = (ctx: IdempotencyContext, claim: HashedRequest, error: unknown): Promise<unknown> =>
  ctx.db
    .execute(
      error instanceof Refusal
        ? sql`delete from idempotency_keys where ${isOwners(claim)}`
        : sql`update idempotency_keys set locked_until = ${ctx.clock.now()} where ${isOwners(claim)}`,
    )
    // Left as it is it is taken over when its lock has run out.
    .catch(() => undefined)

/** Forgets keys whose time is over. */
export const sweepIdempotencyKeys = (ctx: Pick<IdempotencyContext, 'db' | 'clock'>): Promise<number> =>
  ctx.db.execute(sql`delete from idempotency_keys where expires_at < ${ctx.clock.now()}`)
