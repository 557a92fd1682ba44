/** For tests only: a resource database in which there is much of everything that is listed. */
import type pg from 'pg'

export interface Populated {
  /** A tenant with a third of it all. */
  large: { tenantId: string }
  /** One with a few thousandths. */
  small: { tenantId: string }
  assetId: string
  walletAddressId: string
  walletAddressIds: string[]
  receiver: string
  /** With few payments at the wallet address, long ago. */
  client: string
}

const TENANTS = 200
const PAYMENTS = 25_000

/** Ids that say what they are of and do not follow time. */
const id = (kind: string, number: string) => `md5('${kind}' || (${number})::text)::uuid`
/** One tenant has a third of it all, and the others share the rest. */
const tenant = `case when n % 3 = 0 then 0 else n % ${TENANTS} end`
/** A tenth is of one wallet address. */
const wallet = `case when n % 10 = 0 then 3 else n % 10000 end`
/** Whose that one is. */
const payer = `case when n % 10 = 0 or n % 10000 % 3 = 0 then 0 else n % ${TENANTS} end`
const at = `'2031-01-01'::timestamptz + n * interval '1 second'`
/** What is rare is old: whoever looks for it from the new end has far to go. */
const isRare = `n < 2000 and n % 7 = 0`
const client = `'https://client.example/' || case when ${isRare} then 'rare' else (n % 100)::text end`
/** As old, and too many to be sorted for a page. */
const isOld = `n < 15000 and n % 7 = 1`

const statements = [
  // Who belongs to whom is as it should be; checking each row would take longer than writing it.
  `set session_replication_role = replica`,
  `insert into tenants (id, api_secret_sealed, created_at) select ${id('tenant', 'n')}, 'sealed', ${at} from generate_series(0, 10000) n`,
  `insert into assets (id, tenant_id, code, scale, created_at)
    select ${id('asset', 'n')}, ${id('tenant', tenant)}, 'A' || n, 2, ${at} from generate_series(0, 10000) n`,
  `insert into fees (id, asset_id, type, fixed, basis_points, created_at)
    select ${id('fee', 'n')}, ${id('asset', 'n % 50')}, 'SENDING', 1, 1, ${at} from generate_series(0, 10000) n`,
  `insert into peers (id, tenant_id, asset_id, static_ilp_address, outgoing_endpoint, outgoing_token_sealed, routes, created_at)
    select ${id('peer', 'n')}, ${id('tenant', tenant)}, ${id('asset', 'n')}, 'test.' || n, 'https://peer.example', 'sealed', '{}', ${at}
    from generate_series(0, 10000) n`,
  `insert into wallet_addresses (id, tenant_id, asset_id, address, created_at)
    select ${id('wallet', 'n')}, ${id('tenant', tenant)}, ${id('asset', 'n % 500')}, 'https://bank.example/' || n, ${at}
    from generate_series(0, 9999) n`,
  `insert into wallet_address_keys (id, wallet_address_id, kid, x, created_at)
    select ${id('key', 'n')}, ${id('wallet', 'n % 50')}, n::text, 'x', ${at} from generate_series(0, 10000) n`,
  `insert into incoming_payments (id, tenant_id, wallet_address_id, asset_id, client, state, initiated_by, expires_at, process_at, announced_at, created_at)
    select ${id('incoming', 'n')}, ${id('tenant', payer)}, ${id('wallet', wallet)}, ${id('asset', 'n % 500')}, ${client}, 'COMPLETED',
      case when ${isRare} then 'CARD' else 'ADMIN' end, ${at}, ${at}, ${at}, ${at}
    from generate_series(0, ${PAYMENTS}) n`,
  `insert into quotes (id, tenant_id, wallet_address_id, asset_id, receiver, method, debit_amount, source_amount, receive_amount,
      receive_asset_code, receive_asset_scale, created_at, expires_at)
    select ${id('outgoing', 'n')}, ${id('tenant', payer)}, ${id('wallet', wallet)}, ${id('asset', 'n % 500')},
      'https://bank.example/incoming-payments/' || n / 30, 'LOCAL', 1, 1, 1, 'USD', 2, ${at}, ${at}
    from generate_series(0, ${PAYMENTS}) n`,
  `insert into outgoing_payments (id, tenant_id, wallet_address_id, client, state, initiated_by, sent_amount, created_at)
    select ${id('outgoing', 'n')}, ${id('tenant', payer)}, ${id('wallet', wallet)}, ${client},
      case when ${isRare} then 'FAILED' when ${isOld} then 'CANCELLED' else 'COMPLETED' end, 'ADMIN', 1, ${at}
    from generate_series(0, ${PAYMENTS}) n`,
  `insert into webhook_events (id, tenant_id, type, data, created_at)
    select ${id('event', 'n')}, ${id('tenant', tenant)},
      case when ${isRare} then 'asset.liquidity_low' else 'incoming_payment.created' end, '{}', ${at}
    from generate_series(0, ${PAYMENTS}) n`,
  `insert into webhook_deliveries (id, event_id, recipient_tenant_id, state, dead_at, created_at)
    select ${id('delivery', 'n')}, ${id('event', 'n')}, ${id('tenant', tenant)},
      case when ${isRare} then case when n % 2 = 0 then 'dead' else 'pending' end else 'delivered' end,
      case when ${isRare} and n % 2 = 0 then ${at} end, ${at}
    from generate_series(0, ${PAYMENTS}) n`,
  `insert into jobs (queue, key, tenant_id, run_at)
    select 'webhooks', ${id('delivery', 'n')}, ${id('tenant', tenant)}, ${at}
    from generate_series(0, ${PAYMENTS}) n where ${isRare} and n % 2 = 1`,
  `set session_replication_role = default`,
]

/** What makes the indexes anew that {@link statements} would otherwise keep row by row, which takes three times as long. */
async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
     from pg_index i join pg_class c on c.oid = i.indrelid
     where c.relnamespace = 'public'::regnamespace
       and not exists (select from pg_constraint where conindid = i.indexrelid)`,
  )
  for (const { name } of rows) await client.query(`drop index ${name}`)
  return rows.map(({ definition }) => definition)
}

export async function populate(client: pg.Client): Promise<Populated> {
  const indexes = await dropIndexes(client)
  for (const statement of statements) await client.query(statement)
  for (const definition of indexes) await client.query(definition)
  // As autovacuum does where there is time.
  await client.query('vacuum analyze')
  const { rows } = await client.query(
    `select ${id('tenant', '0')} as large, ${id('tenant', '7')} as small, ${id('asset', '3')} as asset, ${id('wallet', '3')} as wallet`,
  )
  const more = await client.query(`select ${id('wallet', 'n')} as wallet from generate_series(1, 5) n`)
  return {
    large: { tenantId: rows[0].large },
    small: { tenantId: rows[0].small },
    assetId: rows[0].asset,
    walletAddressId: rows[0].wallet,
    walletAddressIds: more.rows.map(({ wallet }) => wallet),
    receiver: 'https://bank.example/incoming-payments/77',
    client: 'https://client.example/rare',
  }
}
