import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getIncomingPayment } from '../../shared/incoming-payments/index.ts'
import type { TransferEvent } from '../../shared/ledger/index.ts'
import { Fault } from '../../shared/platform/index.ts'
import { createTestDatabase, waitFor } from '../../shared/testing/index.ts'
import { type IlpPrepare, isFulfill, isReject } from '../packet/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { postPrepare } from '../testing/test-hop.ts'
import { startTestNode, type TestReceiver } from '../testing/test-node.ts'

test('F25: a credit that nobody can ask about keeps its room for as long as it may still arrive, and counts then', async () => {
  const database = await createTestDatabase('resources')
  /** The ledger has it and does not say so: it carries it out later. */
  const late: (readonly TransferEvent[])[] = []
  const node = await startTestNode({
    connectionString: database.connectionString,
    change: ({ ledger }) => ({
      ledger: {
        ...ledger,
        async createTransfers(events) {
          if (!events.some((event) => 'amount' in event && event.amount === 60n))
            return await ledger.createTransfers(events)
          if (late.push(events) === 1) throw new Fault('ledger_outcome_unknown', { retryable: true })
          throw new TypeError('a ledger that says something unheard of')
        },
      },
    }),
  })
  try {
    const usd = await node.asset('USD', 2)
    const from = await node.peer(usd, { address: 'test.a', liquidity: 1_000n })
    const send = async (receiver: TestReceiver, amount: bigint, onSend?: (prepare: IlpPrepare) => void) => {
      const post = (prepare: IlpPrepare) => {
        onSend?.(prepare)
        return postPrepare(node.url, from.token, prepare)
      }
      const { reply } = await exchangePacket(openConnection(receiver), post, {
        amount,
        minimumAmount: 0n,
        expiresAt: new Date(Date.now() + 30_000),
        frames: [],
        fulfillable: true,
      })
      return reply
    }
    const receiver = await node.incomingPayment(usd, 100n)
    const state = async () => {
      const payment = await getIncomingPayment(node.node, 'all', receiver.payment.id)
      return [payment.state, payment.receivedAmount.value]
    }

    let prepare: IlpPrepare | undefined
    await assert.rejects(
      send(receiver, 60n, (sent) => {
        prepare = sent
      }),
      /HTTP 500/,
    )
    const again = () => postPrepare(node.url, from.token, prepare!)
    // It reserves no more, and a Reject would be denied by what still happens.
    for (let repeat = 0; repeat < 5; repeat++) await assert.rejects(again(), /HTTP 500/)
    assert.equal(late.length, 2)
    assert.ok(isFulfill(await send(receiver, 40n)))
    // It may be full.
    const refused = await send(receiver, 10n)
    assert.ok(isReject(refused) && refused.code === 'F99')
    assert.deepEqual(await state(), ['PROCESSING', 40n])
    const [first] = late
    assert.deepEqual(await node.node.ledger.createTransfers(first!), ['created'])
    await waitFor(async () => (await state())[0] === 'COMPLETED', 20_000)
    assert.deepEqual(await state(), ['COMPLETED', 100n])
    assert.ok(isFulfill(await again()))
    assert.deepEqual(await state(), ['COMPLETED', 100n])
  } finally {
    await node.close()
    await database.drop()
  }
})
