import {
  type Db,
  type Row,
  rawSql,
  type SealedColumn,
  type SecretBox,
  type Sql,
  sql,
} from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { scopeSql } from '../tenants/index.ts'

type Context = { db: Db; secretBox: SecretBox }

/** Requests are decided one after the other: bounds over all of them hold whatever comes at once. Until the transaction ends. */
export const lockAcceptance = (db: Db): Promise<number> =>
  db.execute(sql`select pg_advisory_xact_lock(hashtext('upesi-accept-peering'))`)

/** What accepted peers of an asset were given in all, deleted ones aside. */
export const selectGrantedCredit = (db: Db, assetId: string): Promise<bigint> =>
  db.one(
    (row) => row.granted as bigint,
    sql`select coalesce(sum(initial_liquidity), 0)::numeric as granted from peers
      where asset_id = ${assetId} and accepted_at is not null`,
  )

export const countUnapproved = (db: Db): Promise<number> =>
  db.one(
    (row) => Number(row.count),
    sql`select count(*) as count from peers where accepted_at is not null and approved_at is null`,
  )

/** Endpoints of the tenant's peers that packets to or below the address could be meant for, or that packets to them would be taken from. */
export const selectRivalEndpoints = (db: Db, scope: TenantScope, address: string): Promise<string[]> =>
  db.many(
    (row) => row.outgoing_endpoint as string,
    sql`select p.outgoing_endpoint from peers p where ${scopeSql(scope, rawSql('p.tenant_id'))}
      and (starts_with(${address}::text || '.', p.static_ilp_address || '.')
        or exists (select from unnest(p.routes) as r (prefix) where starts_with(r.prefix || '.', ${address}::text || '.')))`,
  )

/** The first word counts. False when there is no such accepted peer, or it was approved before. */
export const markApproved = async (
  db: Db,
  peer: { id: string; now: Date; credit: bigint | undefined },
): Promise<boolean> =>
  (await db.execute(sql`update peers set approved_at = ${peer.now}, updated_at = ${peer.now},
      initial_liquidity = coalesce(initial_liquidity, ${peer.credit}::numeric)
    where id = ${peer.id} and accepted_at is not null and approved_at is null`)) === 1

/** New tokens in a peer's name, until its endpoint has shown that it knows them. */
export interface PeeringProof {
  id: string
  peerId: string
  endpoint: string
  /** What the peer will present. */
  incomingToken: string
  /** What it will be presented with. */
  outgoingToken: string
  name?: string
  maxPacketAmount?: bigint
}

const place = (id: string, whose: 'incoming' | 'outgoing') => `peering-proof:${id}:${whose}-token`

export const sealedProofColumns: readonly SealedColumn[] = (['incoming', 'outgoing'] as const).map(
  (whose) => ({
    table: 'peering_proofs',
    column: `${whose}_token_sealed`,
    key: 'id',
    keyType: 'uuid',
    place: (row) => place(row.id, whose),
  }),
)

const toProof =
  (secretBox: SecretBox) =>
  (row: Row): PeeringProof => ({
    id: row.id,
    peerId: row.peer_id,
    endpoint: row.outgoing_endpoint,
    incomingToken: secretBox.open(row.incoming_token_sealed, place(row.id, 'incoming')),
    outgoingToken: secretBox.open(row.outgoing_token_sealed, place(row.id, 'outgoing')),
    ...(row.name !== null && { name: row.name }),
    ...(row.max_packet_amount !== null && { maxPacketAmount: row.max_packet_amount }),
  })

const openProofs = (now: Date): Sql =>
  sql`select s.id, s.peer_id, s.incoming_token_sealed, s.outgoing_token_sealed, s.name, s.max_packet_amount, p.outgoing_endpoint
    from peering_proofs s join peers p on p.id = s.peer_id where s.expires_at > ${now}`

export const selectOpenProofs = (ctx: Context, now: Date, limit: number): Promise<PeeringProof[]> =>
  ctx.db.many(toProof(ctx.secretBox), sql`${openProofs(now)} order by s.created_at limit ${limit}`)

export const countOpenProofs = (db: Db, peerId: string, now: Date): Promise<number> =>
  db.one(
    (row) => Number(row.count),
    sql`select count(*) as count from peering_proofs where peer_id = ${peerId} and expires_at > ${now}`,
  )

export async function insertProof(
  ctx: Context,
  proof: Omit<PeeringProof, 'endpoint'> & { now: Date; expiresAt: Date },
): Promise<void> {
  const sealed = (whose: 'incoming' | 'outgoing', token: string) =>
    ctx.secretBox.seal(token, place(proof.id, whose))
  await ctx.db.execute(sql`delete from peering_proofs where expires_at <= ${proof.now}`)
  await ctx.db.execute(sql`
    insert into peering_proofs (id, peer_id, incoming_token_sealed, outgoing_token_sealed, name, max_packet_amount, created_at, expires_at)
    values (${proof.id}, ${proof.peerId}, ${sealed('incoming', proof.incomingToken)}, ${sealed('outgoing', proof.outgoingToken)},
      ${proof.name}, ${proof.maxPacketAmount}, ${proof.now}, ${proof.expiresAt})`)
}

/** Of all that are open for the peer, one counts; false when it is not open any more. */
export const takeProof = async (db: Db, id: string): Promise<boolean> =>
  (await db.execute(sql`delete from peering_proofs where id = ${id}`)) === 1
