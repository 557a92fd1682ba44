import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Asset, depositAssetLiquidity, LiquidityRefusal } from '../assets/index.ts'
import { moveThroughClosed, settlementAccountId, transferCode } from '../ledger/index.ts'
import { AMOUNT_MAX } from '../money/index.ts'
import { deriveId, sql, uuidv7 } from '../platform/index.ts'
import type { JobOutcome } from '../queue/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'
import { completeIncomingPayment, recordIncomingProgress } from './change-incoming-payment.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPayment, incomingPaymentAccount } from './model.ts'
import { processIncomingPayment } from './process-incoming-payment.ts'
import { withdrawIncomingPayment } from './withdraw-incoming-payment.ts'

let node: TestNode
let asset: Asset
let walletAddress: WalletAddress
let mine: { tenantId: string }

before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  ;({ asset, walletAddress } = await createTestAccount(node))
})
after(() => node.close())

const refused = (code: string) => (error: unknown) =>
  (error instanceof IncomingPaymentRefusal || error instanceof LiquidityRefusal) && error.code === code

const create = () =>
  createIncomingPayment(node, {
    ...mine,
    walletAddress,
    incomingAmount: { value: 100n, assetCode: 'USD', assetScale: 2 },
    initiatedBy: 'ADMIN',
  })

/** Received in full and announced. */
async function completed(): Promise<IncomingPayment & { eventId: string }> {
  const payment = await create()
  await node.ledger.createAccounts([incomingPaymentAccount(payment)])
  await node.ledger.createTransfers([
    {
      kind: 'posted',
      id: uuidv7(),
      debitAccountId: asset.id,
      creditAccountId: payment.id,
      ledger: asset.ledger,
      code: transferCode.transfer,
      amount: 100n,
    },
  ])
  await recordIncomingProgress(node, { incomingPaymentId: payment.id, receivedAmount: 100n })
  await processIncomingPayment(node, { key: payment.id })
  const eventId = await node.db.one(
    (row) => row.id as string,
    sql`select id from webhook_events where incoming_payment_id = ${payment.id} and type = 'incoming_payment.completed'`,
  )
  return { ...payment, eventId }
}
const withdraw = (payment: { id: string }, timeoutSeconds = 0) =>
  withdrawIncomingPayment(node, mine, { incomingPaymentId: payment.id, timeoutSeconds })
const balanceOf = async (payment: { id: string }) => {
  const [account] = await node.ledger.lookupAccounts([payment.id])
  return [account!.debitsPosted, account!.debitsPending]
}

test('a withdrawal takes what the event announced, under the event’s id, once', async () => {
  const payment = await completed()
  assert.deepEqual(await withdraw(payment), { transferId: payment.eventId, amount: 100n })
  assert.deepEqual(await withdraw(payment), { transferId: payment.eventId, amount: 100n })
  assert.deepEqual(await balanceOf(payment), [100n, 0n])
  const [transfer] = await node.ledger.lookupTransfers([payment.eventId])
  assert.deepEqual(
    [transfer?.debitAccountId, transfer?.creditAccountId, transfer?.amount, transfer?.code],
    [payment.id, settlementAccountId(asset.ledger), 100n, transferCode.withdrawal],
  )
})

test('ten withdrawals at the same time take it once', async () => {
  const payment = await completed()
  await Promise.all(Array.from({ length: 10 }, () => withdraw(payment)))
  assert.deepEqual(await balanceOf(payment), [100n, 0n])
})

test('what was received stays what was received', async () => {
  const payment = await completed()
  await withdraw(payment)
  const [account] = await node.ledger.lookupAccounts([payment.id])
  assert.equal(account?.creditsPosted, 100n)
})

test('nothing is withdrawn before the end was announced, by strangers, or from nowhere', async () => {
  const open = await create()
  await assert.rejects(withdraw(open), refused('nothing_to_withdraw'))
  const payment = await completed()
  const theirs = { tenantId: deriveId('stranger') }
  await assert.rejects(
    withdrawIncomingPayment(node, theirs, { incomingPaymentId: payment.id, timeoutSeconds: 0 }),
    refused('unknown_incoming_payment'),
  )
  for (const id of [uuidv7(), 'no id'])
    await assert.rejects(withdraw({ id }), refused('unknown_incoming_payment'))
  assert.deepEqual(await balanceOf(payment), [0n, 0n])
})

test('a reserved withdrawal is repeated as it is, and is not taken at once besides', async () => {
  const payment = await completed()
  assert.deepEqual(await withdraw(payment, 60), { transferId: payment.eventId, amount: 100n })
  assert.deepEqual(await withdraw(payment, 60), { transferId: payment.eventId, amount: 100n })
  assert.deepEqual(await balanceOf(payment), [0n, 100n])
  await assert.rejects(withdraw(payment, 0), refused('duplicate_transfer'))
  const account = { id: payment.id, ledger: asset.ledger }
  const post = { kind: 'post', id: uuidv7(), pendingId: payment.eventId } as const
  assert.equal(await moveThroughClosed(node, account, post), 'created')
  assert.deepEqual(await withdraw(payment, 60), { transferId: payment.eventId, amount: 100n })
  assert.deepEqual(await balanceOf(payment), [100n, 0n])
})

for (const [end, release] of [
  [
    'voided',
    async (eventId: string) => {
      await node.ledger.createTransfers([{ kind: 'void', id: uuidv7(), pendingId: eventId }])
    },
  ],
  ['run out', async () => node.clock.advance(61_000)],
] as const)
  test(`money of a reservation that was ${end} is not stuck`, async () => {
    const payment = await completed()
    await withdraw(payment, 60)
    await release(payment.eventId)
    await assert.rejects(withdraw(payment, 60), refused('withdrawal_released'))
    const results = await Promise.all(Array.from({ length: 4 }, () => withdraw(payment, 0)))
    assert.equal(new Set(results.map(({ transferId }) => transferId)).size, 1)
    assert.notEqual(results[0]?.transferId, payment.eventId)
    assert.deepEqual((await balanceOf(payment))[0], 100n)
    await assert.rejects(withdraw(payment, 60), refused('withdrawal_released'))
  })

/** Four times 10^19, and closed by its client. */
async function receivedHuge(): Promise<IncomingPayment> {
  const payment = await createIncomingPayment(node, { ...mine, walletAddress, initiatedBy: 'ADMIN' })
  const parts = [10n ** 19n, 10n ** 19n, 10n ** 19n, 10n ** 19n]
  for (const amount of parts) {
    await depositAssetLiquidity(node, mine, { assetId: asset.id, transferId: uuidv7(), amount })
    const transfer = {
      debitAccountId: asset.id,
      creditAccountId: payment.id,
      ledger: asset.ledger,
      code: transferCode.transfer,
    }
    const needs = [incomingPaymentAccount(payment)]
    assert.deepEqual(
      await node.ledger.createTransfers([{ kind: 'posted', id: uuidv7(), ...transfer, amount, needs }]),
      ['created'],
    )
  }
  await completeIncomingPayment(node, mine, payment.id)
  return payment
}

test('more than one event can tell and one transfer carry is announced in several, and withdrawn whole', async () => {
  const payment = await receivedHuge()
  node.clock.advance(ANNOUNCE_GRACE_MS)
  const steps: JobOutcome[] = []
  do steps.push(await processIncomingPayment(node, { key: payment.id }))
  while (steps.at(-1)?.status === 'retry' && steps.length < 10)
  const atOnce = { status: 'retry', at: node.clock.now() }
  assert.deepEqual(steps, [atOnce, atOnce, { status: 'done' }])
  const told = await node.db.many(
    (row) => [row.withdrawal_amount, BigInt(row.value)],
    sql`select withdrawal_amount, data->'receivedAmount'->>'value' as value from webhook_events
      where incoming_payment_id = ${payment.id} and withdrawal_amount is not null order by created_at, id`,
  )
  const rest = 4n * 10n ** 19n - 2n * AMOUNT_MAX
  assert.deepEqual(told, [
    [AMOUNT_MAX, AMOUNT_MAX],
    [AMOUNT_MAX, AMOUNT_MAX],
    [rest, rest],
  ])
  for (let repeat = 0; repeat < 2; repeat++) assert.equal((await withdraw(payment)).amount, 4n * 10n ** 19n)
  assert.deepEqual(await balanceOf(payment), [4n * 10n ** 19n, 0n])
})

test('what an earlier version announced in one event, beyond what one transfer carries, is withdrawn in several, once', async () => {
  const payment = await receivedHuge()
  node.clock.advance(ANNOUNCE_GRACE_MS)
  await processIncomingPayment(node, { key: payment.id })
  const total = 4n * 10n ** 19n
  const eventId = await node.db.one(
    (row) => row.id as string,
    sql`update webhook_events set withdrawal_amount = ${total}::numeric where incoming_payment_id = ${payment.id}
      and withdrawal_amount is not null returning id`,
  )
  assert.deepEqual(await withdraw(payment, 60), { transferId: eventId, amount: AMOUNT_MAX })
  assert.deepEqual(await balanceOf(payment), [0n, AMOUNT_MAX])
  const release = { kind: 'void', id: uuidv7(), pendingId: eventId } as const
  assert.equal(await moveThroughClosed(node, { id: payment.id, ledger: asset.ledger }, release), 'created')
  for (let repeat = 0; repeat < 2; repeat++) assert.equal((await withdraw(payment)).amount, total)
  assert.deepEqual(await balanceOf(payment), [total, 0n])
})
