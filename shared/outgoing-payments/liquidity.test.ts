import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import {
  createAsset,
  deleteAsset,
  depositAssetLiquidity,
  depositLiquidity,
  LiquidityRefusal,
  withdrawAssetLiquidity,
  withdrawLiquidity,
} from '../assets/index.ts'
import { withdrawIncomingPayment } from '../incoming-payments/index.ts'
import { formerTransferId, isChosenId } from '../ledger/index.ts'
import { createPeer, deletePeer, withdrawPeerLiquidity } from '../peers/index.ts'
import { uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  depositEventLiquidity,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  listAccountTransfers,
  type OutgoingPayment,
  OutgoingPaymentRefusal,
  postWithdrawal,
  voidWithdrawal,
  withdrawEventLiquidity,
  withdrawOutgoingPayment,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(() => {
  world.connector.sendFailures = []
})
after(async () => {
  for (const { ledger, difference } of await world.audit()) assert.equal(difference, 0n, `ledger ${ledger}`)
  await world.close()
})

const isRefusal = (code: string) => (error: unknown) =>
  error instanceof OutgoingPaymentRefusal && error.code === code
const held = async ({ id }: { id: string }) => (await getOutgoingPaymentLiquidity(world.ctx, [id]))[0]
const eventOf = async (type: string, id: string) => {
  const event = (await world.events(type)).find(({ data }) => data.id === id)
  assert.ok(event, `${type} of ${id}`)
  return event
}
/** A payment of 50 that failed: all of it is refundable. */
const failed = async (): Promise<OutgoingPayment> => {
  const payment = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  await world.fund(payment)
  world.connector.sendFailures = [{ code: 'refused', message: 'no', retryable: false }]
  await world.runJobs()
  return payment
}
const withdraw = (payment: OutgoingPayment, timeoutSeconds: number) =>
  withdrawOutgoingPayment(
    world.ctx,
    { tenantId: world.tenantId },
    { outgoingPaymentId: payment.id, timeoutSeconds },
  )
const own = () => ({ tenantId: world.tenantId })

test('what is left of a payment is withdrawn once, however often that is asked', async () => {
  const payment = await failed()
  const event = await eventOf('outgoing_payment.failed', payment.id)
  for (let repeat = 0; repeat < 3; repeat++)
    assert.deepEqual(await withdraw(payment, 0), { transferId: event.id, amount: 50n })
  assert.equal(await held(payment), 0n)
  // What was sent is fixed: the withdrawal is not counted as sent.
  assert.equal((await getOutgoingPayment(world.ctx, 'all', payment.id)).sentAmount.value, 0n)
})

test('a withdrawal in two steps: reserved, then posted, repeatably', async () => {
  const payment = await failed()
  const { transferId } = await withdraw(payment, 60)
  assert.equal(await held(payment), 0n)
  await postWithdrawal(world.ctx, own(), transferId)
  await postWithdrawal(world.ctx, own(), transferId)
  await assert.rejects(voidWithdrawal(world.ctx, own(), transferId), isRefusal('withdrawal_already_posted'))
  const [account] = await world.ledger.lookupAccounts([payment.id])
  assert.equal(account?.debitsPosted, 50n)
})

test('a reservation that was voided gives the money back; it can then be withdrawn in one step', async () => {
  const payment = await failed()
  const { transferId } = await withdraw(payment, 60)
  await voidWithdrawal(world.ctx, own(), transferId)
  await voidWithdrawal(world.ctx, own(), transferId)
  assert.equal(await held(payment), 50n)
  await assert.rejects(postWithdrawal(world.ctx, own(), transferId), isRefusal('withdrawal_already_voided'))
  await assert.rejects(withdraw(payment, 60), isRefusal('withdrawal_released'))
  await withdraw(payment, 0)
  await withdraw(payment, 0)
  const [account] = await world.ledger.lookupAccounts([payment.id])
  assert.equal(account?.debitsPosted, 50n)
})

const afterRelease = (eventId: string) => formerTransferId('withdrawal-after-release', eventId)
/** A payment whose reserved withdrawal was voided, and the id of the next had been free to choose in earlier versions: one in four. */
async function releasedWithChosenId(): Promise<{ payment: OutgoingPayment; former: string }> {
  for (;;) {
    const payment = await failed()
    const { id } = await eventOf('outgoing_payment.failed', payment.id)
    if (!isChosenId(afterRelease(id))) continue
    await withdraw(payment, 60)
    await voidWithdrawal(world.ctx, own(), id)
    return { payment, former: afterRelease(id) }
  }
}

test('nobody can take the id of the withdrawal that follows a reserved one', async () => {
  const { payment, former } = await releasedWithChosenId()
  const theirs = { assetId: world.usd.id, amount: 50n, transferId: former, timeoutSeconds: 0 }
  await withdrawAssetLiquidity(world.ctx, own(), theirs)
  const { transferId } = await withdraw(payment, 0)
  assert.ok(!isChosenId(transferId))
  assert.deepEqual(await withdraw(payment, 0), { transferId, amount: 50n })
  assert.equal(await held(payment), 0n)
})

test('what an earlier version withdrew behind a reservation is not withdrawn again', async () => {
  const { payment, former } = await releasedWithChosenId()
  const { ledger } = payment.walletAddress.asset
  const account = { accountId: payment.id, tenantId: world.tenantId, ledger }
  await withdrawLiquidity(world.ctx, { ...account, transferId: former, amount: 50n, timeoutSeconds: 0 })
  // There would be enough for another one.
  await depositLiquidity(world.ctx, { ...account, transferId: uuidv7(), amount: 50n })
  for (let repeat = 0; repeat < 2; repeat++)
    assert.deepEqual(await withdraw(payment, 0), { transferId: former, amount: 50n })
  assert.equal(await held(payment), 50n)
})

test('a reservation that ran out can be neither posted nor voided', async () => {
  const payment = await failed()
  const { transferId } = await withdraw(payment, 1)
  world.clock.advance(1_001)
  await assert.rejects(postWithdrawal(world.ctx, own(), transferId), isRefusal('withdrawal_expired'))
  await withdraw(payment, 0)
  assert.equal(await held(payment), 0n)
})

test('the same withdrawal under other terms is refused', async () => {
  const payment = await failed()
  await withdraw(payment, 60)
  await assert.rejects(
    withdraw(payment, 0),
    (error) => error instanceof LiquidityRefusal && error.code === 'duplicate_transfer',
  )
})

test('before its end, and without a remainder, there is nothing to withdraw', async () => {
  const open = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  await assert.rejects(withdraw(open, 0), isRefusal('wrong_state'))
  const receiver = await world.incoming(world.carol)
  const payment = await world.outgoing(world.alice, receiver.url, { debit: 50n })
  await world.fund(payment)
  await world.runJobs()
  await assert.rejects(withdraw(payment, 0), isRefusal('nothing_to_withdraw'))
  await assert.rejects(withdraw({ ...open, id: uuidv7() }, 0), isRefusal('unknown_payment'))
})

test('the deprecated mutations name the event: deposit and withdrawal, repeatable', async () => {
  const receiver = await world.incoming(world.carol, 30n)
  const payment = await world.outgoing(world.alice, receiver.url)
  const created = await eventOf('outgoing_payment.created', payment.id)
  for (let repeat = 0; repeat < 3; repeat++) await depositEventLiquidity(world.ctx, own(), created.id)
  await world.runJobs()
  // The wallet that missed the answer repeats when the payment is long done.
  await depositEventLiquidity(world.ctx, own(), created.id)
  world.clock.advance(2_000)
  await world.runJobs('incoming-payments')
  const completed = await eventOf('incoming_payment.completed', receiver.id)
  for (let repeat = 0; repeat < 3; repeat++) await withdrawEventLiquidity(world.ctx, own(), completed.id)
  // Either way of withdrawing finds the other.
  await withdrawIncomingPayment(world.ctx, own(), { incomingPaymentId: receiver.id, timeoutSeconds: 0 })
  const [account] = await world.ledger.lookupAccounts([receiver.id])
  assert.deepEqual([account?.creditsPosted, account?.debitsPosted], [30n, 30n])

  const refunded = await failed()
  const event = await eventOf('outgoing_payment.failed', refunded.id)
  await withdrawEventLiquidity(world.ctx, own(), event.id)
  await withdraw(refunded, 0)
  assert.equal(await held(refunded), 0n)
})

test('events that ask for nothing move nothing', async () => {
  const payment = await failed()
  const created = await eventOf('outgoing_payment.created', payment.id)
  const ended = await eventOf('outgoing_payment.failed', payment.id)
  await assert.rejects(withdrawEventLiquidity(world.ctx, own(), created.id), isRefusal('unknown_event'))
  await assert.rejects(depositEventLiquidity(world.ctx, own(), ended.id), isRefusal('unknown_event'))
  for (const id of [uuidv7(), 'not an id']) {
    await assert.rejects(depositEventLiquidity(world.ctx, own(), id), isRefusal('unknown_event'))
    await assert.rejects(withdrawEventLiquidity(world.ctx, own(), id), isRefusal('unknown_event'))
  }
})

test('another tenant can fund, withdraw, post and void nothing', async () => {
  const { tenantId } = await world.addTenant()
  const other = { tenantId }
  const payment = await failed()
  const event = await eventOf('outgoing_payment.failed', payment.id)
  const created = await eventOf('outgoing_payment.created', payment.id)
  await assert.rejects(depositEventLiquidity(world.ctx, other, created.id), isRefusal('unknown_event'))
  await assert.rejects(withdrawEventLiquidity(world.ctx, other, event.id), isRefusal('unknown_event'))
  await assert.rejects(
    withdrawOutgoingPayment(world.ctx, other, { outgoingPaymentId: payment.id, timeoutSeconds: 0 }),
    isRefusal('unknown_payment'),
  )
  const { transferId } = await withdraw(payment, 60)
  await assert.rejects(postWithdrawal(world.ctx, other, transferId), isRefusal('unknown_withdrawal'))
  await assert.rejects(voidWithdrawal(world.ctx, other, transferId), isRefusal('unknown_withdrawal'))
  assert.equal(await held(payment), 0n)
  await voidWithdrawal(world.ctx, 'all', transferId)
  assert.equal(await held(payment), 50n)
})

test('what a closed payment received is withdrawn in two steps as well, and it stays closed', async () => {
  const receiver = await world.incoming(world.carol, 50n)
  const payment = await world.outgoing(world.alice, receiver.url)
  await world.fund(payment)
  await world.runJobs()
  await world.runJobs('incoming-payments')
  const receiverAccount = async () => (await world.ledger.lookupAccounts([receiver.id]))[0]
  assert.equal((await receiverAccount())?.closed, true)
  const reserve = () =>
    withdrawIncomingPayment(world.ctx, own(), { incomingPaymentId: receiver.id, timeoutSeconds: 60 })
  const { transferId } = await reserve()
  await postWithdrawal(world.ctx, own(), transferId)
  await postWithdrawal(world.ctx, own(), transferId)
  const account = await receiverAccount()
  assert.deepEqual([account?.debitsPosted, account?.debitsPending, account?.closed], [50n, 0n, true])
})

test('what was reserved of an asset or a peer is posted and voided after it was deleted, by its own tenant', async () => {
  const { tenantId, asset } = await world.addTenant()
  const [theirs, other] = [{ tenantId }, { tenantId: (await world.addTenant()).tenantId }]
  const peer = await createPeer(world.ctx, {
    tenantId,
    assetId: asset.id,
    staticIlpAddress: 'test.leaving',
    outgoing: { endpoint: 'https://leaving.example', authToken: 'x' },
    initialLiquidity: 10n,
  })
  const spare = await createAsset(world.ctx, { tenantId, code: 'XAU', scale: 0 })
  await depositAssetLiquidity(world.ctx, theirs, { assetId: spare.id, transferId: uuidv7(), amount: 10n })
  const reserve = (withdraw: (transferId: string) => Promise<unknown>) =>
    Promise.all(
      [uuidv7(), uuidv7()].map(async (transferId) => {
        await withdraw(transferId)
        return transferId
      }),
    )
  const terms = { amount: 3n, timeoutSeconds: 60 }
  const reserved = [
    await reserve((transferId) =>
      withdrawPeerLiquidity(world.ctx, theirs, { peerId: peer.id, transferId, ...terms }),
    ),
    await reserve((transferId) =>
      withdrawAssetLiquidity(world.ctx, theirs, { assetId: spare.id, transferId, ...terms }),
    ),
  ]
  await deletePeer(world.ctx, theirs, peer.id)
  await deleteAsset(world.ctx, theirs, spare.id)
  for (const [first, second] of reserved) {
    assert.ok(first && second)
    await assert.rejects(postWithdrawal(world.ctx, other, first), isRefusal('unknown_withdrawal'))
    await assert.rejects(voidWithdrawal(world.ctx, other, second), isRefusal('unknown_withdrawal'))
    await postWithdrawal(world.ctx, theirs, first)
    await voidWithdrawal(world.ctx, theirs, second)
  }
  for (const account of [peer.id, spare.id, spare.ledger]) {
    const list = (scope: { tenantId: string }) =>
      listAccountTransfers(world.ctx, scope, { account, limit: 20 })
    const { debits, credits } = await list(theirs)
    assert.equal(debits.length + credits.length, 3)
    assert.deepEqual(await list(other), { debits: [], credits: [] })
  }
})

/** A withdrawal's id whose end had an id that is free to choose, in earlier versions: one in four. */
function withChosenEnd(kind: 'post' | 'void'): string {
  let transferId = uuidv7()
  while (!isChosenId(formerTransferId(`withdrawal-${kind}`, transferId))) transferId = uuidv7()
  return transferId
}

test('nobody can take the id under which a reserved withdrawal is posted or voided', async () => {
  const tenant = await world.addTenant()
  for (const kind of ['post', 'void'] as const) {
    const transferId = withChosenEnd(kind)
    const taken = formerTransferId(`withdrawal-${kind}`, transferId)
    const terms = { assetId: tenant.asset.id, amount: 3n }
    await withdrawAssetLiquidity(world.ctx, 'all', { ...terms, transferId, timeoutSeconds: 60 })
    await depositAssetLiquidity(world.ctx, { tenantId: tenant.tenantId }, { ...terms, transferId: taken })
    const end = kind === 'post' ? postWithdrawal : voidWithdrawal
    for (let repeat = 0; repeat < 2; repeat++) await end(world.ctx, 'all', transferId)
    const [withdrawal] = await world.ledger.lookupTransfers([transferId])
    assert.equal(withdrawal?.state, `${kind === 'post' ? 'post' : 'void'}ed`)
  }
})

test('what an earlier version posted or voided is posted or voided', async () => {
  for (const kind of ['post', 'void'] as const) {
    const transferId = withChosenEnd(kind)
    const terms = { assetId: world.usd.id, amount: 3n, timeoutSeconds: 60 }
    await withdrawAssetLiquidity(world.ctx, own(), { ...terms, transferId })
    const id = formerTransferId(`withdrawal-${kind}`, transferId)
    assert.deepEqual(await world.ledger.createTransfers([{ kind, id, pendingId: transferId }]), ['created'])
    await (kind === 'post' ? postWithdrawal : voidWithdrawal)(world.ctx, own(), transferId)
  }
})

test("only withdrawals are posted and voided: an asset's is, a packet's hold and a deposit are not", async () => {
  const transferId = uuidv7()
  const asset = { assetId: world.usd.id, transferId, amount: 5n, timeoutSeconds: 60 }
  await withdrawAssetLiquidity(world.ctx, own(), asset)
  await postWithdrawal(world.ctx, own(), transferId)

  const payment = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  await world.fund(payment)
  const hold = uuidv7()
  await world.ledger.createTransfers([
    {
      kind: 'pending',
      id: hold,
      debitAccountId: payment.id,
      creditAccountId: world.usd.id,
      ledger: world.usd.ledger,
      code: 1,
      amount: 5n,
      timeoutSeconds: 60,
    },
  ])
  const created = await eventOf('outgoing_payment.created', payment.id)
  for (const id of [hold, created.id, uuidv7(), 'not an id']) {
    await assert.rejects(postWithdrawal(world.ctx, own(), id), isRefusal('unknown_withdrawal'))
    await assert.rejects(voidWithdrawal(world.ctx, own(), id), isRefusal('unknown_withdrawal'))
  }
})
