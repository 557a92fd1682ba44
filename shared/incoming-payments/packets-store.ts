import { type BatchedStatement, type Db, type Row, sql } from '../platform/index.ts'
import { isFinal, type ReceivingPayment } from './model.ts'
import { open, SEVERAL, toReceivingPayment } from './store.ts'

interface Asked {
  id: string
  connectorId: string
}

interface Found {
  payment: ReceivingPayment
  isRegistered: boolean
}

/** Of several connectors that ask for one payment in the same statement, one is registered; the others ask again. */
const registrations: BatchedStatement<Asked, Found> = {
  query(asked) {
    const ids = asked.map(({ id }) => id)
    return sql`
      with asked as materialized (
        select * from unnest(${ids}::uuid[], ${asked.map(({ connectorId }) => connectorId)}::uuid[])
          with ordinality asked (id, connector_id, place)
      ), registered as (
        update incoming_payments p
        set paid_by_connector = case when p.paid_by_connector is null then once.connector_id else ${SEVERAL}::uuid end
        from (select distinct on (id) id, connector_id from asked order by id, place) once
        where p.id = any(${ids}::uuid[]) and p.id = once.id and ${open}
          and (p.paid_by_connector is null or p.paid_by_connector not in (once.connector_id, ${SEVERAL}::uuid))
        returning p.id, once.connector_id, p.paid_by_connector, p.paid_locally
      )
      select asked.place, p.id, p.tenant_id, p.state, p.incoming_amount, p.expires_at,
        coalesce(r.paid_locally, p.paid_locally)
          or coalesce(r.paid_by_connector, p.paid_by_connector, asked.connector_id) <> asked.connector_id as others_may_credit,
        a.id as asset_id, a.code as asset_code, a.scale as asset_scale, a.ledger as asset_ledger,
        coalesce(p.paid_by_connector in (asked.connector_id, ${SEVERAL}::uuid), false)
          or coalesce(r.connector_id = asked.connector_id, false) as is_registered
      from asked
      cross join lateral (select * from incoming_payments x where x.id = asked.id and x.deleted_at is null limit 1) p
      -- What was written, and not what was seen before it: another connector may have been registered in between.
      left join registered r on r.id = p.id
      join assets a on a.id = p.asset_id`
  },
  map: (row: Row) => ({ payment: toReceivingPayment(row), isRegistered: row.is_registered }),
}

/**
 * The payment for a packet, registered as one that this connector's packets credit. The registration is an update of an open row,
 * so a close that came first is seen: a row that was read open beside it, and not registered, was closed in between, and is read again.
 */
export async function selectForPackets(
  db: Db,
  id: string,
  connectorId: string,
): Promise<ReceivingPayment | undefined> {
  for (;;) {
    const found = await db.batched(registrations, { id, connectorId })
    if (!found) return undefined
    if (found.isRegistered || isFinal(found.payment.state)) return found.payment
  }
}
