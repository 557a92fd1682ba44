import { type Db, listPage, present, type Row, rawSql } from '../platform/index.ts'
import { type Page, type Paged, scopeSql, type TenantScope } from '../tenants/index.ts'
import { inWalletAddresses } from '../wallet-addresses/index.ts'

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

const tables: Record<PaymentType, string> = {
  INCOMING: `(
    select 'INCOMING' as type, i.id, i.tenant_id, i.wallet_address_id, i.state, i.client, i.metadata, i.created_at
    from incoming_payments i where i.deleted_at is null)`,
  OUTGOING: `(
    select 'OUTGOING' as type, o.id, o.tenant_id, o.wallet_address_id, o.state, o.client, o.metadata, o.created_at
    from outgoing_payments o)`,
}
const paymentTypes = ['INCOMING', 'OUTGOING'] as const
const tablesOf = (types: readonly PaymentType[]) => types.map((type) => tables[type])

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
  const types = paymentTypes.filter((type) => filter.type?.includes(type) ?? true)
  const isAny = types.length > 0
  return listPage(
    ctx.db,
    {
      map: toPayment,
      columns: rawSql(
        'p.type, p.id, p.tenant_id, p.wallet_address_id, p.state, p.client, p.metadata, p.created_at',
      ),
      tables: tablesOf(isAny ? types : paymentTypes),
      alias: 'p',
      where: isAny ? [inScope] : [rawSql('false')],
      ...(filter.walletAddressId && { anyOf: inWalletAddresses(filter.walletAddressId) }),
      cursorWhere: [inScope],
      cursorTables: tablesOf(paymentTypes),
    },
    page,
  )
}
