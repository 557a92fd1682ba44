import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { transferCode } from '../ledger/index.ts'
import { parseRate } from '../money/index.ts'
import { type BatchedStatement, type Db, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  findOutgoingPayment,
  getOutgoingPayment,
  listOutgoingPayments,
  type OutgoingPayment,
  processOutgoingPayment,
  withdrawOutgoingPayment,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(async () => {
  for (const { ledger, difference } of await world.audit()) assert.equal(difference, 0n, `ledger ${ledger}`)
  await world.close()
})

/** What the connector does for the payments of a test. */
const setPath = ({ max, rate = '1' }: { max?: bigint; rate?: string }) => {
  const { connector } = world
  connector.prices = { 'USD EUR': rate }
  connector.pathRate = parseRate(rate)
  delete connector.maxPacketAmount
  if (max !== undefined) connector.maxPacketAmount = max
  connector.packetsPerSlice = 1
}
const funded = async (url: string, amounts: Parameters<PaymentWorld['outgoing']>[2] = { debit: 50n }) => {
  const payment = await world.outgoing(world.alice, url, amounts)
  await world.fund(payment)
  return payment
}

interface Ending {
  name: string
  path: Parameters<typeof setPath>[0]
  begin(): Promise<OutgoingPayment>
  /** Which call of the connector is refused for good. */
  refusedCall?: number
  state: string
  sent: bigint
}

const endings: Ending[] = [
  {
    name: 'completed, with what the rate left over',
    path: { rate: '0.91' },
    begin: () => funded(world.remote.addPayment({ assetCode: 'EUR', incomingAmount: 500n }).url, {}),
    state: 'COMPLETED',
    sent: 550n,
  },
  {
    name: 'failed, with a part of it sent',
    path: { max: 10n },
    begin: () => funded(world.remote.addPayment().url),
    refusedCall: 2,
    state: 'FAILED',
    sent: 10n,
  },
  {
    name: 'failed, with nothing sent',
    path: {},
    begin: () => funded(world.remote.addPayment().url),
    refusedCall: 1,
    state: 'FAILED',
    sent: 0n,
  },
]
const begin = async (ending: Ending): Promise<OutgoingPayment> => {
  setPath(ending.path)
  return await ending.begin()
}

/** Takes payments to their ends and withdraws what is left of them, as a wallet does that heard of it. */
async function endAll(payments: ReadonlyMap<string, Ending>): Promise<void> {
  const calls = new Map<string, number>()
  for (let jobs = await world.claim(); jobs.length > 0; jobs = await world.claim())
    for (const job of jobs) {
      const ending = payments.get(job.key)
      assert.ok(ending, 'no other payment is on its way')
      const call = (calls.get(job.key) ?? 0) + 1
      calls.set(job.key, call)
      setPath(ending.path)
      world.connector.sendFailures =
        call === ending.refusedCall ? [{ code: 'refused', message: 'no', retryable: false }] : []
      await world.finish(job, await processOutgoingPayment(world.ctx, job))
    }
  for (const outgoingPaymentId of payments.keys())
    await withdrawOutgoingPayment(world.ctx, 'all', { outgoingPaymentId, timeoutSeconds: 0 })
}

/** The database, and how many items each batched statement had that was sent to it. */
function counted(db: Db): { db: Db; sizes: number[] } {
  const sizes: number[] = []
  const known = new Map<unknown, unknown>()
  const observed = <Item, T>(statement: BatchedStatement<Item, T>): BatchedStatement<Item, T> => {
    if (!known.has(statement))
      known.set(statement, {
        ...statement,
        query: (items: readonly Item[], requestIds: readonly (string | undefined)[]) => {
          sizes.push(items.length)
          return statement.query(items, requestIds)
        },
      })
    return known.get(statement) as BatchedStatement<Item, T>
  }
  return { db: { ...db, batched: (statement, item) => db.batched(observed(statement), item) }, sizes }
}

/** A reader whose look at the ledger comes after `meanwhile`: its rows are from before. */
function slowReader(meanwhile: () => Promise<void> = async () => undefined) {
  const { db, sizes } = counted(world.db)
  const lookupAccounts = async (ids: readonly string[]) => {
    await meanwhile()
    return await world.ledger.lookupAccounts(ids)
  }
  return { ctx: { db, ledger: { ...world.ledger, lookupAccounts } }, sizes }
}

for (const ending of endings)
  test(`a payment that ends while it is read shows what was sent: ${ending.name}`, async () => {
    const payment = await begin(ending)
    const { ctx, sizes } = slowReader(() => endAll(new Map([[payment.id, ending]])))
    const found = await findOutgoingPayment(ctx, 'all', payment.id)
    assert.equal(found?.sentAmount.value, ending.sent)
    // By its id, and once more.
    assert.deepEqual(sizes, [1, 1])
    const [account] = await world.ledger.lookupAccounts([payment.id])
    assert.equal(account?.debitsPosted, payment.debitAmount.value, 'the rest was withdrawn')
    const now = await getOutgoingPayment(world.ctx, 'all', payment.id)
    assert.deepEqual([now.state, now.sentAmount.value], [ending.state, ending.sent])
  })

test('so do those of a list, which is as it was read; all are asked about in one statement', async () => {
  const payments = new Map<string, Ending>()
  for (const ending of [...endings, ...endings]) payments.set((await begin(ending)).id, ending)
  const { ctx, sizes } = slowReader(() => endAll(payments))
  const { items } = await listOutgoingPayments(ctx, 'all', { state: ['SENDING'] }, {})
  const shown = new Map(items.map(({ id, state, sentAmount }) => [id, [state, sentAmount.value]]))
  assert.deepEqual(
    [...payments.keys()].map((id) => shown.get(id)),
    [...payments.values()].map(({ sent }) => ['SENDING', sent]),
  )
  assert.deepEqual(sizes, [6])
})

test('nobody is asked twice about a payment that has anything left, and one that has sent all counts all', async () => {
  setPath({})
  const all = await funded(world.remote.addPayment().url)
  const open = await funded(world.remote.addPayment().url)
  const send = (payment: OutgoingPayment, amount: bigint) =>
    world.ledger.createTransfers([
      {
        kind: 'posted',
        id: uuidv7(),
        debitAccountId: payment.id,
        creditAccountId: world.usd.id,
        ledger: world.usd.ledger,
        code: transferCode.transfer,
        amount,
      },
    ])
  await send(open, 20n)
  const { ctx, sizes } = slowReader()
  assert.equal((await findOutgoingPayment(ctx, 'all', open.id))?.sentAmount.value, 20n)
  assert.deepEqual(sizes, [1])
  await send(all, 50n)
  const { items } = await listOutgoingPayments(ctx, 'all', { state: ['SENDING'] }, {})
  const sentOf = ({ id }: OutgoingPayment) => items.find((item) => item.id === id)?.sentAmount.value
  assert.deepEqual([sentOf(all), sentOf(open)], [50n, 20n])
  assert.deepEqual(sizes, [1, 1])
})
