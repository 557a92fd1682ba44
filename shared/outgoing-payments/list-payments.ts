import { type Db, isUuid, listPage, present, type Row, rawSql, type Sql, sql } from '../platform/index.ts'
import { type Page, type Paged, scopeSql, type TenantScope } from '../tenants/index.ts'

export type PaymentType = 'INCOMING' | 'OUTGOING'

/** What incoming and outgoing payments have in common. */
export interface AnyPayment {
  id: string
  type: PaymentType
  tenantId: string
  walletAddressId: string
  state: string
  client?: string
  metadata?: Record<string, unknown>
  createdAt: Date
}

/** Each list means "one of". */
export interface AnyPaymentFilter {
  type?: string[]
  walletAddressId?: string[]
}

/** Both halves keep their indexes: (tenant_id, created_at, id) serves the page of each, and the planner merges them. */
const payments = `(
  select 'INCOMING' as type, i.id, i.tenant_id, i.wallet_address_id, i.state, i.client, i.metadata, i.created_at
  from incoming_payments i where i.deleted_at is null
  union all
  select 'OUTGOING', o.id, o.tenant_id, o.wallet_address_id, o.state, o.client, o.metadata, o.created_at
  from outgoing_payments o)`

const toPayment = (row: Row): AnyPayment => ({
  id: row.id,
  type: row.type as PaymentType,
  tenantId: row.tenant_id,
  walletAddressId: row.wallet_address_id,
  state: row.state,
  createdAt: row.created_at,
  ...present({
    client: row.client as string | null,
    metadata: row.metadata as Record<string, unknown> | null,
  }),
})

/** Payments of both kinds in one order, by page. Throws InvalidPage. */
export function listAnyPayments(
  ctx: { db: Db },
  scope: TenantScope,
  filter: AnyPaymentFilter,
  page: Page,
): Promise<Paged<AnyPayment>> {
  const inScope = scopeSql(scope, rawSql('p.tenant_id'))
  const where: Sql[] = [inScope]
  if (filter.type) where.push(sql`p.type = any(${filter.type}::text[])`)
  if (filter.walletAddressId)
    where.push(sql`p.wallet_address_id = any(${filter.walletAddressId.filter(isUuid)}::uuid[])`)
  return listPage(
    ctx.db,
    {
      map: toPayment,
      columns: rawSql(
        'p.type, p.id, p.tenant_id, p.wallet_address_id, p.state, p.client, p.metadata, p.created_at',
      ),
      from: rawSql(`${payments} p`),
      alias: 'p',
      table: payments,
      where,
      cursorWhere: [inScope],
    },
    page,
  )
}
