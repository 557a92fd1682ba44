import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mock, suite, test } from 'node:test'
import { parseRate, rate } from '../../shared/money/index.ts'
import { systemClock } from '../../shared/platform/index.ts'
import { createCredentialReader } from '../../shared/stream-credentials/index.ts'
import {
  amountTooLargeReject,
  createReject,
  type IlpErrorCode,
  type IlpReply,
  isReject,
} from '../packet/index.ts'
import { openStreamPacket, sealStreamPacket } from './encryption.ts'
import { InvalidDestination, ProbeFailed, probePath, type SendPacket } from './index.ts'
import { firstProbeAmount } from './probe-path.ts'
import { inFakeTime, ourReceiver, type TestPathOptions, testPath } from './test-path.ts'

const usd = { assetCode: 'USD', assetScale: 2 }
const top = 10n ** 12n
const probe = (send: SendPacket, destination = ourReceiver('F99').destination) =>
  probePath({ send, clock: systemClock }, { sourceAsset: usd, destination: { ...destination, ...usd } })

/** Probes a path to our receiver; a probe that sleeps never ends here, because nobody advances the timers. */
async function probeAwake(options: Omit<TestPathOptions, 'receiver'>) {
  const receiver = ourReceiver('F99')
  const path = testPath({ receiver, ...options })
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    return { path, result: await probe(path.send, receiver.destination) }
  } finally {
    mock.timers.reset()
  }
}
const refusal = (code: string, details: object) => (error: unknown) => {
  assert.ok(error instanceof ProbeFailed)
  assert.equal(error.code, code)
  assert.deepEqual(error.details, details)
  return true
}

suite('without sleeping', () => {
  test('a path without limits takes one packet', async () => {
    const { path, result } = await probeAwake({})
    assert.deepEqual(path.amounts, [top])
    assert.deepEqual(result, { lowRate: rate(1n, 1n), highRate: rate(top + 1n, top) })
  })
  test('a maximum that is told is verified with a second packet', async () => {
    const { path, result } = await probeAwake({ rate: parseRate('0.91'), maxPacketAmount: 777n })
    assert.deepEqual(path.amounts, [top, 777n])
    assert.deepEqual(result, { maxPacketAmount: 777n, lowRate: rate(707n, 777n), highRate: rate(708n, 777n) })
  })
  test('a maximum in the units of a later connector is turned into our own', async () => {
    const receiver = ourReceiver('F99')
    const behind = testPath({ receiver, maxPacketAmount: 1000n })
    const amounts: bigint[] = []
    const convert: SendPacket = (prepare) => {
      amounts.push(prepare.amount)
      return behind.send({ ...prepare, amount: (prepare.amount * 91n) / 100n })
    }
    const result = await probe(convert, receiver.destination)
    // 1098 × 0.91 = 999.18, and 1099 × 0.91 = 1000.09 would just do, but the connector only told floors.
    assert.deepEqual(amounts, [top, 1098n])
    assert.equal(result.maxPacketAmount, 1098n)
    assert.deepEqual(result.lowRate, rate(999n, 1098n))
  })
  test('a maximum that is not told is found by halving', async () => {
    const { path, result } = await probeAwake({ maxPacketAmount: 1000n, explains: false })
    assert.equal(path.amounts.length, 31)
    assert.equal(path.amounts.at(-1), top / 2n ** 30n)
    assert.equal(result.maxPacketAmount, 931n)
  })
  test('where liquidity is short a tenth may pass', async () => {
    const { path, result } = await probeAwake({
      turnAway: ({ amount }) => (amount > 5_000_000n ? 'T04' : undefined),
    })
    assert.equal(path.amounts.length, 7)
    assert.equal(result.maxPacketAmount, 10n ** 6n)
    assert.deepEqual(result.lowRate, rate(1n, 1n))
  })
})

test('what may pass is tried again, and is no limit of the path', async () => {
  const receiver = ourReceiver('F05')
  for (const code of ['T00', 'T01', 'T05', 'R00', 'R02', 'F99'] as const) {
    const path = testPath({ receiver, turnAway: ({ index }) => (index < 2 ? code : undefined) })
    const result = await inFakeTime(() => probe(path.send, receiver.destination))
    assert.equal(path.amounts.length, 3)
    assert.equal(result.maxPacketAmount, undefined)
    assert.deepEqual(result.lowRate, rate(1n, 1n))
  }
})

suite('refusals', () => {
  const rejectedWith = (code: IlpErrorCode) =>
    probe(async () => createReject(code, { triggeredBy: 'test.connector' }))
  test('nobody knows the receiver', async () => {
    await assert.rejects(
      rejectedWith('F02'),
      refusal('no_route', { ilpCode: 'F02', triggeredBy: 'test.connector' }),
    )
  })
  test('rejects that are final', async () => {
    for (const code of ['F00', 'F01', 'F06', 'F07'] as const)
      await assert.rejects(
        rejectedWith(code),
        refusal('probe_failed', { ilpCode: code, triggeredBy: 'test.connector' }),
      )
  })
  test('a path that takes no amount', async () => {
    const nothing = { triggeredBy: 'test.connector', receivedAmount: 7n, maximumAmount: 0n }
    const details = { ilpCode: 'F08', triggeredBy: 'test.connector' }
    await assert.rejects(
      probe(async () => amountTooLargeReject(nothing)),
      refusal('probe_failed', details),
    )
    await assert.rejects(rejectedWith('F08'), refusal('probe_failed', details))
  })
  test('a path that delivers nothing', async () => {
    const receiver = ourReceiver('F99')
    const path = testPath({ receiver, rate: rate(1n, 10n ** 13n) })
    await assert.rejects(probe(path.send, receiver.destination), refusal('probe_failed', {}))
  })
  test('destinations that are none', async () => {
    const { ilpAddress, sharedSecret } = ourReceiver('F99').destination
    const send = () => Promise.reject(new Error('nothing is sent'))
    await assert.rejects(probe(send, { ilpAddress: 'nowhere', sharedSecret }), InvalidDestination)
    await assert.rejects(probe(send, { ilpAddress, sharedSecret: sharedSecret.slice(1) }), InvalidDestination)
    await assert.rejects(probe(send, { ilpAddress, sharedSecret: `${sharedSecret}A` }), InvalidDestination)
  })
})

suite('the deadline of 10 s', () => {
  const afterDeadline = (send: SendPacket) =>
    inFakeTime(async () => {
      const startedAt = Date.now()
      const error = await probe(send).then(
        () => assert.fail('the probe must not succeed'),
        (refused: unknown) => refused,
      )
      return { error, afterMs: Date.now() - startedAt }
    })
  test('ends waiting for an answer that never comes', async () => {
    const { error, afterMs } = await afterDeadline(() => new Promise(() => {}))
    refusal('probe_failed', {})(error)
    assert.equal(afterMs, 10_000)
  })
  test('ends trying again, which takes longer each time', async () => {
    let sent = 0
    const { error, afterMs } = await afterDeadline(async () => {
      sent++
      return createReject('T05', { triggeredBy: 'test.busy' })
    })
    refusal('probe_failed', { ilpCode: 'T05', triggeredBy: 'test.busy' })(error)
    assert.ok(afterMs >= 10_000 && afterMs < 11_100, String(afterMs))
    assert.ok(sent > 10 && sent < 30, String(sent))
  })
  test('also bounds a path that is short of liquidity for the smallest amount', async () => {
    let sent = 0
    const { error } = await afterDeadline(async () => {
      sent++
      return createReject('T04', { triggeredBy: 'test.poor' })
    })
    refusal('probe_failed', { ilpCode: 'T04', triggeredBy: 'test.poor' })(error)
    assert.ok(sent < 300, String(sent))
  })
})

suite('answers that are not authentic are not believed', () => {
  /** The first answer is tampered with, later ones are left alone. */
  async function tampered(change: (reply: IlpReply) => IlpReply): Promise<bigint[]> {
    const receiver = ourReceiver('F99')
    const path = testPath({ receiver, rate: parseRate('0.5') })
    const result = await inFakeTime(() =>
      probe(async (prepare) => {
        const reply = await path.send(prepare)
        return path.amounts.length === 1 ? change(reply) : reply
      }, receiver.destination),
    )
    assert.deepEqual(result.lowRate, rate(1n, 2n))
    return path.amounts
  }
  test('other bytes, another key, and the answer to another packet', async () => {
    assert.equal((await tampered((reply) => ({ ...reply, data: randomBytes(40) }))).length, 2)
    assert.equal((await tampered((reply) => ({ ...reply, data: Buffer.alloc(0) }))).length, 2)
    const receiver = ourReceiver('F99')
    const path = testPath({ receiver })
    let first: IlpReply | undefined
    const replayed = async () =>
      probe(async (prepare) => {
        const reply = await path.send(prepare)
        first ??= isReject(reply) ? reply : undefined
        return path.amounts.length === 2 && first ? first : reply
      }, receiver.destination)
    await inFakeTime(replayed)
    await inFakeTime(replayed)
    assert.equal(path.amounts.length, 3, 'the replayed answer had the sequence of an earlier packet')
  })
  test('a fulfilment that cannot be one', async () => {
    assert.equal((await tampered((reply) => ({ fulfillment: randomBytes(32), data: reply.data }))).length, 2)
  })
})

test('a receiver that closes the connection takes nothing more', async () => {
  const receiver = ourReceiver('F99')
  const reader = createCredentialReader({ streamSecret: Buffer.alloc(32, 9), ilpAddress: 'test.receiver' })
  const { encryption } = reader.read(receiver.destination.ilpAddress)!.connectionKeys
  await assert.rejects(
    probe(async (prepare) => {
      const { sequence } = openStreamPacket(encryption, prepare.data)!
      const data = sealStreamPacket(encryption, {
        type: 14,
        sequence,
        amount: prepare.amount,
        frames: [{ type: 'connectionClose', errorCode: 1, errorMessage: '' }],
      })
      return createReject('F99', { triggeredBy: 'test.receiver', data })
    }, receiver.destination),
    refusal('closed_by_receiver', {}),
  )
})

test('the first amount suits the scales', () => {
  const exponent = (source: number, destination: number) =>
    firstProbeAmount(
      { assetCode: 'A', assetScale: source },
      { assetCode: 'B', assetScale: destination },
    ).toString().length - 1
  assert.equal(exponent(2, 2), 12)
  assert.equal(exponent(2, 5), 12)
  assert.equal(exponent(0, 6), 9)
  assert.equal(exponent(0, 18), 0)
  assert.equal(exponent(9, 2), 19)
  assert.equal(exponent(4, 2), 14)
  assert.equal(exponent(18, 0), 19)
})
