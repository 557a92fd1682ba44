import assert from 'node:assert/strict'
import { createHmac, hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { createCredentialReader, createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import { type IlpReject, type IlpReply, isFulfill, parsePrepare } from '../packet/index.ts'
import { decrypt, sealStreamPacket } from './encryption.ts'
import { decodeStreamPacket, type Frame } from './frames.ts'
import { receiveStreamPacket, type StreamDecision, type StreamRejects } from './index.ts'

interface Exchange {
  name: string
  prepareHex: string
  expect: {
    fulfillment?: string
    code?: string
    triggeredBy?: string
    message?: string
    replyStreamPlaintextHex: string | null
  }
  neededMoneyDecision: boolean
  totalReceivedForReceipt?: string
}
const vectors = JSON.parse(
  readFileSync(new URL('../fixtures/stream-server.json', import.meta.url), 'utf8'),
) as { serverAddress: string; serverSecret: string; exchanges: Exchange[] }
const streamSecret = Buffer.from(vectors.serverSecret, 'hex')
const reader = createCredentialReader({ streamSecret, ilpAddress: vectors.serverAddress })

/** The reply of a decision whose money, if any, is taken. */
function replyOf(decision: StreamDecision, totalReceived?: bigint): IlpReply {
  if (decision.kind === 'reject') return decision.reject
  return decision.kind === 'fulfill' ? decision.fulfill : decision.fulfill(totalReceived)
}

function checkExchange(exchange: Exchange, rejects: StreamRejects, code = exchange.expect.code): void {
  const { expect, totalReceivedForReceipt: total } = exchange
  const prepare = parsePrepare(Buffer.from(exchange.prepareHex, 'hex'))
  const decision = receiveStreamPacket({ reader, prepare, rejects })
  assert.equal(decision.kind === 'money', exchange.neededMoneyDecision)
  const reply = replyOf(decision, total === undefined ? undefined : BigInt(total))
  if (isFulfill(reply)) assert.equal(reply.fulfillment.toString('hex'), expect.fulfillment)
  else {
    assert.equal(reply.code, code)
    assert.equal(reply.triggeredBy, expect.triggeredBy)
    assert.equal(reply.message, expect.message)
  }
  if (expect.replyStreamPlaintextHex === null) {
    assert.equal(reply.data.length, 0)
    return
  }
  const keys = reader.read(prepare.destination)!.connectionKeys
  assert.equal(decrypt(keys.encryption, reply.data)?.toString('hex'), expect.replyStreamPlaintextHex)
}

suite('exchanges of stream-receiver alpha.4', () => {
  assert.equal(vectors.exchanges.length, 10)
  for (const exchange of vectors.exchanges) {
    test(`${exchange.name}, newest dialect`, () => checkExchange(exchange, 'F05'))
    test(`${exchange.name}, F99`, () => {
      const { code } = exchange.expect
      checkExchange(exchange, 'F99', code === 'F05' || code === 'F04' ? 'F99' : code)
    })
  }
})

const receipt = { nonce: randomBytes(16), secret: randomBytes(32) }
const credentials = (input: Partial<Parameters<typeof createStreamCredentials>[0]> = {}) =>
  createStreamCredentials({ streamSecret, ilpAddress: vectors.serverAddress, paymentTag: 'tag', ...input })

interface PacketInput {
  amount: bigint
  minimum?: bigint
  type?: number
  frames?: Frame[]
  fulfillable?: boolean
  to?: ReturnType<typeof credentials>
  rejects?: StreamRejects
}
/** A packet made without the sender under test, and what the receiver decides. */
function receive(input: PacketInput) {
  const to = input.to ?? credentials()
  const { encryption } = reader.read(to.ilpAddress)!.connectionKeys
  const data = sealStreamPacket(encryption, {
    type: input.type ?? 12,
    sequence: 41n,
    amount: input.minimum ?? 0n,
    frames: input.frames ?? [],
  })
  const fulfillmentKey = createHmac('sha256', to.sharedSecret).update('ilp_stream_fulfillment').digest()
  const fulfillment = createHmac('sha256', fulfillmentKey).update(data).digest()
  const prepare = {
    amount: input.amount,
    destination: to.ilpAddress,
    executionCondition: input.fulfillable === false ? randomBytes(32) : hash('sha256', fulfillment, 'buffer'),
    expiresAt: new Date('2026-12-01T00:00:00Z'),
    data,
  }
  const decision = receiveStreamPacket({ reader, prepare, rejects: input.rejects ?? 'F99' })
  return { decision, fulfillment, open: (data: Buffer) => decodeStreamPacket(decrypt(encryption, data)!) }
}
const rejectOf = (decision: StreamDecision): IlpReject => {
  assert.equal(decision.kind, 'reject')
  return (decision as { reject: IlpReject }).reject
}

suite('money', () => {
  test('says whose it is, and is fulfilled only when told', () => {
    const { decision, fulfillment, open } = receive({ amount: 100n, minimum: 99n })
    assert.ok(decision.kind === 'money')
    assert.equal(decision.paymentTag, 'tag')
    assert.equal(decision.amount, 100n)
    assert.equal(decision.minimumAmount, 99n)
    assert.equal(decision.receiptConnectionId, undefined)
    const reply = decision.fulfill()
    assert.deepEqual(reply.fulfillment, fulfillment)
    assert.deepEqual(open(reply.data), { type: 13, sequence: 41n, amount: 100n, frames: [] })
    assert.deepEqual(open(decision.fulfill(500n).data).frames, [], 'nobody asked for a receipt')
  })
  test('the minimum itself is enough, one less is not', () => {
    assert.equal(receive({ amount: 99n, minimum: 99n }).decision.kind, 'money')
    for (const [rejects, code] of [
      ['F99', 'F99'],
      ['F05', 'F04'],
    ] as const) {
      const { decision, open } = receive({ amount: 98n, minimum: 99n, rejects })
      const reject = rejectOf(decision)
      assert.equal(reject.code, code)
      assert.deepEqual(open(reject.data), { type: 14, sequence: 41n, amount: 98n, frames: [] })
    }
  })
  test('nothing at all is below a minimum too', () => {
    assert.equal(rejectOf(receive({ amount: 0n, minimum: 1n, rejects: 'F05' }).decision).code, 'F04')
    assert.equal(receive({ amount: 0n, minimum: 0n }).decision.kind, 'fulfill')
  })
  test('may be declined: for now, for good, with words', () => {
    const { decision, open } = receive({ amount: 100n })
    assert.ok(decision.kind === 'money')
    const plain = decision.decline()
    assert.equal(plain.code, 'F99')
    assert.deepEqual(open(plain.data), { type: 14, sequence: 41n, amount: 100n, frames: [] })
    assert.equal(decision.decline({ code: 'T04', message: 'InsufficientLiquidity' }).code, 'T04')
    const final = decision.decline({ close: true, data: Buffer.from('not today') })
    assert.deepEqual(open(final.data).frames, [
      { type: 'connectionClose', errorCode: 1, errorMessage: '' },
      { type: 'streamData', streamId: 1n, offset: 0n, data: Buffer.from('not today') },
    ])
  })
  test('carries a receipt over the total when the credentials ask for one', () => {
    const to = credentials({ receipt })
    const { decision, open } = receive({ amount: 100n, to })
    assert.ok(decision.kind === 'money')
    assert.equal(decision.receiptConnectionId, hash('sha256', to.ilpAddress))
    const [frame] = open(decision.fulfill(700n).data).frames
    assert.ok(frame?.type === 'streamReceipt')
    assert.equal(frame.receipt.readBigUInt64BE(18), 700n)
    assert.deepEqual(
      frame.receipt.subarray(26),
      createHmac('sha256', receipt.secret).update(frame.receipt.subarray(0, 26)).digest(),
    )
    assert.deepEqual(open(decision.fulfill().data).frames, [], 'without a total there is no receipt')
    assert.deepEqual(open(decision.decline().data).frames, [], 'what is declined has no receipt')
  })
})

suite('a sender who says where he is', () => {
  const frames: Frame[] = [{ type: 'connectionNewAddress', sourceAccount: 'test.sender' }]
  const details = { type: 'connectionAssetDetails', assetCode: 'EUR', assetScale: 2 }
  const to = credentials({ asset: { assetCode: 'EUR', assetScale: 2 } })
  test('is told the asset, whatever the answer', () => {
    const money = receive({ amount: 5n, frames, to })
    assert.ok(money.decision.kind === 'money')
    assert.deepEqual(money.open(money.decision.fulfill().data).frames, [details])
    assert.deepEqual(money.open(money.decision.decline().data).frames, [details])
    const probe = receive({ amount: 5n, frames, to, fulfillable: false })
    assert.deepEqual(probe.open(rejectOf(probe.decision).data).frames, [details])
  })
  test('is told nothing when the credentials do not say it', () => {
    const { decision, open } = receive({ amount: 0n, frames })
    assert.deepEqual(open(replyOf(decision).data).frames, [])
  })
})

suite('packets that are refused without an authentic answer', () => {
  const prepare = parsePrepare(Buffer.from(vectors.exchanges[0]!.prepareHex, 'hex'))
  const codeFor = (change: Partial<typeof prepare>, ilpAddress?: string) => {
    const decision = receiveStreamPacket({
      reader,
      prepare: { ...prepare, ...change },
      rejects: 'F99',
      ...(ilpAddress && { ilpAddress }),
    })
    const reject = rejectOf(decision)
    assert.equal(reject.data.length, 0)
    assert.equal(reject.triggeredBy, vectors.serverAddress)
    return reject.code
  }
  test('other addresses, foreign tokens, foreign data', () => {
    assert.equal(codeFor({ destination: 'test.other.x' }), 'F02')
    assert.equal(codeFor({ destination: vectors.serverAddress }), 'F02')
    assert.equal(codeFor({ destination: `${vectors.serverAddress}.alice` }), 'F06')
    assert.equal(codeFor({ destination: credentials().ilpAddress }), 'F06')
    assert.equal(codeFor({ data: Buffer.alloc(0) }), 'F06')
    assert.equal(codeFor({ data: randomBytes(300) }), 'F06')
    assert.equal(codeFor({}, 'test.tenant'), 'F02')
  })
  test("a reply sent as a request's data", () => {
    assert.equal(rejectOf(receive({ amount: 1n, type: 13 }).decision).code, 'F00')
  })
})

test('a close comes before everything else that can be said about a packet', () => {
  const frames: Frame[] = [{ type: 'connectionClose', errorCode: 1, errorMessage: '' }]
  for (const rejects of ['F99', 'F05'] as const) {
    const { decision, open } = receive({ amount: 1n, minimum: 2n, frames, fulfillable: false, rejects })
    const reject = rejectOf(decision)
    assert.equal(reject.code, 'F99')
    assert.deepEqual(open(reject.data).frames, frames)
  }
})
