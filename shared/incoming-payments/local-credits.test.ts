import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDb, type Db, sql, uuidv7 } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import { completeIncomingPayment, recordIncomingProgress } from './change-incoming-payment.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import { beginLocalCredit, endLocalCredit, findForPackets } from './local-credits.ts'
import { ANNOUNCE_GRACE_MS } from './model.ts'

let node: TestNode
const connectorId = uuidv7()
let walletAddress: Awaited<ReturnType<typeof createTestAccount>>['walletAddress']
before(async () => {
  node = await createTestNode()
  ;({ walletAddress } = await createTestAccount(node))
})
after(() => node.close())

const create = () =>
  createIncomingPayment(node, {
    tenantId: walletAddress.tenantId,
    walletAddress,
    incomingAmount: {
      value: 100n,
      assetCode: walletAddress.asset.code,
      assetScale: walletAddress.asset.scale,
    },
    initiatedBy: 'ADMIN',
  })

/** Milliseconds until the end is announced. */
const announcedIn = async (id: string): Promise<number> => {
  const processAt = await node.db.one(
    (row) => row.process_at as Date,
    sql`select process_at from incoming_payments where id = ${id}`,
  )
  return processAt.getTime() - node.clock.nowMs()
}

test('the only creditor announces the end at once', async () => {
  const { id } = await create()
  assert.equal(await beginLocalCredit(node, id), true)
  const { changedTo } = await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.equal(changedTo, 'COMPLETED')
  assert.ok((await announcedIn(id)) <= 0)
})

test('another local credit under way delays the announcement', async () => {
  const { id } = await create()
  await beginLocalCredit(node, id)
  await beginLocalCredit(node, id)
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2)
})

test('one that ended without a credit delays nothing, and closes nothing', async () => {
  const { id } = await create()
  await beginLocalCredit(node, id)
  await beginLocalCredit(node, id)
  const { changedTo } = await endLocalCredit(node, { incomingPaymentId: id })
  assert.equal(changedTo, 'PENDING')
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) <= 0)
})

test('packets that may be on their way delay it', async () => {
  const { id } = await create()
  assert.equal((await findForPackets(node, id, connectorId))?.state, 'PENDING')
  await beginLocalCredit(node, id)
  await endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n })
  assert.ok((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2)
})

test('an end is announced at once by the only connector, and after the grace where there are several', async () => {
  for (const connectors of [1, 2, 3]) {
    const { id } = await create()
    await Promise.all(Array.from({ length: connectors }, () => findForPackets(node, id, uuidv7())))
    await recordIncomingProgress(node, { incomingPaymentId: id, receivedAmount: 100n })
    assert.equal((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2, connectors > 1, `${connectors} connectors`)
  }
})

test('of connectors that come at the same moment, the later one knows of the other, and so looks for what they have together', async () => {
  const { id } = await create()
  const second = createDb({ connectionString: node.db.connectionString })
  try {
    const later = await node.db.tx(async (tx) => {
      const first = await findForPackets({ db: tx }, id, uuidv7())
      assert.equal(first?.othersMayCredit, false)
      const coming = findForPackets({ db: second }, id, connectorId)
      // It has seen the row without anybody, and waits for it.
      await waitFor(() =>
        node.db.one(
          (row) => row.is_waiting as boolean,
          sql`select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock') as is_waiting`,
        ),
      )
      return { coming }
    })
    assert.equal((await later.coming)?.othersMayCredit, true)
  } finally {
    await second.close()
  }
})

test('a closed payment takes no local credit, and packets see that it is closed', async () => {
  const { id, tenantId } = await create()
  await completeIncomingPayment(node, { tenantId }, id)
  assert.equal(await beginLocalCredit(node, id), false)
  assert.equal((await findForPackets(node, id, connectorId))?.state, 'COMPLETED')
})

test('a packet that races a local end either delays its announcement or sees the end', async () => {
  for (let round = 0; round < 60; round++) {
    const { id } = await create()
    await beginLocalCredit(node, id)
    const [found] = await Promise.all([
      findForPackets(node, id, connectorId),
      endLocalCredit(node, { incomingPaymentId: id, receivedAmount: 100n }),
    ])
    const isDelayed = (await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2
    assert.ok(
      isDelayed || found?.state === 'COMPLETED',
      `round ${round}: ${found?.state}, delayed: ${isDelayed}`,
    )
  }
})

test('credits of many payments at once, begun and ended over two processes: each is counted, and each end closes its own', async () => {
  const other = createDb({ connectionString: node.db.connectionString })
  try {
    const payments = await Promise.all(Array.from({ length: 30 }, create))
    const closed = await create()
    await completeIncomingPayment(node, closed, closed.id)
    const ids = payments.map(({ id }) => id)
    const over = (db: Db, order: string[]) =>
      Promise.all(
        order.flatMap((id) => [beginLocalCredit({ ...node, db }, id), beginLocalCredit({ ...node, db }, id)]),
      )
    const begun = await Promise.all([
      over(node.db, [...ids, closed.id]),
      over(other, [closed.id, ...ids].reverse()),
    ])
    assert.equal(begun.flat().filter((isOpen) => !isOpen).length, 4)
    const counts = () =>
      node.db.many(
        (row) => row.local_credits as number,
        sql`select local_credits from incoming_payments where id = any(${ids}::uuid[])`,
      )
    assert.deepEqual(new Set(await counts()), new Set([4]))
    const end = (db: Db, id: string, receivedAmount?: bigint) =>
      endLocalCredit(
        { ...node, db },
        { incomingPaymentId: id, ...(receivedAmount !== undefined && { receivedAmount }) },
      )
    // One is left under way, and of the others only the greatest total reaches the amount.
    const ends = await Promise.all([
      ...ids.flatMap((id) => [end(node.db, id), end(node.db, id, 100n)]),
      ...[...ids].reverse().map((id) => end(other, id, 60n)),
    ])
    assert.ok(ends.filter(({ changedTo }) => changedTo === 'COMPLETED').length >= 30)
    for (const id of ids) assert.ok((await announcedIn(id)) > ANNOUNCE_GRACE_MS / 2)
    const histories = await node.db.many(
      (row) => row.history as { state: string; receivedAmount: string }[],
      sql`select history from incoming_payments where id = any(${ids}::uuid[])`,
    )
    for (const history of histories) {
      const ended = history.filter(({ state }) => state === 'COMPLETED')
      assert.deepEqual(
        ended.map(({ receivedAmount }) => receivedAmount),
        ['100'],
      )
      assert.equal(history.at(-1)?.state, 'COMPLETED')
    }
    const jobs = sql`select from jobs where queue = 'incoming-payments' and key = any(${ids}::uuid[]) and run_at <= ${node.clock.now()}`
    assert.equal(await node.db.execute(jobs), 30)
  } finally {
    await other.close()
  }
})

test('of records of many packets at once the greatest total counts, and one payment does not hold up another', async () => {
  const [reached, begun, untouched] = await Promise.all([create(), create(), create()])
  const record = (id: string, receivedAmount: bigint) =>
    recordIncomingProgress(node, { incomingPaymentId: id, receivedAmount })
  await Promise.all([
    ...[30n, 100n, 70n].map((amount) => record(reached.id, amount)),
    record(begun.id, 1n),
    record(uuidv7(), 100n),
  ])
  const states = await node.db.many(
    (row) => [row.id, row.state] as const,
    sql`select id, state from incoming_payments where id = any(${[reached.id, begun.id, untouched.id]}::uuid[])`,
  )
  assert.deepEqual(
    new Map(states),
    new Map([
      [reached.id, 'COMPLETED'],
      [begun.id, 'PROCESSING'],
      [untouched.id, 'PENDING'],
    ]),
  )
})

test('many packets at once: each payment is registered with its own connector, and with all of them where there are several', async () => {
  const payments = await Promise.all(Array.from({ length: 20 }, create))
  const closed = await create()
  await completeIncomingPayment(node, closed, closed.id)
  const [first, second] = [uuidv7(), uuidv7()]
  const found = await Promise.all([
    ...payments.map(({ id }) => findForPackets(node, id, first)),
    ...payments.slice(0, 10).map(({ id }) => findForPackets(node, id, second)),
    findForPackets(node, closed.id, first),
    findForPackets(node, uuidv7(), first),
  ])
  assert.deepEqual(
    found.map((payment) => payment?.id),
    [...payments, ...payments.slice(0, 10), closed, undefined].map((payment) => payment?.id),
  )
  assert.equal(found[30]?.state, 'COMPLETED')
  const registered = await node.db.many(
    (row) => [row.id, row.paid_by_connector] as const,
    sql`select id, paid_by_connector from incoming_payments where id = any(${payments.map(({ id }) => id)}::uuid[])`,
  )
  const several = '00000000-0000-0000-0000-000000000000'
  assert.deepEqual(
    new Map(registered),
    new Map(payments.map(({ id }, index) => [id, index < 10 ? several : first])),
  )
})
