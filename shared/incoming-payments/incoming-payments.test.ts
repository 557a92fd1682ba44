import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Asset } from '../assets/index.ts'
import { deriveTransferId, settlementAccountId, transferCode } from '../ledger/index.ts'
import { createDb, type Db, deriveId, sql, uuidv7 } from '../platform/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import { type WalletAddress, WalletAddressRefusal } from '../wallet-addresses/index.ts'
import {
  approveIncomingPayment,
  cancelIncomingPayment,
  completeIncomingPayment,
  recordIncomingProgress,
  updateIncomingPayment,
  updateWalletAddress,
} from './change-incoming-payment.ts'
import {
  awaitIncomingPaymentApproval,
  type CreateIncomingPaymentInput,
  createIncomingPayment,
} from './create-incoming-payment.ts'
import { expectLocalCredits } from './credits-store.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { findForPackets } from './local-credits.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPayment, incomingPaymentAccount, LATE_CREDIT_MS } from './model.ts'
import { paymentMethodsOf } from './payment-methods.ts'
import {
  findIncomingPaymentsToProcess,
  processIncomingPayment,
  reconcileIncomingPayments,
} from './process-incoming-payment.ts'
import {
  findIncomingPayment,
  findReceivingPayment,
  getIncomingPayment,
  listIncomingPayments,
} from './read-incoming-payments.ts'
import { withdrawIncomingPayment } from './withdraw-incoming-payment.ts'

let node: TestNode
let asset: Asset
let walletAddress: WalletAddress
let mine: { tenantId: string }
const connectorId = uuidv7()
const theirs = { tenantId: deriveId('stranger') }

before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  ;({ asset, walletAddress } = await createTestAccount(node, { liquidity: 10n ** 18n }))
})
after(() => node.close())

const refused = (code: string) => (error: unknown) =>
  (error instanceof IncomingPaymentRefusal || error instanceof WalletAddressRefusal) && error.code === code
const usd = (value: bigint) => ({ value, assetCode: 'USD', assetScale: 2 })
const create = (more: Partial<CreateIncomingPaymentInput> = {}) =>
  createIncomingPayment(node, {
    ...mine,
    walletAddress,
    incomingAmount: usd(100n),
    initiatedBy: 'ADMIN',
    ...more,
  })

/** What a packet does: a posted transfer from the asset's liquidity. */
async function credit(payment: IncomingPayment, amount: bigint): Promise<void> {
  await findForPackets(node, payment.id, connectorId)
  await node.ledger.createAccounts([incomingPaymentAccount(payment)])
  const statuses = await node.ledger.createTransfers([
    {
      kind: 'posted',
      id: uuidv7(),
      debitAccountId: asset.id,
      creditAccountId: payment.id,
      ledger: asset.ledger,
      code: transferCode.transfer,
      amount,
    },
  ])
  assert.deepEqual(statuses, ['created'])
}
const record = (payment: IncomingPayment, receivedAmount: bigint) =>
  recordIncomingProgress(node, { incomingPaymentId: payment.id, receivedAmount })
const process = (payment: IncomingPayment) => processIncomingPayment(node, { key: payment.id })
const get = (payment: IncomingPayment) => getIncomingPayment(node, mine, payment.id)
const eventsOf = (payment: { id: string }, db: Db = node.db) =>
  db.many(
    (row) => ({
      type: row.type as string,
      data: row.data as Record<string, unknown>,
      withdrawal: row.withdrawal_amount as bigint | null,
      account: row.withdrawal_account_id as string | null,
      deliveries: Number(row.deliveries),
    }),
    sql`select e.*, (select count(*) from webhook_deliveries d where d.event_id = e.id) as deliveries
      from webhook_events e where e.incoming_payment_id = ${payment.id} order by e.created_at, e.id`,
  )
const jobOf = (payment: { id: string }) =>
  node.db.maybe(
    (row) => row.run_at as Date,
    sql`select run_at from jobs where queue = 'incoming-payments' and key = ${payment.id}`,
  )

test('creation writes the payment, its event and its job together', async () => {
  const expiresAt = node.clock.fromNow(3_600_000)
  const payment = await create({ expiresAt, metadata: { ref: 'a"b' }, client: 'https://c.example/x' })
  assert.deepEqual(await get(payment), payment)
  assert.deepEqual(
    [payment.state, payment.receivedAmount, payment.incomingAmount],
    ['PENDING', usd(0n), usd(100n)],
  )
  assert.deepEqual(await jobOf(payment), expiresAt)
  const [event, ...more] = await eventsOf(payment)
  assert.deepEqual(more, [])
  assert.deepEqual([event?.type, event?.withdrawal, event?.deliveries], ['incoming_payment.created', null, 1])
  assert.deepEqual(event?.data, {
    id: payment.id,
    walletAddressId: walletAddress.id,
    createdAt: payment.createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    receivedAmount: { value: '0', assetCode: 'USD', assetScale: 2 },
    completed: false,
    incomingAmount: { value: '100', assetCode: 'USD', assetScale: 2 },
    metadata: { ref: 'a"b' },
    client: 'https://c.example/x',
  })
})

test('a creation that is rolled back leaves nothing', async () => {
  let created: IncomingPayment | undefined
  await assert.rejects(
    node.db.tx(async (db) => {
      created = await createIncomingPayment({ ...node, db }, { ...mine, walletAddress, initiatedBy: 'ADMIN' })
      throw new Error('rolled back')
    }),
  )
  assert.ok(created)
  assert.equal(await findIncomingPayment(node, 'all', created.id), undefined)
  assert.equal(await jobOf(created), undefined)
  assert.deepEqual(await eventsOf(created), [])
})

test('creation is refused for bad amounts, expiries and addresses', async () => {
  for (const [more, code] of [
    [{ incomingAmount: usd(0n) }, 'invalid_amount'],
    [{ incomingAmount: { ...usd(1n), assetCode: 'EUR' } }, 'invalid_amount'],
    [{ expiresAt: node.clock.now() }, 'invalid_expiry'],
    [{ expiresAt: node.clock.fromNow(2_592_000_001) }, 'invalid_expiry'],
    [{ tenantId: theirs.tenantId }, 'unknown_wallet_address'],
  ] as const)
    await assert.rejects(create(more), refused(code), code)
  await assert.rejects(
    createIncomingPayment(node, { ...mine, walletAddressId: uuidv7(), initiatedBy: 'ADMIN' }),
    refused('unknown_wallet_address'),
  )
})

test('an address that was deactivated elsewhere takes no new payments, whatever the cache says', async () => {
  const { walletAddress: cached } = await createTestAccount(node, { scale: 3 })
  await node.db.execute(sql`update wallet_addresses set deactivated_at = now() where id = ${cached.id}`)
  await assert.rejects(
    createIncomingPayment(node, { ...mine, walletAddress: cached, initiatedBy: 'ADMIN' }),
    refused('inactive_wallet_address'),
  )
  await assert.rejects(
    createIncomingPayment(node, { ...mine, walletAddressId: cached.id, initiatedBy: 'ADMIN' }),
    refused('inactive_wallet_address'),
  )
})

test('what was received is what the ledger says', async () => {
  const payment = await create({ incomingAmount: usd(2n ** 64n - 1n) })
  await credit(payment, 5n)
  assert.deepEqual((await get(payment)).receivedAmount, usd(5n))
  await credit(payment, 10n ** 17n)
  const listed = await listIncomingPayments(node, mine, { walletAddressId: walletAddress.id }, { first: 100 })
  const found = listed.items.find(({ id }) => id === payment.id)
  assert.deepEqual(found?.receivedAmount, usd(5n + 10n ** 17n))
  assert.deepEqual(found, await get(payment))
})

test('credits move the state; late and repeated records change nothing', async () => {
  const payment = await create()
  const expiry = await jobOf(payment)
  await credit(payment, 40n)
  assert.deepEqual(await record(payment, 40n), { changedTo: 'PROCESSING' })
  assert.deepEqual(await record(payment, 40n), {})
  assert.deepEqual(await jobOf(payment), expiry)
  await credit(payment, 70n)
  assert.deepEqual(await record(payment, 110n), { changedTo: 'COMPLETED' })
  assert.deepEqual(await record(payment, 110n), {})
  // A record that was overtaken.
  assert.deepEqual(await record(payment, 40n), {})
  assert.equal((await get(payment)).state, 'COMPLETED')
  assert.deepEqual(await jobOf(payment), node.clock.now())
})

test('a payment without an amount stays open until somebody ends it', async () => {
  const payment = await createIncomingPayment(node, { ...mine, walletAddress, initiatedBy: 'OPEN_PAYMENTS' })
  assert.equal('incomingAmount' in payment, false)
  assert.deepEqual(await record(payment, 2n ** 64n), { changedTo: 'PROCESSING' })
  assert.deepEqual(await record(payment, 2n ** 65n), {})
})

test('a payment that a packet completed is announced at once, with the ledger’s total', async () => {
  const payment = await create()
  await credit(payment, 60n)
  await credit(payment, 60n)
  await record(payment, 120n)
  assert.deepEqual(await process(payment), { status: 'done' })
  const [, completed, ...more] = await eventsOf(payment)
  assert.deepEqual(more, [])
  assert.deepEqual(
    [completed?.type, completed?.withdrawal, completed?.account, completed?.deliveries],
    ['incoming_payment.completed', 120n, payment.id, 1],
  )
  assert.equal(completed?.data.completed, true)
  assert.deepEqual(completed?.data.receivedAmount, { value: '120', assetCode: 'USD', assetScale: 2 })
})

test('a payment that is paid locally too is announced after the grace, with what both brought', async () => {
  const payment = await create()
  await node.db.execute(expectLocalCredits(sql`select ${payment.id}::uuid`))
  await credit(payment, 100n)
  assert.deepEqual(await record(payment, 100n), { changedTo: 'COMPLETED' })
  const due = node.clock.fromNow(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'retry', at: due })
  // The connector had decided on this packet before it could know.
  await credit(payment, 30n)
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(LATE_CREDIT_MS) })
  const [, event] = await eventsOf(payment)
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.completed', 130n])
})

test('eight workers announce once', async () => {
  for (let round = 0; round < 5; round++) {
    const payment = await create()
    await credit(payment, 100n)
    await record(payment, 100n)
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => process(payment)))
    assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(['done']))
    assert.equal((await eventsOf(payment)).length, 2)
  }
})

test('of many that are created at once each has its own event and its own end; one that is refused or impossible is alone in it', async () => {
  const { walletAddress: inactive } = await createTestAccount(node, { code: 'GBP' })
  await node.db.execute(sql`update wallet_addresses set deactivated_at = now() where id = ${inactive.id}`)
  const given = Array.from({ length: 40 }, (_, index) => ({
    id: deriveId('crowd', index),
    incomingAmount: usd(BigInt(index) + 2n ** 63n),
    expiresAt: node.clock.fromNow((index + 1) * 1_000),
    ...(index % 2 === 0 && { metadata: { index, text: `'"\\ ${index}` } }),
  }))
  const outcomes = await Promise.allSettled([
    ...given.map((input) => create(input)),
    // The row in hand says that it is active.
    create({
      id: deriveId('crowd', 'inactive'),
      walletAddress: inactive,
      incomingAmount: { ...usd(1n), assetCode: inactive.asset.code },
    }),
    create({ id: deriveId('crowd', 'nul'), metadata: { text: '\u0000' } }),
    create(given[0]),
  ])
  const [ofInactive, ofNul, ofTwice] = outcomes.splice(40)
  // Either of the two may be the first, when all are tried alone after the one with the impossible text.
  const twice = [outcomes[0], ofTwice]
  assert.deepEqual(twice.map((outcome) => outcome?.status).sort(), ['fulfilled', 'rejected'])
  outcomes.splice(0, 1, ...twice.flatMap((outcome) => (outcome?.status === 'fulfilled' ? [outcome] : [])))
  assert.ok(ofInactive?.status === 'rejected' && refused('inactive_wallet_address')(ofInactive.reason))
  assert.equal(ofNul?.status, 'rejected')
  assert.deepEqual(await eventsOf({ id: deriveId('crowd', 'inactive') }), [])
  for (const [index, outcome] of outcomes.entries()) {
    assert.ok(outcome.status === 'fulfilled', String(outcome.status === 'rejected' && outcome.reason))
    const payment = outcome.value
    assert.deepEqual(await get(payment), payment)
    assert.deepEqual(payment.incomingAmount, given[index]?.incomingAmount)
    const events = await eventsOf(payment)
    assert.deepEqual(
      events.map(({ type, data, deliveries }) => [type, data.id, data.metadata, deliveries]),
      [['incoming_payment.created', payment.id, given[index]?.metadata, 1]],
    )
    assert.deepEqual(await jobOf(payment), given[index]?.expiresAt)
  }
})

test('of many ends that are announced at once over two processes, each is told once', async () => {
  const other = createDb({ connectionString: node.db.connectionString })
  try {
    const payments = await Promise.all(Array.from({ length: 20 }, () => create()))
    for (const payment of payments) {
      await credit(payment, 100n)
      await record(payment, 100n)
    }
    const announce = (db: Db, those: readonly IncomingPayment[]) =>
      those.map((payment) => processIncomingPayment({ ...node, db }, { key: payment.id }))
    await Promise.all([
      ...announce(node.db, [...payments, ...payments]),
      ...announce(other, [...payments, ...payments].reverse()),
    ])
    for (const payment of payments) {
      const events = await eventsOf(payment)
      assert.deepEqual(
        events.map(({ type, data, withdrawal, account, deliveries }) => [
          type,
          data.id,
          withdrawal,
          account,
          deliveries,
        ]),
        [
          ['incoming_payment.created', payment.id, null, null, 1],
          ['incoming_payment.completed', payment.id, 100n, payment.id, 1],
        ],
      )
    }
  } finally {
    await other.close()
  }
})

test('F25: a packet that completes the payment while a worker looks at it is in the announcement', async () => {
  const payment = await create()
  await credit(payment, 60n)
  await record(payment, 60n)
  let isLast = true
  const db: Db = {
    ...node.db,
    async batched(statement, item) {
      if (isLast) {
        isLast = false
        // The row comes late: time enough for the ledger's answer.
        await sleep(50)
        await credit(payment, 40n)
        await record(payment, 100n)
      }
      return await node.db.batched(statement, item)
    },
  }
  await processIncomingPayment({ ...node, db }, { key: payment.id })
  await process(payment)
  const [, event, ...more] = await eventsOf(payment)
  assert.deepEqual(more, [])
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.completed', 100n])
})

test('a completion by order waits, so that a packet in flight is counted', async () => {
  const payment = await create()
  await credit(payment, 10n)
  await record(payment, 10n)
  const completed = await completeIncomingPayment(node, mine, payment.id)
  assert.deepEqual([completed.state, completed.receivedAmount], ['COMPLETED', usd(10n)])
  const due = node.clock.fromNow(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await jobOf(payment), due)
  assert.deepEqual(await process(payment), { status: 'retry', at: due })
  // Decided before the close, posted after it.
  await credit(payment, 7n)
  assert.deepEqual(await record(payment, 17n), {})
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(LATE_CREDIT_MS) })
  const [, event] = await eventsOf(payment)
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.completed', 17n])
  await assert.rejects(completeIncomingPayment(node, mine, payment.id), refused('wrong_state'))
})

test('a completion of which nothing came is not announced and stays visible', async () => {
  const payment = await create()
  await completeIncomingPayment(node, mine, payment.id)
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'done' })
  assert.equal((await eventsOf(payment)).length, 1)
  assert.equal((await get(payment)).state, 'COMPLETED')
  assert.deepEqual(await findIncomingPaymentsToProcess(node), [])
})

test('completion is refused to strangers, and after the expiry that nobody has recorded yet', async () => {
  const payment = await create({ expiresAt: node.clock.fromNow(1_000) })
  await assert.rejects(completeIncomingPayment(node, theirs, payment.id), refused('unknown_incoming_payment'))
  assert.equal((await get(payment)).state, 'PENDING')
  await assert.rejects(completeIncomingPayment(node, mine, 'no id'), refused('unknown_incoming_payment'))
  node.clock.advance(1_000)
  await assert.rejects(completeIncomingPayment(node, mine, payment.id), refused('wrong_state'))
})

test('trap 15: an expired payment with money is announced after the grace, with everything that came', async () => {
  const payment = await create({ expiresAt: node.clock.fromNow(1_000) })
  await credit(payment, 30n)
  await record(payment, 30n)
  node.clock.advance(999)
  assert.deepEqual(await process(payment), { status: 'retry', at: payment.expiresAt })
  node.clock.advance(1)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(ANNOUNCE_GRACE_MS) })
  assert.equal((await get(payment)).state, 'EXPIRED')
  await credit(payment, 5n)
  assert.deepEqual(await record(payment, 35n), {})
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(LATE_CREDIT_MS) })
  const [, event] = await eventsOf(payment)
  assert.deepEqual(
    [event?.type, event?.withdrawal, event?.data.completed],
    ['incoming_payment.expired', 35n, false],
  )
})

/** As versions left it that closed the row alone. */
async function openAccount(payment: { id: string }): Promise<void> {
  const [status] = await node.ledger.createTransfers([
    { kind: 'void', id: uuidv7(), pendingId: deriveTransferId('close', payment.id, 0) },
  ])
  assert.equal(status, 'created')
}

test('the ledger itself refuses money for a payment whose end was told, and its money can be withdrawn all the same', async () => {
  const [payment, empty] = [await create(), await create()]
  await credit(payment, 10n)
  await record(payment, 10n)
  // Packets were on their way to both.
  for (const { id } of [payment, empty]) await findForPackets(node, id, connectorId)
  for (const { id } of [payment, empty]) await completeIncomingPayment(node, mine, id)
  await process(payment)
  await credit(payment, 3n)
  node.clock.advance(ANNOUNCE_GRACE_MS)
  await Promise.all([process(payment), process(payment), process(empty)])
  const [, end, ...more] = await eventsOf(payment)
  assert.deepEqual([end?.withdrawal, more], [13n, []])
  for (const late of [payment, empty]) {
    await assert.rejects(credit(late, 7n), /credit_account_already_closed/)
    assert.equal((await node.ledger.lookupAccounts([late.id]))[0]?.closed, true)
  }
  const withdraw = (timeoutSeconds: number) =>
    withdrawIncomingPayment(node, mine, { incomingPaymentId: payment.id, timeoutSeconds })
  const made = await Promise.all([withdraw(0), withdraw(0), withdraw(0)])
  assert.equal(new Set(made.map(({ transferId }) => transferId)).size, 1)
  const [account] = await node.ledger.lookupAccounts([payment.id])
  assert.deepEqual([account?.debitsPosted, account?.closed], [13n, true])
  await assert.rejects(credit(payment, 1n), /credit_account_already_closed/)
})

test('F25: money that comes behind the announcement is announced too, and can be withdrawn', async () => {
  const payment = await create()
  await credit(payment, 10n)
  await record(payment, 10n)
  await completeIncomingPayment(node, mine, payment.id)
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(LATE_CREDIT_MS) })
  await openAccount(payment)
  // Decided before the close; the ledger was slow for longer than the grace.
  await credit(payment, 7n)
  node.clock.advance(LATE_CREDIT_MS)
  await Promise.all([process(payment), process(payment)])
  assert.deepEqual(await process(payment), { status: 'done' })
  const [, ...ends] = await eventsOf(payment)
  assert.deepEqual(
    ends.map(({ type, withdrawal, data }) => [type, withdrawal, data.receivedAmount]),
    [10n, 7n].map((amount) => [
      'incoming_payment.completed',
      amount,
      { value: amount.toString(), assetCode: 'USD', assetScale: 2 },
    ]),
  )
  const withdraw = () =>
    withdrawIncomingPayment(node, mine, { incomingPaymentId: payment.id, timeoutSeconds: 0 })
  await withdraw()
  await withdraw()
  const [account] = await node.ledger.lookupAccounts([payment.id])
  assert.equal(account?.debitsPosted, 17n)
})

test('F26: money that comes after an empty payment disappeared brings it back', async () => {
  const payment = await create({ expiresAt: node.clock.fromNow(1_000) })
  // A packet was on its way.
  await findForPackets(node, payment.id, connectorId)
  node.clock.advance(1_000)
  await process(payment)
  node.clock.advance(ANNOUNCE_GRACE_MS)
  await process(payment)
  assert.equal(await findIncomingPayment(node, mine, payment.id), undefined)
  await openAccount(payment)
  await credit(payment, 4n)
  node.clock.advance(LATE_CREDIT_MS)
  assert.deepEqual(await process(payment), { status: 'done' })
  const [, event, ...more] = await eventsOf(payment)
  assert.deepEqual(more, [])
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.expired', 4n])
  assert.equal((await get(payment)).deletedAt, undefined)
})

test('an expired payment of which nothing came disappears without an event', async () => {
  const payment = await create({ expiresAt: node.clock.fromNow(1_000) })
  node.clock.advance(1_000)
  await process(payment)
  assert.equal((await get(payment)).state, 'EXPIRED')
  node.clock.advance(ANNOUNCE_GRACE_MS)
  assert.deepEqual(await process(payment), { status: 'done' })
  assert.equal(await findIncomingPayment(node, mine, payment.id), undefined)
  assert.equal(await findReceivingPayment(node, payment.id), undefined)
  assert.equal((await eventsOf(payment)).length, 1)
  assert.deepEqual(await process(payment), { status: 'done' })
})

test('F26: money that arrives while an empty payment expires is announced, not hidden', async () => {
  const payment = await create({ expiresAt: node.clock.fromNow(1_000) })
  node.clock.advance(1_000)
  const after = { status: 'retry', at: node.clock.fromNow(ANNOUNCE_GRACE_MS) } as const
  assert.deepEqual(await process(payment), after)
  await credit(payment, 1n)
  // A queue may ask before the time: the ledger takes money until then.
  node.clock.advance(ANNOUNCE_GRACE_MS - 1)
  assert.deepEqual(await process(payment), { status: 'retry', at: node.clock.fromNow(1) })
  node.clock.advance(1)
  await process(payment)
  const [, event] = await eventsOf(payment)
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.expired', 1n])
  assert.ok(await findIncomingPayment(node, mine, payment.id))
})

test('F2: a completion whose record was lost is found by the reconciler, and does not end as expired', async () => {
  const [lost, short, open] = [await create(), await create(), await create({ incomingAmount: usd(1_000n) })]
  await credit(lost, 100n)
  await credit(short, 99n)
  await credit(open, 100n)
  assert.deepEqual(await reconcileIncomingPayments(node), [lost.id])
  assert.deepEqual(await reconcileIncomingPayments(node), [])
  node.clock.advance(ANNOUNCE_GRACE_MS)
  await process(lost)
  const [, event] = await eventsOf(lost)
  assert.deepEqual([event?.type, event?.withdrawal], ['incoming_payment.completed', 100n])
  assert.equal((await get(short)).state, 'PENDING')

  const unreconciled = await create({ expiresAt: node.clock.fromNow(1_000) })
  await credit(unreconciled, 100n)
  node.clock.advance(1_000)
  await process(unreconciled)
  assert.equal((await get(unreconciled)).state, 'COMPLETED')
})

test('F36: the sweep asks again for what is overdue, and only for that', async () => {
  await node.db.execute(sql`update incoming_payments set announced_at = now() where announced_at is null`)
  const [due, waiting, closed] = [
    await create({ expiresAt: node.clock.fromNow(1_000) }),
    await create({ expiresAt: node.clock.fromNow(60_000) }),
    await create({ expiresAt: node.clock.fromNow(60_000) }),
  ]
  await credit(closed, 100n)
  await record(closed, 100n)
  await node.db.execute(sql`delete from jobs`)
  node.clock.advance(11_000)
  assert.deepEqual(new Set(await findIncomingPaymentsToProcess(node)), new Set([due.id, closed.id]))
  assert.ok(await jobOf(due))
  assert.equal(await jobOf(waiting), undefined)
  await process(closed)
  assert.deepEqual(await findIncomingPaymentsToProcess(node), [due.id])
})

test('F25: complete, expiry and credits race, and the event has everything', async () => {
  for (let round = 0; round < 12; round++) {
    const payment = await create({ incomingAmount: usd(100n), expiresAt: node.clock.fromNow(1_000) })
    // Every credit is decided while the payment is open, as a connector must.
    const credits = [30n, 30n, 30n, 30n].map(async (amount) => {
      await credit(payment, amount)
      const [account] = await node.ledger.lookupAccounts([payment.id])
      await record(payment, account!.creditsPosted)
    })
    const orders = [0, 1].map(() => completeIncomingPayment(node, mine, payment.id).catch(() => undefined))
    await Promise.all([...credits, ...orders, process(payment)])
    node.clock.advance(1_000 + ANNOUNCE_GRACE_MS)
    for (let step = 0; step < 3; step++) {
      await Promise.all(Array.from({ length: 4 }, () => process(payment)))
      node.clock.advance(ANNOUNCE_GRACE_MS)
    }
    const [created, ended, ...more] = await eventsOf(payment)
    assert.deepEqual(more, [])
    assert.equal(created?.type, 'incoming_payment.created')
    assert.deepEqual([ended?.type, ended?.withdrawal], ['incoming_payment.completed', 120n])
  }
})

test('deactivation shortens open payments to the grace period and moves their jobs', async () => {
  const { walletAddress: closing } = await createTestAccount(node, { scale: 4 })
  const make = (ms: number) =>
    createIncomingPayment(node, {
      ...mine,
      walletAddress: closing,
      expiresAt: node.clock.fromNow(ms),
      initiatedBy: 'ADMIN',
    })
  const day = 86_400_000
  const [long, short, done] = [await make(10 * day), await make(1_000), await make(10 * day)]
  await completeIncomingPayment(node, mine, done.id)
  const latest = node.clock.fromNow(day)
  await updateWalletAddress(node, mine, { id: closing.id, status: 'INACTIVE' })
  assert.deepEqual([(await get(long)).expiresAt, await jobOf(long)], [latest, latest])
  assert.deepEqual([(await get(short)).expiresAt, await jobOf(short)], [short.expiresAt, short.expiresAt])
  assert.deepEqual((await get(done)).expiresAt, done.expiresAt)
  await assert.rejects(make(1_000), refused('inactive_wallet_address'))
  await updateWalletAddress(node, mine, { id: closing.id, status: 'ACTIVE' })
  await make(1_000)
})

test('the wallet decides once, while the payment is pending', async () => {
  const [approved, cancelled, begun] = [await create(), await create(), await create()]
  const first = await approveIncomingPayment(node, mine, approved.id)
  assert.deepEqual(first.approvedAt, node.clock.now())
  node.clock.advance(5)
  assert.deepEqual(await approveIncomingPayment(node, mine, approved.id), first)
  await assert.rejects(cancelIncomingPayment(node, mine, { id: approved.id }), refused('already_approved'))

  const off = await cancelIncomingPayment(node, mine, { id: cancelled.id, reason: 'fraud' })
  assert.equal(off.cancellationReason, 'fraud')
  assert.deepEqual(await cancelIncomingPayment(node, mine, { id: cancelled.id, reason: 'other' }), off)
  await assert.rejects(approveIncomingPayment(node, mine, cancelled.id), refused('already_cancelled'))

  await record(begun, 1n)
  await assert.rejects(approveIncomingPayment(node, mine, begun.id), refused('wrong_state'))
  const untouched = await create()
  await assert.rejects(
    approveIncomingPayment(node, theirs, untouched.id),
    refused('unknown_incoming_payment'),
  )
  assert.deepEqual(await get(untouched), untouched)
})

test('creation can wait for the wallet’s word', async () => {
  const clock = { ...node.clock, nowMs: () => Date.now() }
  const polling = {
    db: node.db,
    clock,
    settings: {
      pollIncomingPaymentCreated: true,
      incomingPaymentCreatedPollTimeoutMs: 150,
      incomingPaymentCreatedPollFrequencyMs: 10,
    },
  }
  const [yes, no, silent] = [await create(), await create(), await create()]
  const waits = [yes, no, silent].map((payment) => awaitIncomingPaymentApproval(polling, payment))
  const answers = Promise.allSettled(waits)
  await approveIncomingPayment(node, mine, yes.id)
  await cancelIncomingPayment(node, mine, { id: no.id })
  const [approved, cancelled, timedOut] = await answers
  assert.equal(approved?.status, 'fulfilled')
  for (const result of [cancelled, timedOut])
    assert.ok(result?.status === 'rejected' && refused('action_not_performed')(result.reason))
  await awaitIncomingPaymentApproval(
    { ...polling, settings: { ...polling.settings, pollIncomingPaymentCreated: false } },
    silent,
  )
})

test('metadata is replaced by its owner only', async () => {
  const payment = await create({ metadata: { a: 1 } })
  const changed = await updateIncomingPayment(node, mine, { id: payment.id, metadata: { b: [2] } })
  assert.deepEqual(changed, { ...payment, metadata: { b: [2] } })
  await assert.rejects(
    updateIncomingPayment(node, theirs, { id: payment.id, metadata: {} }),
    refused('unknown_incoming_payment'),
  )
  assert.deepEqual(await get(payment), changed)
})

test('reads keep to tenant and client, lists to their filters', async () => {
  const payment = await create({ client: 'https://c.example/one', initiatedBy: 'CARD' })
  assert.equal(await findIncomingPayment(node, theirs, payment.id), undefined)
  assert.equal(
    await findIncomingPayment(node, mine, payment.id, { client: 'https://c.example/two' }),
    undefined,
  )
  assert.ok(await findIncomingPayment(node, mine, payment.id, { client: 'https://c.example/one' }))
  assert.equal(await findIncomingPayment(node, 'all', 'no id'), undefined)
  const list = async (
    scope: 'all' | { tenantId: string },
    filter: Parameters<typeof listIncomingPayments>[2],
  ) => (await listIncomingPayments(node, scope, filter, { first: 100 })).items
  assert.deepEqual(await list(theirs, {}), [])
  assert.deepEqual(await list(mine, { client: 'https://c.example/one' }), [payment])
  assert.deepEqual(await list('all', { initiatedBy: { in: ['CARD'] } }), [payment])
  assert.ok((await list(mine, { initiatedBy: { notIn: ['CARD'] } })).every(({ id }) => id !== payment.id))
  assert.ok((await list(mine, { state: { in: ['EXPIRED'] } })).every(({ state }) => state === 'EXPIRED'))
})

test('payment methods are fresh while the payment is open, and none afterwards', async () => {
  const payment = await create()
  const [one] = await paymentMethodsOf(node, payment)
  const [two] = await paymentMethodsOf(node, payment)
  assert.match(one!.ilpAddress, /^test\.node\.[A-Za-z0-9_-]+$/)
  assert.equal(Buffer.from(one!.sharedSecret, 'base64url').length, 32)
  assert.notEqual(one!.ilpAddress, two!.ilpAddress)
  assert.deepEqual(await paymentMethodsOf(node, { ...payment, state: 'COMPLETED' }), [])
  assert.deepEqual(await paymentMethodsOf(node, { ...payment, expiresAt: node.clock.now() }), [])
  assert.deepEqual(await paymentMethodsOf(node, { ...payment, tenantId: theirs.tenantId }), [])
})

test('settlement equals what all accounts hold', async () => {
  const accounts = await node.db.many(
    (row) => row.id as string,
    sql`select id from incoming_payments where asset_id = ${asset.id}`,
  )
  const [settlement, liquidity] = await node.ledger.lookupAccounts([
    settlementAccountId(asset.ledger),
    asset.id,
  ])
  const held = (await node.ledger.lookupAccounts(accounts)).reduce(
    (sum, account) => sum + (account ? account.creditsPosted - account.debitsPosted : 0n),
    liquidity!.creditsPosted - liquidity!.debitsPosted,
  )
  assert.equal(settlement!.debitsPosted - settlement!.creditsPosted, held)
})
