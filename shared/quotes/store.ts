import { toMoneyAsset } from '../assets/index.ts'
import { type Rate, rate } from '../money/index.ts'
import type { RateLimits } from '../payment-methods/index.ts'
import {
  type BatchedStatement,
  type Db,
  isUuid,
  present,
  type Row,
  rawSql,
  rowsSql,
  type Sql,
  sql,
} from '../platform/index.ts'
import {
  askedById,
  listPage,
  type Page,
  type Paged,
  type ScopedId,
  scopeSql,
  type TenantScope,
} from '../tenants/index.ts'
import {
  inWalletAddresses,
  joinWalletAddress,
  toWalletAddress,
  type WalletAddress,
  walletAddressColumns,
} from '../wallet-addresses/index.ts'
import type { Quote } from './model.ts'

/** Columns of a quote under the alias `q`; rooms above join them into their own rows, with the wallet address's. */
export const quoteColumns = rawSql(
  `q.id as quote_id, q.tenant_id as quote_tenant_id, q.wallet_address_id as quote_wallet_address_id, q.client as quote_client,
  q.receiver, q.method, q.debit_amount, q.source_amount, q.receive_amount, q.receive_asset_code, q.receive_asset_scale, q.fee_id,
  q.max_packet_amount, q.min_rate_numerator, q.min_rate_denominator, q.low_rate_numerator, q.low_rate_denominator,
  q.high_rate_numerator, q.high_rate_denominator, q.created_at as quote_created_at, q.expires_at as quote_expires_at`,
)
const joins = joinWalletAddress('q.wallet_address_id')
const tenantColumn = rawSql('q.tenant_id')

const toRate = (row: Row, name: string): Rate => rate(row[`${name}_numerator`], row[`${name}_denominator`])

const toLimits = (row: Row): RateLimits => ({
  minRate: toRate(row, 'min_rate'),
  lowRate: toRate(row, 'low_rate'),
  highRate: toRate(row, 'high_rate'),
  ...present({ maxPacketAmount: row.max_packet_amount as bigint | null }),
})

/** Maps {@link quoteColumns}; the wallet address's columns must be in the row. */
export const toQuote = (row: Row, walletAddress: WalletAddress = toWalletAddress(row)): Quote => ({
  id: row.quote_id,
  tenantId: row.quote_tenant_id,
  walletAddressId: row.quote_wallet_address_id,
  walletAddress,
  receiver: row.receiver,
  method: row.method,
  debitAmount: { value: row.debit_amount, ...toMoneyAsset(walletAddress.asset) },
  sourceAmount: row.source_amount,
  receiveAmount: {
    value: row.receive_amount,
    assetCode: row.receive_asset_code,
    assetScale: row.receive_asset_scale,
  },
  ...present({ client: row.quote_client as string | null, feeId: row.fee_id as string | null }),
  ...(row.min_rate_numerator !== null && { limits: toLimits(row) }),
  createdAt: row.quote_created_at,
  expiresAt: row.quote_expires_at,
})

const toColumns = (quote: Quote, place: number) => {
  const { limits } = quote
  return {
    place,
    id: quote.id,
    tenant_id: quote.tenantId,
    wallet_address_id: quote.walletAddressId,
    asset_id: quote.walletAddress.assetId,
    client: quote.client,
    receiver: quote.receiver,
    method: quote.method,
    debit_amount: quote.debitAmount.value.toString(),
    source_amount: quote.sourceAmount.toString(),
    receive_amount: quote.receiveAmount.value.toString(),
    receive_asset_code: quote.receiveAmount.assetCode,
    receive_asset_scale: quote.receiveAmount.assetScale,
    fee_id: quote.feeId,
    max_packet_amount: limits?.maxPacketAmount?.toString(),
    min_rate_numerator: limits?.minRate.numerator.toString(),
    min_rate_denominator: limits?.minRate.denominator.toString(),
    low_rate_numerator: limits?.lowRate.numerator.toString(),
    low_rate_denominator: limits?.lowRate.denominator.toString(),
    high_rate_numerator: limits?.highRate.numerator.toString(),
    high_rate_denominator: limits?.highRate.denominator.toString(),
    created_at: quote.createdAt,
    expires_at: quote.expiresAt,
  }
}
const insertedColumns = rawSql(
  `id, tenant_id, wallet_address_id, asset_id, client, receiver, method, debit_amount, source_amount,
  receive_amount, receive_asset_code, receive_asset_scale, fee_id, max_packet_amount, min_rate_numerator, min_rate_denominator,
  low_rate_numerator, low_rate_denominator, high_rate_numerator, high_rate_denominator, created_at, expires_at`,
)

const newQuotes: BatchedStatement<Quote, true> = {
  query: (quotes) => sql`
    with given as materialized (
      select * from ${rowsSql(
        quotes.map((quote, index) => toColumns(quote, index + 1)),
        `quotes (place bigint, id uuid, tenant_id uuid, wallet_address_id uuid, asset_id uuid, client text, receiver text, method text,
          debit_amount numeric, source_amount numeric, receive_amount numeric, receive_asset_code text, receive_asset_scale integer,
          fee_id uuid, max_packet_amount numeric, min_rate_numerator numeric, min_rate_denominator numeric,
          low_rate_numerator numeric, low_rate_denominator numeric, high_rate_numerator numeric, high_rate_denominator numeric,
          created_at timestamptz, expires_at timestamptz)`,
      )}
    ), inserted as (
      insert into quotes (${insertedColumns}) select ${insertedColumns} from given
    )
    select place from given`,
  map: () => true,
}

export async function insertQuote(db: Db, quote: Quote): Promise<void> {
  await db.batched(newQuotes, quote)
}

const quoteById: BatchedStatement<ScopedId, Quote> = {
  query: (asked) => sql`
    select asked.place, ${quoteColumns}, ${walletAddressColumns} from ${askedById(asked, { table: 'quotes', alias: 'q' })} ${joins}`,
  map: (row) => toQuote(row),
}

export const selectQuote = async (db: Db, scope: TenantScope, id: string): Promise<Quote | undefined> =>
  isUuid(id) ? await db.batched(quoteById, { id, scope }) : undefined

export const selectQuotes = (
  db: Db,
  scope: TenantScope,
  filter: { walletAddressId?: string[]; client?: string },
  page: Page,
): Promise<Paged<Quote>> => {
  const where: Sql[] = [scopeSql(scope, tenantColumn)]
  if (filter.client !== undefined) where.push(sql`q.client = ${filter.client}`)
  const columns = sql`${quoteColumns}, ${walletAddressColumns}`
  return listPage(
    db,
    {
      map: (row) => toQuote(row),
      columns,
      tables: ['quotes'],
      alias: 'q',
      joins,
      where,
      ...(filter.walletAddressId && { anyOf: inWalletAddresses(filter.walletAddressId) }),
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )
}
