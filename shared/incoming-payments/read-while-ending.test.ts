import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Asset } from '../assets/index.ts'
import { transferCode } from '../ledger/index.ts'
import { type Db, uuidv7 } from '../platform/index.ts'
import { testClock } from '../testing/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'
import { completeIncomingPayment, recordIncomingProgress } from './change-incoming-payment.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPayment, incomingPaymentAccount } from './model.ts'
import { processIncomingPayment } from './process-incoming-payment.ts'
import { findIncomingPayment } from './read-incoming-payments.ts'

const EXPIRES_MS = 60_000

let node: TestNode
let asset: Asset
let walletAddress: WalletAddress
let mine: { tenantId: string }
before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  ;({ asset, walletAddress } = await createTestAccount(node, { liquidity: 1_000_000n }))
})
after(() => node.close())

const incoming = (value?: bigint) =>
  createIncomingPayment(node, {
    ...mine,
    walletAddress,
    initiatedBy: 'ADMIN',
    expiresAt: node.clock.fromNow(EXPIRES_MS),
    ...(value !== undefined && {
      incomingAmount: { value, assetCode: asset.code, assetScale: asset.scale },
    }),
  })

/** Its money, all of which is recorded. */
async function credit(payment: IncomingPayment, amount: bigint): Promise<void> {
  await node.ledger.createAccounts([incomingPaymentAccount(payment)])
  const transfer = {
    kind: 'posted',
    id: uuidv7(),
    debitAccountId: asset.id,
    creditAccountId: payment.id,
    ledger: asset.ledger,
    code: transferCode.transfer,
    amount,
  } as const
  assert.deepEqual(await node.ledger.createTransfers([transfer]), ['created'])
  const [account] = await node.ledger.lookupAccounts([payment.id])
  await recordIncomingProgress(node, {
    incomingPaymentId: payment.id,
    receivedAmount: account?.creditsPosted ?? 0n,
  })
}

/** The next step of a payment, so long after now. */
const process = (payment: IncomingPayment, afterMs: number) =>
  processIncomingPayment({ ...node, clock: testClock(node.clock.fromNow(afterMs)) }, { key: payment.id })

/** A reader that gets the ledger's answer of before `meanwhile`, and the row of after it. */
function slowReader(meanwhile: () => Promise<unknown> = async () => undefined) {
  let lookups = 0
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const db: Db = {
    ...node.db,
    batched: async (statement, item) => {
      await promise
      return await node.db.batched(statement, item)
    },
  }
  const lookupAccounts = async (ids: readonly string[]) => {
    const accounts = await node.ledger.lookupAccounts(ids)
    if (++lookups === 1) await meanwhile().then(() => resolve(), reject)
    return accounts
  }
  return { ctx: { db, ledger: { ...node.ledger, lookupAccounts } }, lookups: () => lookups }
}

const endings: {
  name: string
  value?: bigint
  end(payment: IncomingPayment): Promise<unknown>
  state: string
}[] = [
  { name: 'it has its amount', value: 7n, end: async () => undefined, state: 'COMPLETED' },
  {
    name: 'its client wants no more',
    end: ({ id }) => completeIncomingPayment(node, mine, id),
    state: 'COMPLETED',
  },
  { name: 'it expires', value: 8n, end: (payment) => process(payment, EXPIRES_MS), state: 'EXPIRED' },
]
for (const { name, value, end, state } of endings)
  test(`a payment that ends while it is read shows all that it got: ${name}`, async () => {
    const payment = await incoming(value)
    await credit(payment, 3n)
    const { ctx } = slowReader(async () => {
      await credit(payment, 4n)
      await end(payment)
    })
    const found = await findIncomingPayment(ctx, mine, payment.id)
    assert.deepEqual([found?.state, found?.receivedAmount.value], [state, 7n])
  })

test('the ledger is asked once about a payment that is open, and about one whose end was told', async () => {
  const payment = await incoming(7n)
  await credit(payment, 3n)
  const open = slowReader()
  assert.equal((await findIncomingPayment(open.ctx, mine, payment.id))?.receivedAmount.value, 3n)
  assert.equal(open.lookups(), 1)
  await credit(payment, 4n)
  await process(payment, ANNOUNCE_GRACE_MS)
  const told = slowReader()
  const found = await findIncomingPayment(told.ctx, mine, payment.id)
  assert.deepEqual([found?.state, found?.receivedAmount.value], ['COMPLETED', 7n])
  assert.equal(told.lookups(), 1)
})
