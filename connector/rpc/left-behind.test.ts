import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SendInput } from '../../shared/connector-client/index.ts'
import { completeIncomingPayment, getIncomingPayment } from '../../shared/incoming-payments/index.ts'
import type { Ledger, TransferEvent } from '../../shared/ledger/index.ts'
import { rate } from '../../shared/money/index.ts'
import { Fault, sql, systemClock } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import type { ConnectorContext } from '../app.ts'
import { createReject } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { startTestHop } from '../testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from '../testing/test-node.ts'

let databases: TestDatabase[]
let payee: TestNode
/** Of the payer's node: what makes its things, and comes after each connector that dies. */
let next: TestNode
let usd: LedgerAsset
let millis: LedgerAsset
let millisThere: LedgerAsset
let usdThere: LedgerAsset

before(async () => {
  databases = await Promise.all([createTestDatabase('resources'), createTestDatabase('resources')])
  payee = await startTestNode({ connectionString: databases[1]!.connectionString, ilpAddress: 'test.payee' })
  next = await startTestNode({ connectionString: databases[0]!.connectionString })
  // The same currency in other units needs no rates.
  ;[usd, millis, usdThere, millisThere] = await Promise.all([
    next.asset('USD', 2),
    next.asset('USD', 3, 1_000_000n),
    payee.asset('USD', 2),
    payee.asset('USD', 3),
  ])
})
after(async () => {
  await next.close()
  await payee.close()
  await Promise.all(databases.map((database) => database.drop()))
})

type Death = 'before it holds' | 'when it has held' | 'when it is to post' | 'when it has posted'
const isHold = (events: readonly TransferEvent[]) => events.some(({ kind }) => kind === 'pending')
const isEnd = (events: readonly TransferEvent[]) =>
  events.some(({ kind }) => kind === 'post' || kind === 'void')

/** A ledger to which a connector says nothing more once it has died, nor hears of anything. */
function mortal(ledger: Ledger, death: Death, holdSeconds?: number) {
  const died = Promise.withResolvers<void>()
  const never = Promise.withResolvers<never>()
  never.promise.catch(() => undefined)
  let isReleased = false
  const closed = () => new Fault('ledger_closed', { retryable: false })
  const die = () => {
    died.resolve()
    return never.promise
  }
  const shortened = (events: readonly TransferEvent[]) =>
    events.map((event) =>
      event.kind === 'pending' && holdSeconds ? { ...event, timeoutSeconds: holdSeconds } : event,
    )
  return {
    died: died.promise,
    release() {
      isReleased = true
      never.reject(closed())
    },
    ledger: {
      ...ledger,
      async createTransfers(events: readonly TransferEvent[]) {
        if (isReleased) throw closed()
        if (death === 'before it holds' && isHold(events)) return await die()
        if (death === 'when it is to post' && isEnd(events)) return await die()
        const statuses = await ledger.createTransfers(shortened(events))
        if (death === 'when it has held' && isHold(events)) return await die()
        if (death === 'when it has posted' && isEnd(events)) return await die()
        return statuses
      },
    },
  }
}

const graves: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const bury of graves.splice(0)) await bury()
})

let count = 0
interface Leaving {
  death?: Death
  holdSeconds?: number
  /** Of the peer, and of the receiver. */
  inMillis?: boolean
  endpoint?: string
  change?: (ctx: ConnectorContext) => Partial<ConnectorContext>
  /** What happens before it begins. */
  before?: (input: SendInput) => Promise<unknown>
  /** False: as long as its call lasts. */
  untilDead?: boolean
}

/** A payment of 500 in packets of 100, whose connector dies on its way. */
async function leave(options: Leaving = {}) {
  const { death = 'when it is to post', holdSeconds, inMillis = false, endpoint = payee.url } = options
  let life: ReturnType<typeof mortal> | undefined
  const address = `test.payee`
  const name = `test.node${++count}`
  const [here, there, unit] = inMillis ? [millis, millisThere, 10n] : [usd, usdThere, 1n]
  const { token } = await payee.peer(there, { address: name, liquidity: 100_000n })
  const dead = await startTestNode({
    connectionString: databases[0]!.connectionString,
    change(ctx) {
      life = mortal(ctx.ledger, death, holdSeconds)
      return { ledger: life.ledger, ...options.change?.(ctx) }
    },
  })
  // Only this one is there, so that packets of each test go its way.
  await next.node.db.execute(sql`delete from peers`)
  const peer = await dead.peer(here, { address, endpoint, outgoingToken: token })
  await waitFor(
    () =>
      next.connector.directory.findPeer(peer.id) &&
      next.connector.directory.findRoute({
        tenantId: next.config.operatorTenantId,
        destination: `${address}.x`,
        assetId: usd.id,
      })?.id === peer.id,
  )
  const receiver = await payee.incomingPayment(there)
  const id = await next.fundedPayment(usd, 1_000n)
  const input: SendInput = {
    outgoingPaymentId: id,
    tenantId: next.config.operatorTenantId,
    sourceAsset: usd,
    destination: { ...receiver, assetCode: 'USD', assetScale: inMillis ? 3 : 2 },
    debitAmount: 1_000n,
    receiveAmount: 500n * unit,
    sentAmount: 0n,
    deliveredAmount: 0n,
    minRate: rate(99n * unit, 100n),
    lowRate: rate(unit, 1n),
    highRate: rate(1_000_001n * unit, 1_000_000n),
    maxPacketAmount: 100n,
    budgetMs: 4_000,
  }
  await options.before?.(input)
  const sending = dead.client.send({ ...input, budgetMs: 300 }).catch(() => undefined)
  await (options.untilDead === false ? sending : life!.died)
  // All of its packets, not the first one only.
  if (death === 'when it has held') await waitFor(async () => (await next.balance(id)) === 500n)
  let isBuried = false
  const bury = async () => {
    if (isBuried) return
    isBuried = true
    life!.release()
    await sending
    await dead.close()
  }
  graves.push(bury)
  return {
    id,
    input,
    receiver,
    kept: () => next.node.db.execute(sql`select from kept_packets where outgoing_payment_id = ${id}`),
    bury,
  }
}

const arrived = ({ payment }: TestReceiver, amount: bigint) =>
  waitFor(async () => (await payee.credited(payment.id).catch(() => 0n)) >= amount)
const done = (unit: bigint) => ({
  status: 'done',
  sentAmount: 500n,
  deliveredAmount: 500n * unit,
  packets: { sent: 5, fulfilled: 5, rejected: 0 },
})

describe('what a connector left behind', () => {
  for (const inMillis of [false, true])
    for (const death of ['when it is to post', 'when it has posted', 'when it has held'] as const)
      test(`${death}, in ${inMillis ? 'two assets' : 'one asset'}: the next one asks for it, and counts it as it arrived`, async () => {
        const unit = inMillis ? 10n : 1n
        const { id, input, receiver, kept, bury } = await leave({ death, inMillis })
        if (death !== 'when it has held') await arrived(receiver, 500n * unit)
        assert.deepEqual(await next.client.send(input), done(unit))
        assert.equal(await payee.credited(receiver.payment.id), 500n * unit)
        assert.deepEqual([await next.balance(id), await kept()], [500n, 0])
        await bury()
        // The dead one says what it had to say, and nothing changes.
        assert.deepEqual([await next.balance(id), await kept()], [500n, 0])
        assert.equal(await payee.credited(receiver.payment.id), 500n * unit)
      })

  test('whose hold has ended is posted late, and its payment goes on from there', async () => {
    const { id, input, receiver, bury } = await leave({ holdSeconds: 1 })
    await arrived(receiver, 500n)
    await sleep(1_200)
    assert.deepEqual(await next.client.send(input), done(1n))
    assert.equal(await next.balance(id), 500n)
    assert.ok(next.connector.counters.read().late_postings >= 5)
    await bury()
  })

  test('is asked for by who only wants to know where the payment stands', async () => {
    const { id, input, receiver, kept, bury } = await leave()
    await arrived(receiver, 500n)
    assert.deepEqual(await next.client.settle({ outgoingPaymentId: id, budgetMs: 4_000 }), {
      status: 'unknown',
    })
    // The ledger has it by now, and so have the records.
    assert.deepEqual([await next.balance(id), await kept()], [500n, 0])
    assert.equal(next.sent.get(id)?.deliveredAmount, 500n)
    assert.deepEqual(await next.client.send(input), done(1n))
    await bury()
  })

  test('and was rejected is given back', async () => {
    const { id, input, receiver, kept, bury } = await leave({ death: 'when it has held' })
    await completeIncomingPayment(payee.node, 'all', receiver.payment.id)
    // Known states live half a second.
    await sleep(600)
    const result = await next.client.send(input)
    assert.deepEqual([result.status, result.sentAmount, await next.balance(id)], ['failed', 0n, 1_000n])
    assert.equal(await kept(), 0)
    const { receivedAmount } = await getIncomingPayment(payee.node, 'all', receiver.payment.id)
    assert.equal(receivedAmount.value, 0n)
    await bury()
  })

  test('before its money was held is no more', async () => {
    const { id, input, receiver, kept, bury } = await leave({ death: 'before it holds' })
    await waitFor(async () => (await kept()) > 0)
    assert.deepEqual(await next.client.send(input), done(1n))
    assert.deepEqual([await next.balance(id), await kept()], [500n, 0])
    assert.equal(await payee.credited(receiver.payment.id), 500n)
    await bury()
  })

  test('at a peer that would take it for another packet is not asked for: its hold ends by itself', async () => {
    // It answers questions, and says no word about repeats.
    const hop = await startTestHop(() => createReject('F02', { triggeredBy: 'test.payee', message: '' }))
    try {
      const { id, input, kept, bury } = await leave({ endpoint: hop.url, death: 'when it has held' })
      assert.deepEqual(await kept(), 5)
      const { status, sentAmount } = await next.client.send({ ...input, budgetMs: 1_500 })
      assert.deepEqual([status, sentAmount, await kept()], ['progress', 0n, 0])
      assert.deepEqual(
        hop.requests.map(({ prepare }) => prepare.amount),
        [0n],
      )
      assert.equal(await next.balance(id), 500n)
      await bury()
    } finally {
      await hop.close()
    }
  })

  test('does not leave when it cannot be kept, and its money is free at once', async () => {
    const hop = await startTestHop(() => undefined)
    const failing = await startTestNode({
      connectionString: databases[0]!.connectionString,
      change: (ctx) => ({
        kept: {
          ...ctx.kept,
          keep: () => Promise.reject(new Fault('database_unavailable', { retryable: true })),
        },
      }),
    })
    try {
      await next.node.db.execute(sql`delete from peers`)
      await failing.peer(usd, { address: 'test.payee', endpoint: hop.url })
      const receiver = await payee.incomingPayment(usdThere)
      const id = await next.fundedPayment(usd, 1_000n)
      const result = await failing.client.send({
        outgoingPaymentId: id,
        tenantId: next.config.operatorTenantId,
        sourceAsset: usd,
        destination: { ...receiver, assetCode: 'USD', assetScale: 2 },
        debitAmount: 1_000n,
        receiveAmount: 500n,
        sentAmount: 0n,
        deliveredAmount: 0n,
        minRate: rate(99n, 100n),
        lowRate: rate(1n, 1n),
        highRate: rate(1_000_001n, 1_000_000n),
        budgetMs: 300,
      })
      assert.equal(result.sentAmount, 0n)
      assert.ok(result.packets.rejected > 0)
      assert.equal(hop.requests.length, 0)
      assert.equal(await next.balance(id), 1_000n)
    } finally {
      await failing.close()
      await hop.close()
    }
  })

  test('of another connector is seen by one that has sent part of the payment itself', async () => {
    const { id, input, receiver, kept, bury } = await leave({
      before: (own) => next.client.send({ ...own, budgetMs: 0 }),
    })
    await arrived(receiver, 500n)
    assert.deepEqual(await next.client.settle({ outgoingPaymentId: id, budgetMs: 4_000 }), {
      status: 'unknown',
    })
    assert.deepEqual([await next.balance(id), await kept()], [500n, 0])
    assert.deepEqual(await next.client.send(input), done(1n))
    assert.equal(await payee.credited(receiver.payment.id), 500n)
    await bury()
  })

  test('and the same without a question in between', async () => {
    const { id, input, receiver, bury } = await leave({
      before: (own) => next.client.send({ ...own, budgetMs: 0 }),
    })
    await arrived(receiver, 500n)
    assert.deepEqual(await next.client.send(input), done(1n))
    assert.deepEqual([await next.balance(id), await payee.credited(receiver.payment.id)], [500n, 500n])
    await bury()
  })

  test('is there before a slice ends: what is held is kept, too', async () => {
    let keeping = 0
    const { id, kept, bury } = await leave({
      death: 'when it is to post',
      change: (ctx) => ({
        kept: {
          ...ctx.kept,
          async keep(packet) {
            keeping++
            await sleep(500)
            await ctx.kept.keep(packet)
          },
        },
      }),
      untilDead: false,
    })
    // Its budget was 300 ms.
    assert.ok(keeping > 0)
    assert.equal(await kept(), keeping)
    assert.ok(id)
    await bury()
  })

  test('at a peer that is away is asked for again and again, and given up a minute after its time', async () => {
    const { id, input, receiver, kept, bury } = await leave()
    await arrived(receiver, 500n)
    let laterMs = 90_000
    const later = await startTestNode({
      connectionString: databases[0]!.connectionString,
      change: () => ({
        clock: {
          now: () => systemClock.fromNow(laterMs),
          nowMs: () => systemClock.nowMs() + laterMs,
          fromNow: (ms) => systemClock.fromNow(ms + laterMs),
        },
      }),
    })
    try {
      await payee.close()
      const status = async (node: TestNode) => {
        const { status } = await node.client.settle({ outgoingPaymentId: id, budgetMs: 500 })
        return [status, await kept()]
      }
      assert.deepEqual(await status(next), ['pending', 5])
      const { status: sent } = await next.client.send({ ...input, budgetMs: 500 })
      assert.deepEqual([sent, await kept()], ['progress', 5])
      // Who has not asked before does not give up, however late it is.
      assert.deepEqual(await status(later), ['pending', 5])
      laterMs += 60_000
      assert.deepEqual(await status(later), ['unknown', 0])
    } finally {
      await later.close()
      await bury()
    }
  })
})
