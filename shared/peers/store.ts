import { lockAsset } from '../assets/index.ts'
import {
  type Db,
  joinSql,
  present,
  type Row,
  rawSql,
  type SecretBox,
  type Sql,
  sql,
  violatedConstraint,
} from '../platform/index.ts'
import { listPage, type Page, type Paged, scopeSql, type TenantScope } from '../tenants/index.ts'
import { PeerRefusal } from './errors.ts'
import { type AmountLimit, hashToken, PEERS_CHANNEL, type Peer, type RoutedPeer } from './model.ts'

type Context = { db: Db; secretBox: SecretBox }

const columns = rawSql(
  `p.id, p.tenant_id, p.static_ilp_address, p.name, p.max_packet_amount, p.packets_per_minute,
  p.amount_limit, p.amount_limit_seconds, p.liquidity_threshold,
  p.outgoing_endpoint, p.outgoing_token_sealed, p.peering_url, p.routes, p.created_at,
  p.accepted_at, p.approved_at, p.initial_liquidity,
  a.id as asset_id, a.code as asset_code, a.scale as asset_scale, a.ledger as asset_ledger`,
)
const joins = rawSql('join assets a on a.id = p.asset_id')
const joined = sql`peers p ${joins}`
const tenantColumn = rawSql('p.tenant_id')
export const tokenPlace = (peerId: string) => `peer:${peerId}:outgoing-token`

const toPeer =
  (secretBox: SecretBox) =>
  (row: Row): Peer => ({
    id: row.id,
    tenantId: row.tenant_id,
    asset: { id: row.asset_id, code: row.asset_code, scale: row.asset_scale, ledger: row.asset_ledger },
    staticIlpAddress: row.static_ilp_address,
    outgoing: {
      endpoint: row.outgoing_endpoint,
      authToken: secretBox.open(row.outgoing_token_sealed, tokenPlace(row.id)),
    },
    routes: row.routes,
    createdAt: row.created_at,
    ...(row.amount_limit !== null && {
      amountLimit: { amount: row.amount_limit, seconds: row.amount_limit_seconds },
    }),
    ...present({
      name: row.name as string | null,
      maxPacketAmount: row.max_packet_amount as bigint | null,
      packetsPerMinute: row.packets_per_minute as number | null,
      liquidityThreshold: row.liquidity_threshold as bigint | null,
      peeringUrl: row.peering_url as string | null,
      acceptedAt: row.accepted_at as Date | null,
      approvedAt: row.approved_at as Date | null,
      initialLiquidity: row.initial_liquidity as bigint | null,
    }),
  })

const toRoutedPeer =
  (secretBox: SecretBox) =>
  (row: Row): RoutedPeer => ({
    ...toPeer(secretBox)(row),
    incomingTokenHashes: row.token_hashes,
  })

export const selectPeer = (
  ctx: Context,
  scope: TenantScope,
  id: string,
  lock: 'lock' | 'read' = 'read',
): Promise<Peer | undefined> =>
  ctx.db.maybe(
    toPeer(ctx.secretBox),
    sql`select ${columns} from ${joined} where p.id = ${id} and ${scopeSql(scope, tenantColumn)}
      ${rawSql(lock === 'lock' ? 'for update of p' : '')}`,
  )

export const selectPeers = (ctx: Context, scope: TenantScope, page: Page): Promise<Paged<Peer>> =>
  listPage(
    ctx.db,
    {
      map: toPeer(ctx.secretBox),
      columns,
      joins,
      alias: 'p',
      tables: ['peers'],
      where: [scopeSql(scope, tenantColumn)],
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )

/** The asset's peer that was made through this very URL. */
export const selectPeerByUrl = (
  ctx: Context,
  scope: TenantScope,
  place: { assetId: string; peerUrl: string },
): Promise<Peer | undefined> =>
  ctx.db.maybe(
    toPeer(ctx.secretBox),
    sql`select ${columns} from ${joined}
      where p.asset_id = ${place.assetId} and p.peering_url = ${place.peerUrl} and ${scopeSql(scope, tenantColumn)}
      order by p.id limit 1`,
  )

/** By what is unique. */
export const selectPeerAt = (
  ctx: Context,
  scope: TenantScope,
  place: { assetId: string; staticIlpAddress: string },
): Promise<Peer | undefined> =>
  ctx.db.maybe(
    toPeer(ctx.secretBox),
    sql`select ${columns} from ${joined}
      where p.asset_id = ${place.assetId} and p.static_ilp_address = ${place.staticIlpAddress} and ${scopeSql(scope, tenantColumn)}`,
  )

/** As connectors route: the longest prefix by whole segments; among equals the lowest id. */
export const selectPeerByAddress = (
  ctx: Context,
  scope: TenantScope,
  route: { address: string; assetId: string },
): Promise<Peer | undefined> =>
  ctx.db.maybe(
    toPeer(ctx.secretBox),
    sql`select ${columns} from ${joined} cross join lateral unnest(p.routes) as r (prefix)
      where p.asset_id = ${route.assetId} and ${scopeSql(scope, tenantColumn)}
        and starts_with(${route.address}::text || '.', r.prefix || '.')
      order by length(r.prefix) desc, p.id limit 1`,
  )

const tokenHashes = rawSql(
  `(select coalesce(array_agg(encode(t.token_hash, 'hex')), '{}') from peer_incoming_tokens t where t.peer_id = p.id) as token_hashes`,
)

export const selectRoutedPeers = (ctx: Context): Promise<RoutedPeer[]> =>
  ctx.db.many(
    toRoutedPeer(ctx.secretBox),
    sql`select ${columns}, ${tokenHashes} from ${joined} order by p.id`,
  )

export const selectRoutedPeer = (ctx: Context, id: string): Promise<RoutedPeer | undefined> =>
  ctx.db.maybe(
    toRoutedPeer(ctx.secretBox),
    sql`select ${columns}, ${tokenHashes} from ${joined} where p.id = ${id}`,
  )

export const selectPeerByToken = (ctx: Context, token: string): Promise<Peer | undefined> =>
  ctx.db.maybe(
    toPeer(ctx.secretBox),
    sql`select ${columns} from ${joined} join peer_incoming_tokens t on t.peer_id = p.id where t.token_hash = ${hashToken(token)}`,
  )

export interface PeerRow {
  id: string
  tenantId: string
  assetId: string
  staticIlpAddress: string
  name?: string
  maxPacketAmount?: bigint
  packetsPerMinute?: number
  amountLimit?: AmountLimit
  liquidityThreshold?: bigint
  initialLiquidity?: bigint
  outgoing: { endpoint: string; authToken: string }
  peeringUrl?: string
  acceptedAt?: Date
  routes: string[]
  createdAt: Date
}

function toRefusal(error: unknown): unknown {
  const constraint = violatedConstraint(error)
  if (constraint === 'peers_asset_address')
    return new PeerRefusal('duplicate_peer', {
      message: 'the asset has a peer with this ILP address',
      cause: error,
    })
  if (constraint === 'peer_incoming_tokens_pkey')
    return new PeerRefusal('duplicate_incoming_token', {
      message: 'an incoming token is in use already',
      cause: error,
    })
  return error
}

const notify = (id: string): Sql => sql`select pg_notify(${PEERS_CHANNEL}, ${id})`

async function replaceTokens(db: Db, peerId: string, tokens: readonly string[], now: Date): Promise<void> {
  await db.execute(sql`delete from peer_incoming_tokens where peer_id = ${peerId}`)
  await db.execute(sql`
    insert into peer_incoming_tokens (token_hash, peer_id, created_at)
    select h.hash, ${peerId}, ${now} from unnest(${[...new Set(tokens)].map(hashToken)}::bytea[]) as h (hash)`)
}

/** The row, its tokens and the notice to connectors, together. */
export async function insertPeer(
  ctx: Context,
  peer: PeerRow,
  incomingTokens: readonly string[],
): Promise<Peer> {
  try {
    return await ctx.db.tx(async (db) => {
      await lockAsset(db, peer.assetId)
      await db.execute(sql`
        insert into peers (id, tenant_id, asset_id, static_ilp_address, name, max_packet_amount, packets_per_minute, amount_limit,
          amount_limit_seconds, liquidity_threshold, initial_liquidity, outgoing_endpoint, outgoing_token_sealed, peering_url, accepted_at, routes, created_at, updated_at)
        values (${peer.id}, ${peer.tenantId}, ${peer.assetId}, ${peer.staticIlpAddress}, ${peer.name}, ${peer.maxPacketAmount},
          ${peer.packetsPerMinute}, ${peer.amountLimit?.amount}, ${peer.amountLimit?.seconds}, ${peer.liquidityThreshold}, ${peer.initialLiquidity}, ${peer.outgoing.endpoint},
          ${ctx.secretBox.seal(peer.outgoing.authToken, tokenPlace(peer.id))}, ${peer.peeringUrl}, ${peer.acceptedAt}, ${peer.routes}, ${peer.createdAt}, ${peer.createdAt})`)
      if (incomingTokens.length > 0) await replaceTokens(db, peer.id, incomingTokens, peer.createdAt)
      await db.execute(notify(peer.id))
      return await db.one(
        toPeer(ctx.secretBox),
        sql`select ${columns} from ${joined} where p.id = ${peer.id}`,
      )
    })
  } catch (error) {
    throw toRefusal(error)
  }
}

export interface PeerPatch {
  staticIlpAddress?: string
  name?: string | null
  maxPacketAmount?: bigint | null
  packetsPerMinute?: number | null
  amountLimit?: AmountLimit | null
  liquidityThreshold?: bigint | null
  outgoing?: { endpoint: string; authToken: string }
  /** Together with `outgoing`: who named that. */
  peeringUrl?: string
  routes?: string[]
}

/** Fields that are absent stay, null clears; tokens are replaced when given. */
export async function patchPeer(
  ctx: Context,
  scope: TenantScope,
  id: string,
  patch: PeerPatch,
  incomingTokens: readonly string[] | undefined,
  now: Date,
): Promise<Peer | undefined> {
  const changes: Sql[] = [sql`updated_at = ${now}`]
  if (patch.staticIlpAddress !== undefined) changes.push(sql`static_ilp_address = ${patch.staticIlpAddress}`)
  if (patch.name !== undefined) changes.push(sql`name = ${patch.name}`)
  if (patch.maxPacketAmount !== undefined) changes.push(sql`max_packet_amount = ${patch.maxPacketAmount}`)
  if (patch.packetsPerMinute !== undefined) changes.push(sql`packets_per_minute = ${patch.packetsPerMinute}`)
  if (patch.amountLimit !== undefined)
    changes.push(
      sql`amount_limit = ${patch.amountLimit?.amount}`,
      sql`amount_limit_seconds = ${patch.amountLimit?.seconds}`,
    )
  if (patch.liquidityThreshold !== undefined)
    changes.push(sql`liquidity_threshold = ${patch.liquidityThreshold}`)
  if (patch.routes !== undefined) changes.push(sql`routes = ${patch.routes}`)
  if (patch.outgoing)
    changes.push(
      sql`outgoing_endpoint = ${patch.outgoing.endpoint}`,
      sql`outgoing_token_sealed = ${ctx.secretBox.seal(patch.outgoing.authToken, tokenPlace(id))}`,
      sql`peering_url = ${patch.peeringUrl}`,
    )
  try {
    return await ctx.db.tx(async (db) => {
      const updated = await db.execute(
        sql`update peers p set ${joinSql(changes, ', ')} where p.id = ${id} and ${scopeSql(scope, tenantColumn)}`,
      )
      if (updated === 0) return undefined
      if (incomingTokens) await replaceTokens(db, id, incomingTokens, now)
      await db.execute(notify(id))
      return await db.one(toPeer(ctx.secretBox), sql`select ${columns} from ${joined} where p.id = ${id}`)
    })
  } catch (error) {
    throw toRefusal(error)
  }
}

export const removePeer = (ctx: Context, scope: TenantScope, id: string): Promise<Peer | undefined> =>
  ctx.db.tx(async (db) => {
    const peer = await selectPeer({ ...ctx, db }, scope, id)
    if (!peer || (await db.execute(sql`delete from peers where id = ${id}`)) === 0) return undefined
    await db.execute(notify(id))
    return peer
  })

/** In the order of ids: for the check at start that walks over all. */
export const selectPeersAfter = (
  ctx: Context,
  after: string,
  limit: number,
): Promise<{ peer: Peer; initialLiquidity?: bigint }[]> =>
  ctx.db.many(
    (row) => ({
      peer: toPeer(ctx.secretBox)(row),
      ...present({ initialLiquidity: row.initial_liquidity as bigint | null }),
    }),
    sql`select ${columns} from ${joined} where p.id > ${after} order by p.id limit ${limit}`,
  )
