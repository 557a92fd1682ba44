import type { UsedSignature } from '../../shared/graphql-server/index.ts'
import { type BatchedStatement, type Row, rowsSql, sql } from '../../shared/platform/index.ts'

/** Whose key it is, and which of its owners speaks: one run of one request. */
export interface OwnedKey {
  tenantId: string
  key: string
  owner: string
}

/** A request that wants its key. */
export interface Claim extends OwnedKey {
  operation: string
  hash: Buffer
  now: Date
  lockedUntil: Date
  expiresAt: Date
  /** To be used up with it. */
  signature?: UsedSignature
}

/** What a key's row says to whom it belongs now. */
export interface TakenKey {
  expiresAt: Date
  isRepeat: boolean
}

/**
 * Takes the key when it is free, or held by a request that must be dead or left open what it did. The owner token keeps a late one
 * out. A row that is taken over keeps its age: that tells its request from later ones under the same key.
 *
 * Keys are taken in their order, and of two requests for one key in the same statement one has it. Whose signature was used before, or is
 * by another request of the statement, takes none; signatures come first, and in their order, everywhere.
 */
export const takeKey: BatchedStatement<Claim, TakenKey | 'signature_used'> = {
  query: (claims) => sql`
    with asked as materialized (
      select * from ${rowsSql(
        claims.map((claim, index) => ({
          place: index + 1,
          tenant_id: claim.tenantId,
          key: claim.key,
          operation: claim.operation,
          arguments_hash: `\\x${claim.hash.toString('hex')}`,
          now: claim.now,
          locked_until: claim.lockedUntil,
          owner: claim.owner,
          expires_at: claim.expiresAt,
          ...(claim.signature && {
            digest: `\\x${claim.signature.digest.toString('hex')}`,
            stale_at: claim.signature.expiresAt,
          }),
        })),
        `claims (place bigint, tenant_id uuid, key text, operation text, arguments_hash bytea, now timestamptz,
          locked_until timestamptz, owner uuid, expires_at timestamptz, digest bytea, stale_at timestamptz)`,
      )}
    ), used as (
      insert into used_signatures (digest, expires_at)
      select distinct on (digest) digest, stale_at from asked where digest is not null order by digest, place
      on conflict (digest) do nothing returning digest
    ), admitted as (
      select place from asked where digest is null
      union all (select distinct on (digest) place from asked join used using (digest) order by digest, place)
    ), taken as (
      insert into idempotency_keys as k (tenant_id, key, operation, arguments_hash, locked_until, owner, expires_at)
      select distinct on (tenant_id, key) tenant_id, key, operation, arguments_hash, locked_until, owner, expires_at
      from asked where place in (select place from admitted) order by tenant_id, key, place
      on conflict (tenant_id, key) do update
        set locked_until = excluded.locked_until, owner = excluded.owner
        where k.result is null and k.locked_until <= (select now from asked where asked.owner = excluded.owner)
          and k.operation = excluded.operation and k.arguments_hash = excluded.arguments_hash
      returning owner, expires_at, xmax <> 0 as is_repeat
    )
    select asked.place, taken.expires_at, taken.is_repeat, taken.owner is null as is_used
    from asked left join taken using (owner)
    where taken.owner is not null or asked.place not in (select place from admitted)`,
  map: (row: Row) =>
    row.is_used ? 'signature_used' : { expiresAt: row.expires_at, isRepeat: row.is_repeat },
}

/**
 * Writes the answer down where the key is still this owner's: its row is nobody else's to write then. That the keys are given twice
 * makes them look-ups in the index, however few rows there were when this was planned.
 */
export const storeAnswer: BatchedStatement<OwnedKey & { answer: unknown }, true> = {
  query: (answers) => sql`
    update idempotency_keys k set result = given.result
    from ${rowsSql(
      answers.map(({ tenantId, key, owner, answer }, index) => ({
        place: index + 1,
        tenant_id: tenantId,
        key,
        owner,
        result: { answer },
      })),
      'given (place bigint, tenant_id uuid, key text, owner uuid, result jsonb)',
    )}
    where k.tenant_id = any(${answers.map(({ tenantId }) => tenantId)}::uuid[]) and k.key = any(${answers.map(({ key }) => key)}::text[])
      and k.tenant_id = given.tenant_id and k.key = given.key and k.owner = given.owner and k.result is null
    returning given.place`,
  map: () => true,
}
