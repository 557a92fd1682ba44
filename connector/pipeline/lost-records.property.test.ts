import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ANNOUNCE_GRACE_MS,
  completeIncomingPayment,
  getIncomingPayment,
  processIncomingPayment,
  reconcileIncomingPayments,
} from '../../shared/incoming-payments/index.ts'
import { auditLedger, type Ledger } from '../../shared/ledger/index.ts'
import { type Clock, Fault } from '../../shared/platform/index.ts'
import { createTestDatabase, waitFor } from '../../shared/testing/index.ts'
import { findWithdrawals } from '../../shared/webhooks/index.ts'
import { createRandom, type Random, seedOf } from '../fuzz/random.ts'
import { type IlpPrepare, type IlpReply, isFulfill } from '../packet/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { postPrepare } from '../testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from '../testing/test-node.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FAST_CHECK_SEED=${seed})`)

const PACKETS = 400
const RECEIVERS = 16
const AMOUNT_MAX = 50

/** What a dependency that fails does with a call: nothing, all of it without saying so, or what it should. */
type Failure = 'before' | 'after' | undefined
const away = (code: 'ledger_outcome_unknown' | 'database_unavailable') => new Fault(code, { retryable: true })

/** Calls end well, are never made, or are made and their answer is lost. */
async function risk<T>(failure: Failure, fault: Fault, call: () => Promise<T>): Promise<T> {
  if (failure === 'before') throw fault
  const result = await call()
  if (failure === 'after') throw fault
  return result
}

const choose = (random: Random, percent: number): Failure =>
  random.below(100) >= percent ? undefined : random.below(2) === 0 ? 'before' : 'after'

interface Faults {
  ledger: () => Failure
  /** By incoming payment. */
  record: (id: string) => Failure
}

async function startFaultyNode(connectionString: string, faults: Faults): Promise<TestNode> {
  const faulty = (ledger: Ledger): Ledger => ({
    ...ledger,
    createTransfers: (events) =>
      risk(faults.ledger(), away('ledger_outcome_unknown'), () => ledger.createTransfers(events)),
  })
  return await startTestNode({
    connectionString,
    change: (ctx) => ({
      ledger: faulty(ctx.ledger),
      writeProgress: (progress) =>
        risk(faults.record(progress.incomingPaymentId), away('database_unavailable'), () =>
          ctx.writeProgress(progress),
        ),
    }),
  })
}

interface Sent {
  receiver: TestReceiver
  amount: bigint
  /** Answers to the same bytes; `undefined`: no answer of ILP. */
  replies: (IlpReply | undefined)[]
}

/** One packet of the peer; some arrive twice at the same time, as a sender repeats that lost an answer. */
async function send(node: TestNode, token: string, receiver: TestReceiver, random: Random): Promise<Sent> {
  const amount = BigInt(1 + random.below(AMOUNT_MAX))
  const copies = random.below(10) < 3 ? 2 : 1
  const replies: Sent['replies'] = []
  const post = async (prepare: IlpPrepare) => {
    const answers = Array.from({ length: copies }, () =>
      postPrepare(node.url, token, prepare).catch(() => undefined),
    )
    replies.push(...(await Promise.all(answers)))
    const [reply] = replies
    if (!reply) throw new Error('no answer of ILP')
    return reply
  }
  const about = {
    amount,
    minimumAmount: 0n,
    expiresAt: new Date(Date.now() + 20_000),
    frames: [],
    fulfillable: true,
  }
  await exchangePacket(openConnection(receiver), post, about).catch(() => undefined)
  return { receiver, amount, replies }
}

const isPaid = ({ replies }: Sent): boolean => replies.some((reply) => reply && isFulfill(reply))
const sumOf = (packets: readonly Sent[]): bigint => packets.reduce((sum, { amount }) => sum + amount, 0n)

/** What the wallet is told of a payment, in all. */
async function announced(node: TestNode, id: string): Promise<bigint> {
  const clock: Clock = {
    now: () => new Date(Date.now() + ANNOUNCE_GRACE_MS),
    nowMs: () => Date.now() + ANNOUNCE_GRACE_MS,
    fromNow: (ms) => new Date(Date.now() + ANNOUNCE_GRACE_MS + ms),
  }
  // Twice, because a queue may.
  for (let run = 0; run < 2; run++) await processIncomingPayment({ ...node.node, clock }, { key: id })
  const withdrawals = await findWithdrawals(node.node.db, {
    incomingPaymentId: id,
    types: ['incoming_payment.completed', 'incoming_payment.expired'],
  })
  assert.ok(withdrawals.length <= 1)
  return withdrawals.reduce((sum, { amount }) => sum + amount, 0n)
}

for (const end of ['the faults end', 'the connector ends, and another one begins'] as const)
  test(`F2: ${PACKETS} packets in flight, while postings lose their answers and records fail behind them, until ${end}: fulfilled, posted, recorded and announced are one sum`, async () => {
    const random = createRandom(seedOf(seed, end.length))
    const database = await createTestDatabase('resources')
    let isOver = false
    const hopeless = new Set<string>()
    let node = await startFaultyNode(database.connectionString, {
      ledger: () => (isOver ? undefined : choose(random, 30)),
      record: (id) => (isOver ? undefined : hopeless.has(id) ? 'before' : choose(random, 60)),
    })
    try {
      const usd = await node.asset('USD', 2)
      const payer = await node.peer(usd, { address: 'test.a', liquidity: 10n ** 9n })
      // Half of them end with an amount that some of their packets reach; a third of all gets no record through.
      const receivers = await Promise.all(
        Array.from({ length: RECEIVERS }, (_, index) =>
          node.incomingPayment(usd, index % 2 === 0 ? undefined : BigInt(100 + random.below(300))),
        ),
      )
      for (const [index, { payment }] of receivers.entries()) if (index % 3 === 0) hopeless.add(payment.id)

      const packets = await Promise.all(
        Array.from({ length: PACKETS }, (_, index) =>
          send(node, payer.token, receivers[index % RECEIVERS] as TestReceiver, random),
        ),
      )
      const paid = packets.filter(isPaid)
      assert.ok(paid.length > 0)
      // One answer to the same bytes, however often they come.
      for (const { replies } of packets) {
        const given = replies.filter((reply) => reply !== undefined).map(isFulfill)
        assert.equal(new Set(given).size <= 1, true)
      }

      if (end === 'the faults end') isOver = true
      else {
        await node.close()
        isOver = true
        node = await startFaultyNode(database.connectionString, {
          ledger: () => undefined,
          record: () => undefined,
        })
        await reconcileIncomingPayments(node.node)
      }
      assert.equal(await node.balance(payer.id), 10n ** 9n - sumOf(paid), 'both nodes count the same')
      for (const receiver of receivers) {
        const { id, incomingAmount } = receiver.payment
        const mine = sumOf(paid.filter((packet) => packet.receiver === receiver))
        assert.equal(await node.credited(id).catch(() => 0n), mine)
        // The packet that reaches the amount is the last one.
        if (incomingAmount !== undefined) assert.ok(mine < incomingAmount.value + BigInt(AMOUNT_MAX))
        if (incomingAmount !== undefined && mine >= incomingAmount.value) {
          const state = async () => (await getIncomingPayment(node.node, 'all', id)).state
          await waitFor(async () => (await state()) === 'COMPLETED')
        } else await completeIncomingPayment(node.node, 'all', id)
        assert.equal((await getIncomingPayment(node.node, 'all', id)).receivedAmount.value, mine)
        assert.equal(await announced(node, id), mine, 'the wallet is told of what was fulfilled')
      }
    } finally {
      await node.close()
    }
    assert.deepEqual(await auditLedger(database.connectionString), [])
    await database.drop()
  })
