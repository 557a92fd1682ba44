import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createConnection } from 'ilp-protocol-stream'
import { type Asset, identityRate, multiplyRates, parseRate, rate } from '../../shared/money/index.ts'
import { systemClock } from '../../shared/platform/index.ts'
import { createCredentialReader, createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import { parsePrepare, serializeReply } from '../packet/index.ts'
import { createStreamPayment, probePath, receiveStreamPacket } from './index.ts'
import {
  fullServer,
  ourReceiver,
  publishedReceiver,
  type TestPathOptions,
  type TestReceiver,
  testPath,
  testPlugin,
} from './test-path.ts'

const usd: Asset = { assetCode: 'USD', assetScale: 2 }
const eur: Asset = { assetCode: 'EUR', assetScale: 2 }
const receivers: [string, () => TestReceiver | Promise<TestReceiver>][] = [
  ['our receiver, F99', () => ourReceiver('F99')],
  ['our receiver, F05', () => ourReceiver('F05')],
  ['stream-receiver 0.2.2', () => publishedReceiver('0.2.2')],
  ['stream-receiver alpha.4', () => publishedReceiver('alpha.4')],
  ['ilp-protocol-stream 2.7.1', fullServer],
]

interface Payment {
  debitAmount: bigint
  receiveAmount: bigint
  /** What the quote tolerates of the probed rate. */
  slippage: string
}

/** Probes, then pays: what a quote and an outgoing payment do. */
async function probeAndPay(options: TestPathOptions, { slippage, ...amounts }: Payment) {
  const { destination } = options.receiver
  const probes = testPath(options)
  const clock = systemClock
  const probe = await probePath(
    { send: probes.send, clock },
    { sourceAsset: usd, destination: { ...destination, ...eur } },
  )
  const path = testPath(options)
  const payment = createStreamPayment(
    { send: path.send, clock },
    {
      destination,
      ...amounts,
      sentAmount: 0n,
      deliveredAmount: 0n,
      minRate: multiplyRates(options.rate ?? identityRate, parseRate(slippage)),
      ...probe,
    },
  )
  const result = await payment.run({ budgetMs: 5000 })
  return { probe, probes, path, result }
}

for (const [name, open] of receivers)
  suite(`our sender to ${name}`, () => {
    test('delivers 500 at 0.91 with one packet of 550, after one probe', async () => {
      const receiver = await open()
      const { probe, probes, path, result } = await probeAndPay(
        { receiver, rate: parseRate('0.91') },
        { debitAmount: 556n, receiveAmount: 500n, slippage: '0.99' },
      )
      assert.deepEqual(probes.amounts, [10n ** 12n])
      assert.deepEqual(probe, {
        lowRate: rate(91n, 100n),
        highRate: rate(910_000_000_001n, 10n ** 12n),
      })
      assert.deepEqual(result, {
        status: 'done',
        sentAmount: 550n,
        deliveredAmount: 500n,
        packets: { sent: 1, fulfilled: 1, rejected: 0 },
        rejects: [],
      })
      assert.deepEqual(path.amounts, [550n])
      assert.equal(receiver.received(), 500n)
      await receiver.close()
    })

    test('a fixed send of 50 in the same currency stops at the 49 of its quote', async () => {
      const receiver = await open()
      const { path, result } = await probeAndPay(
        { receiver },
        { debitAmount: 50n, receiveAmount: 49n, slippage: '0.99' },
      )
      assert.deepEqual(path.amounts, [49n])
      assert.equal(result.status, 'done')
      assert.equal(result.sentAmount, 49n)
      assert.equal(result.deliveredAmount, 49n)
      assert.equal(receiver.received(), 49n)
      await receiver.close()
    })

    test('keeps to the largest packet of the path, which two probes find out', async () => {
      const receiver = await open()
      const { probe, probes, path, result } = await probeAndPay(
        { receiver, rate: parseRate('0.91'), maxPacketAmount: 100n },
        { debitAmount: 1120n, receiveAmount: 1000n, slippage: '0.99' },
      )
      assert.deepEqual(probes.amounts, [10n ** 12n, 100n])
      assert.equal(probe.maxPacketAmount, 100n)
      // Ten packets of 100 bring 91 each; the 90 that remain need 98.90….
      assert.deepEqual(path.amounts, [...Array(10).fill(100n), 99n])
      assert.equal(result.status, 'done')
      assert.equal(result.deliveredAmount, 1000n)
      assert.equal(receiver.received(), 1000n)
      await receiver.close()
    })
  })

test('the client of ilp-protocol-stream pays our receiver, and is told the asset and receipts', async () => {
  const streamSecret = Buffer.alloc(32, 6)
  const ilpAddress = 'test.bank'
  const receipt = { nonce: Buffer.alloc(16, 1), secret: Buffer.alloc(32, 2) }
  const asset = { assetCode: 'EUR', assetScale: 2 }
  const credentials = createStreamCredentials({
    streamSecret,
    ilpAddress,
    paymentTag: 'tag',
    asset,
    receipt,
  })
  const reader = createCredentialReader({ streamSecret, ilpAddress })
  let received = 0n
  const plugin = testPlugin('test.client', async (bytes) => {
    const decision = receiveStreamPacket({ reader, prepare: parsePrepare(bytes), rejects: 'F99' })
    if (decision.kind === 'reject') return serializeReply(decision.reject)
    if (decision.kind === 'fulfill') return serializeReply(decision.fulfill)
    assert.equal(decision.paymentTag, 'tag')
    received += decision.amount
    return serializeReply(decision.fulfill(received))
  })
  const connection = await createConnection({
    plugin,
    destinationAccount: credentials.ilpAddress,
    sharedSecret: credentials.sharedSecret,
    slippage: 0,
  })
  assert.equal(connection.destinationAssetCode, 'EUR')
  assert.equal(connection.destinationAssetScale, 2)
  const stream = connection.createStream()
  await stream.sendTotal(12_345)
  assert.equal(received, 12_345n)
  assert.equal(stream.receipt?.readBigUInt64BE(18), 12_345n)
  await connection.end()
})
