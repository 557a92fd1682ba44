import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { identityRate, multiplyRates, parseRate, type Rate } from '../../shared/money/index.ts'
import { systemClock } from '../../shared/platform/index.ts'
import { createCredentialReader } from '../../shared/stream-credentials/index.ts'
import { createReject, type IlpErrorCode, isFulfill } from '../packet/index.ts'
import { openStreamPacket } from './encryption.ts'
import { createStreamPayment, InvalidDestination, type SendPacket, type StreamPaymentInput } from './index.ts'
import { inFakeTime, ourReceiver, type TestPathOptions, testPath } from './test-path.ts'

/** A payment whose quote knew the path's exact rate and tolerates 1 %. */
function payment(
  options: TestPathOptions,
  input: Partial<StreamPaymentInput> & { receiveAmount: bigint },
  wrap: (send: SendPacket) => SendPacket = (send) => send,
) {
  const path = testPath(options)
  const rate: Rate = options.rate ?? identityRate
  const created = createStreamPayment(
    { send: wrap(path.send), clock: systemClock },
    {
      destination: options.receiver.destination,
      debitAmount: 10n ** 12n,
      sentAmount: 0n,
      deliveredAmount: 0n,
      minRate: multiplyRates(rate, parseRate('0.99')),
      lowRate: rate,
      highRate: multiplyRates(rate, parseRate('1.000000000001')),
      ...input,
    },
  )
  return { path, payment: created, run: () => created.run({ budgetMs: 60_000 }) }
}

/** Status, and the failure without its words. */
async function outcomeOf(started: ReturnType<typeof payment>) {
  const result = await inFakeTime(started.run)
  assert.equal(result.sentAmount, started.path.spent())
  if (result.status !== 'failed') return { ...result, failure: undefined }
  const { message, ...failure } = result.failure
  assert.ok(message.length > 10)
  return { ...result, failure }
}

const from = (code: IlpErrorCode, count: number) => [{ code, triggeredBy: 'test.connector', count }]

suite('packet sizes', () => {
  test('an F08 that tells its maximum lowers the packets to it', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver, maxPacketAmount: 300n }, { receiveAmount: 1000n })
    const { status, rejects } = await outcomeOf(started)
    assert.equal(status, 'done')
    assert.deepEqual(started.path.amounts, [1000n, 300n, 300n, 300n, 100n])
    assert.deepEqual(rejects, from('F08', 1))
    assert.equal(receiver.received(), 1000n)
  })
  test('an F08 that tells nothing halves them', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver, maxPacketAmount: 300n, explains: false }, { receiveAmount: 1000n })
    assert.equal((await outcomeOf(started)).status, 'done')
    assert.deepEqual(started.path.amounts, [1000n, 500n, 500n, 250n, 250n, 250n, 250n])
    assert.equal(receiver.received(), 1000n)
  })
  test('a path that takes nothing any more fails', async () => {
    const started = payment({ receiver: ourReceiver('F99'), maxPacketAmount: 0n }, { receiveAmount: 10n })
    const { status, failure } = await outcomeOf(started)
    assert.equal(status, 'failed')
    assert.deepEqual(failure, {
      code: 'packet_rejected',
      retryable: true,
      ilpCode: 'F08',
      triggeredBy: 'test.connector',
    })
  })
  test('packets too small for the rate are not sent', async () => {
    const started = payment(
      { receiver: ourReceiver('F99'), rate: parseRate('0.91') },
      { receiveAmount: 100n, maxPacketAmount: 10n },
    )
    const { failure } = await outcomeOf(started)
    assert.deepEqual(failure, { code: 'insufficient_exchange_rate', retryable: true })
    assert.deepEqual(started.path.amounts, [])
  })
  test('source units that rounding would lose are not sent', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver, rate: parseRate('0.5') }, { receiveAmount: 9n, maxPacketAmount: 7n })
    assert.equal((await outcomeOf(started)).status, 'done')
    assert.deepEqual(started.path.amounts, [6n, 6n, 6n])
    assert.equal(receiver.received(), 9n)
  })
  test('only the last packet may lose a source unit to rounding', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver, rate: parseRate('0.91') }, { receiveAmount: 1n })
    assert.equal((await outcomeOf(started)).status, 'done')
    assert.deepEqual(started.path.amounts, [2n])
    assert.equal(receiver.received(), 1n)
  })
})

suite('rejects that pass', () => {
  for (const code of [
    'T00',
    'T01',
    'T02',
    'T03',
    'T05',
    'T99',
    'R00',
    'R01',
    'R02',
    'F99',
    'F05',
    'F04',
  ] as const)
    test(`${code} is tried again`, async () => {
      const receiver = ourReceiver('F99')
      const started = payment(
        { receiver, turnAway: ({ index }) => (index < 2 ? code : undefined) },
        { receiveAmount: 1000n },
      )
      const { status, rejects, packets } = await outcomeOf(started)
      assert.equal(status, 'done')
      assert.deepEqual(packets, { sent: 3, fulfilled: 1, rejected: 2 })
      assert.deepEqual(rejects, from(code, 2))
      assert.equal(receiver.received(), 1000n)
    })

  test('a connector short of liquidity is given less at once', async () => {
    const receiver = ourReceiver('F99')
    let underWay = 0n
    const started = payment(
      { receiver, delayMs: () => 1 },
      { receiveAmount: 10_000n, maxPacketAmount: 1000n },
      (send) => async (prepare) => {
        if (underWay + prepare.amount > 1500n) return createReject('T04', { triggeredBy: 'test.connector' })
        underWay += prepare.amount
        const reply = await send(prepare)
        underWay -= prepare.amount
        return reply
      },
    )
    const { status, rejects } = await outcomeOf(started)
    assert.equal(status, 'done')
    assert.equal(receiver.received(), 10_000n)
    assert.equal(rejects[0]?.code, 'T04')
    assert.ok((rejects[0]?.count ?? 0) < 40, `${rejects[0]?.count} rejects`)
  })

  test('a packet larger than all liquidity is made smaller, down to what the rate allows', async () => {
    const receiver = ourReceiver('F99')
    const started = payment(
      { receiver, rate: parseRate('0.91'), turnAway: ({ amount }) => (amount > 400n ? 'T04' : undefined) },
      { receiveAmount: 2000n, debitAmount: 2300n },
    )
    assert.equal((await outcomeOf(started)).status, 'done')
    assert.equal(receiver.received(), 2000n)
  })

  test('not into more than a thousand pieces: then it waits for liquidity', async () => {
    const started = payment(
      { receiver: ourReceiver('F99'), turnAway: ({ amount }) => (amount > 5n ? 'T04' : undefined) },
      { receiveAmount: 10_000n, debitAmount: 10_000n },
    )
    const { failure } = await outcomeOf(started)
    assert.deepEqual(failure, {
      code: 'idle_timeout',
      retryable: true,
      ilpCode: 'T04',
      triggeredBy: 'test.connector',
    })
    assert.equal(started.path.amounts.at(-1), 11n)
  })

  test('one packet of many is lost now and then', async () => {
    const receiver = ourReceiver('F05')
    const started = payment(
      {
        receiver,
        turnAway: ({ index }) => (index % 7 === 3 ? 'T00' : undefined),
        delayMs: (index) => (index * 7) % 5,
      },
      { receiveAmount: 20_000n, maxPacketAmount: 100n },
    )
    const { status, packets } = await outcomeOf(started)
    assert.equal(status, 'done')
    assert.equal(packets.fulfilled, 200)
    assert.equal(receiver.received(), 20_000n)
  })
})

suite('data for the receiver', () => {
  const reader = createCredentialReader({ streamSecret: Buffer.alloc(32, 9), ilpAddress: 'test.receiver' })
  /** What each packet carried, in order. */
  async function carried(input: Partial<StreamPaymentInput>, turnAway = 0): Promise<(string | undefined)[]> {
    const receiver = ourReceiver('F99')
    const { encryption } = reader.read(receiver.destination.ilpAddress)!.connectionKeys
    const seen: (string | undefined)[] = []
    const started = payment(
      { receiver, turnAway: ({ index }) => (index < turnAway ? 'T00' : undefined) },
      { receiveAmount: 300n, maxPacketAmount: 100n, ...input },
      (send) => async (prepare) => {
        const frames = openStreamPacket(encryption, prepare.data)!.frames
        const frame = frames.find(({ type }) => type === 'streamData')
        seen.push(frame?.type === 'streamData' ? frame.data.toString() : undefined)
        return await send(prepare)
      },
    )
    assert.equal((await outcomeOf(started)).status, 'done')
    return seen
  }

  test('goes with every packet until the receiver has answered one', async () => {
    const packets = await carried({ data: 'für Bob' }, 2)
    const first = packets.indexOf(undefined)
    assert.ok(first > 2, packets.join())
    assert.ok(packets.slice(0, first).every((data) => data === 'für Bob'))
    assert.ok(packets.slice(first).every((data) => data === undefined))
  })
  test('does not go twice to a receiver that was paid before', async () => {
    const packets = await carried({ data: 'für Bob', deliveredAmount: 100n, sentAmount: 0n })
    assert.deepEqual(new Set(packets), new Set([undefined]))
  })
  test('is absent where there is none', async () => {
    assert.deepEqual(new Set(await carried({})), new Set([undefined]))
  })
})

suite('rejects that end it', () => {
  const rejecting = (code: IlpErrorCode, after = 0) =>
    payment(
      { receiver: ourReceiver('F99'), turnAway: ({ index }) => (index >= after ? code : undefined) },
      { receiveAmount: 1000n, maxPacketAmount: 100n },
    )
  test('nobody knows the receiver', async () => {
    const { failure } = await outcomeOf(rejecting('F02'))
    assert.deepEqual(failure, {
      code: 'no_route',
      retryable: true,
      ilpCode: 'F02',
      triggeredBy: 'test.connector',
    })
  })
  for (const code of ['F00', 'F01', 'F03', 'F06', 'F07'] as const)
    test(`${code}, and what was sent before counts`, async () => {
      const { status, failure, sentAmount, deliveredAmount, packets } = await outcomeOf(rejecting(code, 3))
      assert.equal(status, 'failed')
      assert.deepEqual(failure, {
        code: 'packet_rejected',
        retryable: true,
        ilpCode: code,
        triggeredBy: 'test.connector',
      })
      assert.equal(sentAmount, 300n)
      assert.equal(deliveredAmount, 300n)
      assert.equal(packets.sent, packets.fulfilled + packets.rejected)
    })
  for (const triggeredBy of ['x'.repeat(30_000), 'test.a\0b', 'nobody', 'test.a\nb'])
    test(`words in place of an address are nobody: ${JSON.stringify(triggeredBy.slice(0, 10))}`, async () => {
      const started = payment(
        { receiver: ourReceiver('F99') },
        { receiveAmount: 1000n },
        () => async () => createReject('F02', { triggeredBy }),
      )
      const { failure, rejects } = await outcomeOf(started)
      assert.deepEqual(failure, { code: 'no_route', retryable: true, ilpCode: 'F02', triggeredBy: '' })
      assert.deepEqual(rejects, [{ code: 'F02', triggeredBy: '', count: 1 }])
    })
  test('the receiver closes the connection', async () => {
    const receiver = ourReceiver('F99', (received) => (received >= 200n ? 'closed' : true))
    const { failure, deliveredAmount } = await outcomeOf(
      payment({ receiver }, { receiveAmount: 1000n, maxPacketAmount: 100n }),
    )
    assert.equal(failure?.code, 'closed_by_receiver')
    assert.equal(failure?.ilpCode, 'F99')
    assert.equal(deliveredAmount, 200n)
    assert.equal(receiver.received(), 200n)
  })
  test('a receiver that closes with words has decided, and the words come back', async () => {
    const receiver = ourReceiver('F99', () => ({ words: 'account\nclosed' }))
    const started = payment({ receiver }, { receiveAmount: 1000n })
    const result = await inFakeTime(started.run)
    assert.ok(result.status === 'failed')
    assert.deepEqual(result.failure, {
      code: 'application_error',
      message: 'the receiver declined: account closed',
      retryable: false,
      ilpCode: 'F99',
      triggeredBy: 'test.receiver',
    })
    assert.deepEqual([result.sentAmount, receiver.received()], [0n, 0n])
  })
  test('a receiver that declines without closing is asked again, until the payment is idle', async () => {
    const receiver = ourReceiver('F99', (received) => received < 300n)
    const { failure, packets, deliveredAmount } = await outcomeOf(
      payment({ receiver }, { receiveAmount: 1000n, maxPacketAmount: 100n }),
    )
    assert.deepEqual(failure, {
      code: 'idle_timeout',
      retryable: true,
      ilpCode: 'F99',
      triggeredBy: 'test.receiver',
    })
    assert.equal(deliveredAmount, 300n)
    assert.ok(packets.rejected > 5 && packets.rejected < 30, `${packets.rejected} rejects in 10 s`)
  })
  test('the rate has become worse than agreed: nothing arrives, nothing is sent', async () => {
    for (const rejects of ['F99', 'F05'] as const) {
      const receiver = ourReceiver(rejects)
      const started = payment(
        { receiver, rate: parseRate('0.89') },
        {
          receiveAmount: 500n,
          minRate: parseRate('0.9'),
          lowRate: parseRate('0.91'),
          highRate: parseRate('0.9101'),
        },
      )
      const { failure, sentAmount, packets } = await outcomeOf(started)
      assert.equal(failure?.code, 'insufficient_exchange_rate')
      assert.equal(failure?.retryable, true)
      assert.equal(sentAmount, 0n)
      assert.equal(receiver.received(), 0n)
      assert.equal(packets.rejected, 1)
    }
  })
  test('the debit amount is used up before enough has arrived', async () => {
    const started = payment(
      { receiver: ourReceiver('F99') },
      { receiveAmount: 1000n, debitAmount: 550n, maxPacketAmount: 100n },
    )
    const { failure, sentAmount } = await outcomeOf(started)
    assert.equal(failure?.code, 'insufficient_exchange_rate')
    assert.equal(sentAmount, 550n)
  })
})

test('a rate that has become better needs less', async () => {
  const receiver = ourReceiver('F99')
  const started = payment(
    { receiver, rate: parseRate('0.95') },
    {
      receiveAmount: 1900n,
      maxPacketAmount: 1000n,
      minRate: parseRate('0.9'),
      lowRate: parseRate('0.91'),
      highRate: parseRate('0.9101'),
    },
  )
  const { status, sentAmount } = await outcomeOf(started)
  assert.equal(status, 'done')
  assert.ok(receiver.received() >= 1900n && receiver.received() <= 2043n)
  assert.ok(sentAmount <= 2088n)
})

suite('what was delivered', () => {
  test('counts as the minimum when a fulfilled packet says nothing authentic, and the payment ends', async () => {
    const receiver = ourReceiver('F99')
    const started = payment(
      { receiver },
      { receiveAmount: 1000n, maxPacketAmount: 100n },
      (send) => async (prepare) => {
        const reply = await send(prepare)
        return isFulfill(reply) ? { ...reply, data: randomBytes(50) } : reply
      },
    )
    const { failure, packets, deliveredAmount, sentAmount } = await outcomeOf(started)
    assert.deepEqual(failure, { code: 'receiver_protocol_violation', retryable: false })
    assert.equal(sentAmount, BigInt(packets.fulfilled) * 100n)
    assert.equal(deliveredAmount, BigInt(packets.fulfilled) * 99n)
    assert.ok(packets.sent <= 8, 'what was under way already, and no more')
  })
  test('a fulfilment of another packet is none', async () => {
    const receiver = ourReceiver('F99')
    const path = testPath({ receiver })
    const forged = createStreamPayment(
      {
        clock: systemClock,
        send: async (prepare) => ({ ...(await path.send(prepare)), fulfillment: randomBytes(32) }),
      },
      {
        destination: receiver.destination,
        debitAmount: 100n,
        receiveAmount: 100n,
        sentAmount: 0n,
        deliveredAmount: 0n,
        minRate: identityRate,
        lowRate: identityRate,
        highRate: parseRate('1.1'),
      },
    )
    const result = await inFakeTime(() => forged.run({ budgetMs: 60_000 }))
    assert.ok(result.status === 'failed')
    assert.equal(result.failure.code, 'idle_timeout')
    assert.equal(result.failure.ilpCode, 'F05')
    assert.equal(result.sentAmount, 0n)
    assert.equal(result.deliveredAmount, 0n)
  })
})

suite('in slices', () => {
  test('goes on from what earlier calls recorded', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver }, { receiveAmount: 1000n, sentAmount: 610n, deliveredAmount: 600n })
    const result = await started.run()
    assert.equal(result.status, 'done')
    assert.equal(result.sentAmount, 1010n)
    assert.equal(result.deliveredAmount, 1000n)
    assert.equal(receiver.received(), 400n)
  })
  test('is done at once when all has arrived', async () => {
    const started = payment(
      { receiver: ourReceiver('F99') },
      { receiveAmount: 5n, deliveredAmount: 5n, sentAmount: 5n },
    )
    assert.equal((await started.run()).status, 'done')
    assert.deepEqual(started.path.amounts, [])
  })
  test('a budget ends the call, not the packets under way; the next call tells what became of them', async () => {
    const receiver = ourReceiver('F99')
    const started = payment({ receiver, delayMs: () => 60 }, { receiveAmount: 1000n })
    await inFakeTime(async () => {
      const first = await started.payment.run({ budgetMs: 15 })
      assert.equal(first.status, 'progress')
      assert.equal(first.sentAmount, 0n)
      assert.equal(first.packets.sent, 1)
      const second = await started.payment.run({ budgetMs: 5000 })
      assert.equal(second.status, 'done')
      assert.equal(second.sentAmount, 1000n)
    })
    assert.deepEqual(started.path.amounts, [1000n])
  })
  test('idle time adds up over calls, but not between them', async () => {
    const { payment: sliced } = payment(
      { receiver: ourReceiver('F99'), turnAway: () => 'T00' },
      { receiveAmount: 10n },
    )
    await inFakeTime(async () => {
      assert.equal((await sliced.run({ budgetMs: 6000 })).status, 'progress')
      await new Promise((resolve) => setTimeout(resolve, 20_000))
      assert.equal((await sliced.run({ budgetMs: 3000 })).status, 'progress')
      const startedAt = Date.now()
      const last = await sliced.run({ budgetMs: 60_000 })
      assert.ok(last.status === 'failed')
      assert.equal(last.failure.code, 'idle_timeout')
      assert.equal(Date.now() - startedAt, 1000)
    })
  })
  test('every fulfilment starts the idle time again', async () => {
    const receiver = ourReceiver('F99')
    const started = payment(
      { receiver, delayMs: () => 9000 },
      { receiveAmount: 1600n, maxPacketAmount: 100n },
    )
    assert.equal((await outcomeOf(started)).status, 'done')
    assert.equal(receiver.received(), 1600n)
  })
  test('an idle payment waits for what is under way before it fails', async () => {
    const receiver = ourReceiver('F99')
    const slow = payment({ receiver, delayMs: () => 19_000 }, { receiveAmount: 100n })
    assert.equal((await outcomeOf(slow)).status, 'done', 'the packet was fulfilled after all')
    const lost = payment({ receiver, delayMs: () => 19_000, turnAway: () => 'R00' }, { receiveAmount: 100n })
    const { failure, packets } = await outcomeOf(lost)
    assert.equal(failure?.code, 'idle_timeout')
    assert.equal(failure?.ilpCode, 'R00')
    assert.equal(packets.sent, 1)
  })
  test('an abort starts nothing new and waits for what is under way', async () => {
    const receiver = ourReceiver('F99')
    const started = payment(
      { receiver, delayMs: () => 30 },
      { receiveAmount: 100_000n, maxPacketAmount: 100n },
    )
    await inFakeTime(async () => {
      const abort = new AbortController()
      setTimeout(() => abort.abort(), 10)
      const result = await started.payment.run({ budgetMs: 5000, signal: abort.signal })
      assert.equal(result.status, 'progress')
      assert.equal(result.packets.sent, 8)
      assert.equal(result.sentAmount, 800n)
      const again = await started.payment.run({ budgetMs: 5000, signal: abort.signal })
      assert.equal(again.packets.sent, 8)
    })
    assert.equal(receiver.received(), 800n)
  })
  test('runs once at a time', async () => {
    const started = payment({ receiver: ourReceiver('F99'), delayMs: () => 5 }, { receiveAmount: 10n })
    const first = started.run()
    await assert.rejects(started.run(), { name: 'AssertionFailed' })
    assert.equal((await first).status, 'done')
  })
})

test('when nobody knows what became of a packet the payment stops for good, after the others have settled', async () => {
  const receiver = ourReceiver('F99')
  const lost = new Error('ledger_outcome_unknown')
  let sent = 0
  const started = payment(
    { receiver, delayMs: () => 5 },
    { receiveAmount: 100_000n, maxPacketAmount: 100n },
    (send) => (prepare) => (++sent === 3 ? Promise.reject(lost) : send(prepare)),
  )
  await assert.rejects(inFakeTime(started.run), lost)
  assert.equal(sent, 8)
  assert.equal(receiver.received(), 700n)
  await assert.rejects(inFakeTime(started.run), lost)
  assert.equal(sent, 8)
})

test('a destination that is none is refused at once', () => {
  const { ilpAddress, sharedSecret } = ourReceiver('F99').destination
  const create = (
    destination: typeof ourReceiver extends never ? never : { ilpAddress: string; sharedSecret: string },
  ) => payment({ receiver: ourReceiver('F99') }, { receiveAmount: 1n, destination })
  assert.throws(() => create({ ilpAddress: 'nowhere', sharedSecret }), InvalidDestination)
  assert.throws(() => create({ ilpAddress, sharedSecret: 'short' }), InvalidDestination)
})

test('a thousand packets go out as fast as answers come back', async (t) => {
  const receiver = ourReceiver('F99')
  const near = payment({ receiver }, { receiveAmount: 100_000n, maxPacketAmount: 100n })
  const nearStart = performance.now()
  assert.equal((await near.run()).status, 'done')
  t.diagnostic(`1000 packets, no delay: ${(performance.now() - nearStart).toFixed(0)} ms`)
  assert.equal(near.path.amounts.length, 1000)

  const far = payment({ receiver, delayMs: () => 5 }, { receiveAmount: 100_000n, maxPacketAmount: 100n })
  const farStart = performance.now()
  assert.equal((await far.run()).status, 'done')
  t.diagnostic(`1000 packets, 5 ms each: ${(performance.now() - farStart).toFixed(0)} ms`)
  assert.equal(far.path.amounts.length, 1000)
  assert.ok(far.path.mostInFlight() > 200, `${far.path.mostInFlight()} at once`)
  assert.equal(receiver.received(), 200_000n)
})
