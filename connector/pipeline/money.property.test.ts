import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { auditLedger, type Ledger } from '../../shared/ledger/index.ts'
import { Fault } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import {
  createReject,
  ILDCP_DESTINATION,
  type IlpPrepare,
  type IlpReply,
  isFulfill,
} from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import {
  fulfilWithData,
  type HopAnswer,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from '../testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from '../testing/test-node.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

/** What happens to calls of the ledger, one after the other; empty: nothing. */
let ledgerFaults: ('none' | 'before' | 'after')[] = []
const unknown = () => new Fault('ledger_outcome_unknown', { retryable: true })
const faulty = (ledger: Ledger): Ledger => ({
  ...ledger,
  async createTransfers(events) {
    const fault = ledgerFaults.shift() ?? 'none'
    if (fault === 'before') throw unknown()
    const statuses = await ledger.createTransfers(events)
    if (fault === 'after') throw unknown()
    return statuses
  },
})

const hopAnswers = {
  fulfil: fulfilWithData,
  reject: () => createReject('F99', { triggeredBy: 'test.hop' }),
  wrong: () => ({ fulfillment: Buffer.alloc(32, 3), data: Buffer.alloc(0) }),
  break: () => undefined,
  error: () => ({ status: 503, body: Buffer.alloc(0) }),
} satisfies Record<string, (prepare: IlpPrepare) => HopAnswer>
type HopBehaviour = keyof typeof hopAnswers

let database: TestDatabase
let node: TestNode
let hop: TestHop
let cents: LedgerAsset
let mills: LedgerAsset

before(async () => {
  database = await createTestDatabase('resources')
  hop = await startTestHop((prepare) =>
    // A hop that lost a packet is asked whether it knows repeats, by a packet without money.
    prepare.destination === ILDCP_DESTINATION
      ? createReject('F00', { triggeredBy: 'test.hop', message: 'not here' })
      : hopAnswers[prepare.destination.split('.')[2] as HopBehaviour](prepare),
  )
  node = await startTestNode({
    connectionString: database.connectionString,
    change: (ctx) => ({ ledger: faulty(ctx.ledger) }),
  })
  cents = await node.asset('USD', 2, 100_000n)
  mills = await node.asset('USD', 3, 100_000n)
})

after(async () => {
  await node.close()
  await hop.close()
  await database.drop()
})

interface Step {
  to: 'peer' | 'converted' | 'payment' | 'invoice'
  hop: HopBehaviour
  amount: bigint
  repeats: number
}

const steps: fc.Arbitrary<Step> = fc.record({
  to: fc.constantFrom('peer', 'converted', 'payment', 'invoice'),
  hop: fc.constantFrom('fulfil', 'fulfil', 'reject', 'wrong', 'break', 'error'),
  amount: fc.bigInt(1n, 200n),
  repeats: fc.integer({ min: 1, max: 3 }),
})

let runs = 0

/** Balances before and after, and what they must have become by the answers alone. */
test('whatever happens on the way, balances are what the answers say, and the books balance', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 5, maxLength: 40 }),
      fc.array(fc.constantFrom('none', 'none', 'none', 'before', 'after'), { maxLength: 60 }),
      async (packets, faults) => {
        const run = ++runs
        // Not enough for all packets of a long run: some are refused for lack of money.
        const from = await node.peer(cents, { address: `test.from${run}`, liquidity: 2_000n })
        const peer = await node.peer(cents, { address: `test.peer${run}`, endpoint: hop.url })
        const converted = await node.peer(mills, { address: `test.converted${run}`, endpoint: hop.url })
        const payment = await node.incomingPayment(cents)
        const invoice = await node.incomingPayment(mills, 1_500n)
        const receivers: Partial<Record<Step['to'], TestReceiver>> = { payment, invoice }
        ledgerFaults = [...faults]

        const moved = { peer: 0n, converted: 0n, payment: 0n, invoice: 0n }
        await Promise.all(
          packets.map(async (packet) => {
            const receiver = receivers[packet.to]
            const prepare = receiver
              ? await streamPrepare(receiver, packet.amount)
              : testPrepare(`test.${packet.to}${run}.${packet.hop}`, { amount: packet.amount })
            const replies = await Promise.all(
              Array.from({ length: packet.repeats }, () => postPrepare(node.url, from.token, prepare)),
            )
            const answers = new Set(replies.map((reply) => (isFulfill(reply) ? 'fulfil' : reply.code)))
            // Once forwarded a packet has one answer; one that was refused for lack of money may find some a moment later.
            if (answers.has('fulfil'))
              for (const code of answers) assert.ok(['fulfil', 'T04', 'F99'].includes(code), code)
            if (answers.has('fulfil')) moved[packet.to] += packet.amount
          }),
        )
        ledgerFaults = []

        const paid = moved.peer + moved.converted + moved.payment + moved.invoice
        // Holds of rejected packets may be released in the background.
        await waitFor(async () => (await node.balance(from.id)) === 2_000n - paid)
        assert.equal(await node.balance(peer.id), moved.peer)
        assert.equal(await node.balance(converted.id), moved.converted * 10n)
        assert.equal(await creditedOrNothing(payment), moved.payment)
        const invoiced = await creditedOrNothing(invoice)
        assert.equal(invoiced, moved.invoice * 10n)
        // Only the packet that reaches the amount may pass it.
        assert.ok(invoiced < 1_500n + 2_000n)
      },
    ),
    { seed, numRuns: 12 },
  )
  assert.deepEqual(await auditLedger(database.connectionString), [])
})

async function creditedOrNothing(receiver: TestReceiver): Promise<bigint> {
  const [account] = await node.node.ledger.lookupAccounts([receiver.payment.id])
  return account?.creditsPosted ?? 0n
}

/** A packet of a STREAM payment that nobody has sent yet. */
async function streamPrepare(receiver: TestReceiver, amount: bigint): Promise<IlpPrepare> {
  let made: IlpPrepare | undefined
  const keep = async (prepare: IlpPrepare): Promise<IlpReply> => {
    made = prepare
    return createReject('T00', { triggeredBy: '' })
  }
  await exchangePacket(openConnection(receiver), keep, {
    amount,
    minimumAmount: 0n,
    expiresAt: new Date(Date.now() + 20_000),
    frames: [],
    fulfillable: true,
  })
  assert.ok(made)
  return made
}
