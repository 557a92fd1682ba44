import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Asset } from '../assets/index.ts'
import { transferCode } from '../ledger/index.ts'
import { type Db, sql, uuidv7 } from '../platform/index.ts'
import { testClock } from '../testing/index.ts'
import { createTestAccount, createTestNode, type TestNode } from '../testing/node.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'
import { recordIncomingProgress } from './change-incoming-payment.ts'
import { createIncomingPayment } from './create-incoming-payment.ts'
import { findForPackets } from './local-credits.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPayment, incomingPaymentAccount, LATE_CREDIT_MS } from './model.ts'
import { processIncomingPayment } from './process-incoming-payment.ts'
import { findIncomingPayment } from './read-incoming-payments.ts'
import { withdrawIncomingPayment } from './withdraw-incoming-payment.ts'

const EXPIRES_MS = 1_000
const AMOUNT = 7n
/** Interleavings at once. */
const PARALLEL = 8

let node: TestNode
let asset: Asset
let walletAddress: WalletAddress
let mine: { tenantId: string }
before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  ;({ asset, walletAddress } = await createTestAccount(node, { liquidity: 10n ** 18n }))
})
after(() => node.close())

type Context = Parameters<typeof processIncomingPayment>[0]

/** The context whose every call waits for `step` first. What happens inside of a transaction is one step: others cannot see into it. */
function stepped(ctx: Context, step: () => Promise<void>): Context {
  const after = async <T>(call: () => Promise<T>): Promise<T> => {
    await step()
    return await call()
  }
  const { db, ledger } = ctx
  const steppedDb: Db = {
    many: (map, query) => after(() => db.many(map, query)),
    maybe: (map, query) => after(() => db.maybe(map, query)),
    one: (map, query) => after(() => db.one(map, query)),
    execute: (query) => after(() => db.execute(query)),
    batched: (statement, item) => after(() => db.batched(statement, item)),
    tx: (work) => after(() => db.tx(work)),
  }
  return {
    ...ctx,
    db: steppedDb,
    ledger: {
      ...ledger,
      createAccounts: (items) => after(() => ledger.createAccounts(items)),
      createTransfers: (items) => after(() => ledger.createTransfers(items)),
      lookupAccounts: (ids) => after(() => ledger.lookupAccounts(ids)),
      lookupTransfers: (ids) => after(() => ledger.lookupTransfers(ids)),
    },
  }
}

/** A connector that has the packet: it reads the payment, and credits what it has read as open. `false`: nothing was credited. */
function packetFor(payment: IncomingPayment) {
  const connectorId = uuidv7()
  let isOpen = false
  return {
    async decide() {
      const found = await findForPackets(node, payment.id, connectorId)
      isOpen = found?.state === 'PENDING' || found?.state === 'PROCESSING'
    },
    async credit(): Promise<boolean> {
      if (!isOpen) return false
      await node.ledger.createAccounts([incomingPaymentAccount(payment)])
      const [status] = await node.ledger.createTransfers([
        {
          kind: 'posted',
          id: uuidv7(),
          debitAccountId: asset.id,
          creditAccountId: payment.id,
          ledger: asset.ledger,
          code: transferCode.transfer,
          amount: AMOUNT,
        },
      ])
      if (status === 'credit_account_already_closed') return false
      assert.equal(status, 'created')
      await recordIncomingProgress(node, { incomingPaymentId: payment.id, receivedAmount: AMOUNT })
      return true
    },
  }
}

/**
 * A payment expires, is looked at after the grace and once more later; before its step `decideAt` a packet is decided, before
 * `creditAt` its money moves. Returns how many steps there were and what was credited.
 */
async function expire(at: { decideAt: number; creditAt: number }) {
  const clock = testClock(node.clock.now())
  const payment = await createIncomingPayment(node, {
    ...mine,
    walletAddress,
    initiatedBy: 'ADMIN',
    expiresAt: clock.fromNow(EXPIRES_MS),
  })
  const packet = packetFor(payment)
  let steps = 0
  let credited = 0n
  const ctx = stepped({ ...node, clock }, async () => {
    const step = steps++
    if (step === at.decideAt) await packet.decide()
    if (step === at.creditAt && (await packet.credit())) credited += AMOUNT
  })
  for (const waitMs of [EXPIRES_MS, ANNOUNCE_GRACE_MS, LATE_CREDIT_MS, LATE_CREDIT_MS]) {
    clock.advance(waitMs)
    await processIncomingPayment(ctx, { key: payment.id })
    // The end is told with all of it: the later looks are for what no ledger of today lets happen.
    if (waitMs === ANNOUNCE_GRACE_MS) {
      const told = (await endsOf(payment)).reduce((sum, { amount }) => sum + amount, 0n)
      assert.equal(told, credited, JSON.stringify(at))
    }
  }
  return { payment, steps, credited }
}

/** I5, I6: what was credited was told, once and in one event; a payment that has money is there, and gives it out. */
async function check({ payment, credited }: { payment: IncomingPayment; credited: bigint }, about: string) {
  const [account] = await node.ledger.lookupAccounts([payment.id])
  assert.equal(account?.creditsPosted ?? 0n, credited, about)
  const expected = credited > 0n ? [{ type: 'incoming_payment.expired', amount: credited }] : []
  assert.deepEqual(await endsOf(payment), expected, about)
  const found = await findIncomingPayment(node, mine, payment.id)
  assert.equal(found?.receivedAmount.value, credited > 0n ? credited : undefined, about)
  if (credited === 0n) return
  await withdrawIncomingPayment(node, mine, { incomingPaymentId: payment.id, timeoutSeconds: 0 })
  const [emptied] = await node.ledger.lookupAccounts([payment.id])
  assert.deepEqual([emptied?.debitsPosted, emptied?.debitsPending], [credited, 0n], about)
}

const endsOf = ({ id }: IncomingPayment) =>
  node.db.many(
    (row) => ({ type: row.type as string, amount: row.withdrawal_amount as bigint }),
    sql`select type, withdrawal_amount from webhook_events
      where incoming_payment_id = ${id} and type <> 'incoming_payment.created' order by created_at, id`,
  )

test('F26: a packet that is decided and credited between any two steps of an expiry is announced whole, or nothing moves', async () => {
  const never = Number.POSITIVE_INFINITY
  const { steps, ...untouched } = await expire({ decideAt: never, creditAt: never })
  await check(untouched, 'without packets')
  assert.ok(steps > 8, `${steps} steps`)
  // A credit makes the end longer: more steps than it takes without.
  const last = steps + 8
  const interleavings: { decideAt: number; creditAt: number }[] = []
  for (let decideAt = 0; decideAt < last; decideAt++)
    for (let creditAt = decideAt; creditAt < last; creditAt++) interleavings.push({ decideAt, creditAt })
  const count = { credited: 0, refused: 0 }
  const worker = async () => {
    for (let at = interleavings.shift(); at; at = interleavings.shift()) {
      const outcome = await expire(at)
      count[outcome.credited > 0n ? 'credited' : 'refused']++
      await check(outcome, JSON.stringify(at))
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  assert.ok(count.credited > steps && count.refused > steps, JSON.stringify(count))
})
