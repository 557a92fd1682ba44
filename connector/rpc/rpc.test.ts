import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import {
  type ConnectorClient,
  ConnectorRefusal,
  type ConnectorRefusalCode,
  connectorRpcSecret,
  createConnectorClient,
  type SendInput,
} from '../../shared/connector-client/index.ts'
import { getIncomingPayment } from '../../shared/incoming-payments/index.ts'
import type { Ledger, TransferEvent } from '../../shared/ledger/index.ts'
import { identityRate, parseRate, rate } from '../../shared/money/index.ts'
import { createTrustedHttp, Fault, signHmac, systemClock } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { createReject } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { startTestHop } from '../testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from '../testing/test-node.ts'

interface Faults {
  before?: (events: readonly TransferEvent[]) => void | Promise<void>
  after?: (events: readonly TransferEvent[]) => void
}
let faults: Faults = {}
const faulty = (ledger: Ledger): Ledger => ({
  ...ledger,
  async createTransfers(events) {
    await faults.before?.(events)
    const statuses = await ledger.createTransfers(events)
    faults.after?.(events)
    return statuses
  },
})

// Bank A pays, bank B receives; each has its own database, connector and rates.
let databases: TestDatabase[]
let rates: TestHttpServer
let a: TestNode
let b: TestNode
let usdA: LedgerAsset
let usdB: LedgerAsset
let eurB: LedgerAsset
let peerB: { id: string }

before(async () => {
  databases = await Promise.all([createTestDatabase('resources'), createTestDatabase('resources')])
  rates = await startTestHttpServer(() => ({ body: '{"base":"USD","rates":{"EUR":0.9}}' }))
  const [first, second] = databases
  a = await startTestNode({
    connectionString: first!.connectionString,
    ilpAddress: 'test.bank-a',
    env: { EXCHANGE_RATES_URL: rates.url },
    change: (ctx) => ({ ledger: faulty(ctx.ledger) }),
  })
  b = await startTestNode({
    connectionString: second!.connectionString,
    ilpAddress: 'test.bank-b',
    env: { EXCHANGE_RATES_URL: rates.url },
  })
  usdA = await a.asset('USD', 2, 1_000_000n)
  usdB = await b.asset('USD', 2)
  eurB = await b.asset('EUR', 2, 1_000_000n)
  await b.peer(usdB, {
    address: 'test.bank-a',
    token: 'a-to-b',
    liquidity: 1_000_000n,
    maxPacketAmount: 50_000n,
  })
  peerB = await a.peer(usdA, { address: 'test.bank-b', endpoint: b.url, outgoingToken: 'a-to-b' })
})

after(async () => {
  await a.close()
  await b.close()
  await rates.close()
  await Promise.all(databases.map((database) => database.drop()))
})

afterEach(() => {
  faults = {}
})

const tenantId = () => a.config.operatorTenantId
const destinationOf = ({ ilpAddress, sharedSecret, payment }: TestReceiver) => ({
  ilpAddress,
  sharedSecret,
  assetCode: payment.asset.code,
  assetScale: payment.asset.scale,
})

function sendInput(id: string, receiver: TestReceiver, fields: Partial<SendInput>): SendInput {
  return {
    outgoingPaymentId: id,
    tenantId: tenantId(),
    sourceAsset: usdA,
    destination: destinationOf(receiver),
    debitAmount: 1000n,
    receiveAmount: 1000n,
    sentAmount: 0n,
    deliveredAmount: 0n,
    minRate: rate(99n, 100n),
    lowRate: identityRate,
    highRate: rate(1_000_001n, 1_000_000n),
    budgetMs: 5_000,
    ...fields,
  }
}

const stateOf = async (receiver: TestReceiver) => {
  const payment = await getIncomingPayment(b.node, 'all', receiver.payment.id)
  return [payment.state, payment.receivedAmount.value]
}

const refusedAs = (code: ConnectorRefusalCode) => (error: unknown) =>
  error instanceof ConnectorRefusal && error.code === code

test('a probe finds the rate and the largest packet, and moves nothing', async () => {
  const receiver = await b.incomingPayment(eurB)
  const before = await a.credited(peerB.id)
  const path = await a.client.probe({
    tenantId: tenantId(),
    sourceAsset: usdA,
    destination: destinationOf(receiver),
  })
  assert.equal(path.maxPacketAmount, 50_000n)
  assert.deepEqual(path.lowRate, rate(9n, 10n))
  assert.deepEqual(path.highRate, rate(45_001n, 50_000n))
  assert.equal(await a.credited(peerB.id), before)
  assert.deepEqual(await stateOf(receiver), ['PENDING', 0n])
})

test('probes that cannot succeed say why', async () => {
  const receiver = await b.incomingPayment(usdB)
  const destination = destinationOf(receiver)
  const probe = (fields: object, asset = usdA) =>
    a.client.probe({ tenantId: tenantId(), sourceAsset: asset, destination: { ...destination, ...fields } })
  await assert.rejects(probe({ ilpAddress: 'test.nobody.x' }), refusedAs('no_route'))
  await assert.rejects(probe({ ilpAddress: 'not an address' }), refusedAs('invalid_request'))
  await assert.rejects(probe({ sharedSecret: 'short' }), refusedAs('invalid_request'))
  // The service knows dollars only.
  const gbp = await a.asset('GBP', 2)
  await assert.rejects(probe({}, gbp), refusedAs('rates_unavailable'))
})

test('prices: exact, one for equal codes, refused when there is none', async () => {
  const price = (sourceAssetCode: string, destinationAssetCode: string) =>
    a.client.getPrice({ tenantId: tenantId(), sourceAssetCode, destinationAssetCode })
  assert.deepEqual(await price('USD', 'EUR'), parseRate('0.9'))
  assert.deepEqual(await price('XYZ', 'XYZ'), identityRate)
  await assert.rejects(price('USD', 'JPY'), refusedAs('rates_unavailable'))
  await assert.rejects(price('GBP', 'USD'), refusedAs('rates_unavailable'))
})

test('a payment is sent, delivered, recorded, and agreed on by both banks', async () => {
  const receiver = await b.incomingPayment(usdB, 1000n)
  const id = await a.fundedPayment(usdA, 1000n)
  const result = await a.client.send(sendInput(id, receiver, {}))
  assert.equal(result.status, 'done')
  assert.deepEqual([result.sentAmount, result.deliveredAmount], [1000n, 1000n])
  assert.equal(await a.balance(id), 0n)
  assert.deepEqual(await stateOf(receiver), ['COMPLETED', 1000n])
  assert.deepEqual(a.sent.get(id), {
    sentAmount: 1000n,
    deliveredAmount: 1000n,
    packets: result.packets,
    rejects: [],
  })
})

test('across currencies the receiver gets what was asked, in packets of the path', async () => {
  const receiver = await b.incomingPayment(eurB, 90_000n)
  const id = await a.fundedPayment(usdA, 101_000n)
  const result = await a.client.send(
    sendInput(id, receiver, {
      debitAmount: 101_000n,
      receiveAmount: 90_000n,
      minRate: rate(89n, 100n),
      lowRate: rate(9n, 10n),
      highRate: rate(45_001n, 50_000n),
      maxPacketAmount: 50_000n,
    }),
  )
  assert.equal(result.status, 'done')
  assert.deepEqual([result.sentAmount, result.deliveredAmount], [100_000n, 90_000n])
  assert.deepEqual(await stateOf(receiver), ['COMPLETED', 90_000n])
  assert.equal(await a.balance(id), 1_000n)
})

test('which packets were rejected, and by whom, is recorded; earlier counts are kept', async () => {
  const receiver = await b.incomingPayment(usdB, 60_000n)
  const id = await a.fundedPayment(usdA, 60_000n)
  const earlier = { code: 'F08', triggeredBy: 'test.bank-b', count: 2 }
  a.sent.set(id, {
    sentAmount: 0n,
    deliveredAmount: 0n,
    packets: { sent: 2, fulfilled: 0, rejected: 2 },
    rejects: [earlier],
  })
  const result = await a.client.send(
    sendInput(id, receiver, { debitAmount: 60_000n, receiveAmount: 60_000n }),
  )
  assert.equal(result.status, 'done')
  assert.ok(!('rejects' in result))
  const { rejected } = result.packets
  assert.ok(rejected > 2)
  assert.deepEqual(a.sent.get(id)?.rejects, [{ ...earlier, count: rejected }])
})

test('a receiver on the payer’s own node is paid without a peer', async () => {
  const receiver = await a.incomingPayment(usdA, 400n)
  const destination = destinationOf(receiver)
  const path = await a.client.probe({ tenantId: tenantId(), sourceAsset: usdA, destination })
  assert.deepEqual(path, { lowRate: identityRate, highRate: rate(10n ** 12n + 1n, 10n ** 12n) })
  const id = await a.fundedPayment(usdA, 400n)
  const limits = { debitAmount: 400n, receiveAmount: 400n }
  const result = await a.client.send(sendInput(id, receiver, limits))
  assert.equal(result.status, 'done')
  const payment = await getIncomingPayment(a.node, 'all', receiver.payment.id)
  assert.deepEqual([payment.state, payment.receivedAmount.value], ['COMPLETED', 400n])
  assert.equal(await a.balance(id), 0n)
})

test('calls at the same time share one sending, and a call after it gets the same answer', async () => {
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 5_000n)
  const input = sendInput(id, receiver, {})
  const results = await Promise.all(Array.from({ length: 8 }, () => a.client.send(input)))
  for (const result of results) assert.deepEqual(result, results[0])
  assert.deepEqual(await a.client.send(input), results[0])
  assert.equal(await a.balance(id), 4_000n)
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 1000n])
})

test('a slice ends with its budget and the next one goes on', async (t) => {
  const hop = await startTestHop(async () => {
    await sleep(40)
    return createReject('T04', { triggeredBy: 'test.slow' })
  })
  t.after(() => hop.close())
  await a.peer(usdA, { address: 'test.slow', endpoint: hop.url })
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 1000n)
  const startedMs = Date.now()
  const slow = { ...receiver, ilpAddress: `test.slow.${'x'.repeat(40)}` }
  const first = await a.client.send(sendInput(id, slow, { budgetMs: 1_000 }))
  assert.equal(first.status, 'progress')
  assert.ok(Date.now() - startedMs < 3_000)
  const second = await a.client.send(sendInput(id, slow, { budgetMs: 1_000 }))
  assert.equal(second.status, 'progress')
  assert.ok(second.packets.sent > first.packets.sent)
  // A packet may still be under way.
  await waitFor(async () => (await a.balance(id)) === 1000n)
})

test('settling waits for what is under way, so that its totals are final and recorded', async () => {
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 1000n)
  const settle = (budgetMs: number) => a.client.settle({ outgoingPaymentId: id, budgetMs })
  assert.deepEqual(await settle(1_000), { status: 'unknown' })
  faults = {
    before: async (events) => {
      if (events[0]?.kind === 'post') await sleep(600)
    },
  }
  const slice = await a.client.send(sendInput(id, receiver, { budgetMs: 150 }))
  assert.deepEqual([slice.status, slice.sentAmount], ['progress', 0n])
  const early = await settle(50)
  assert.equal(early.status, 'pending')
  const settled = await settle(5_000)
  assert.ok(settled.status === 'settled')
  assert.deepEqual([settled.sentAmount, settled.deliveredAmount], [1000n, 1000n])
  assert.equal(a.sent.get(id)?.deliveredAmount, 1000n)
  assert.equal((await a.client.send(sendInput(id, receiver, {}))).status, 'done')
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 1000n])
})

test('hundreds of payments at once', async () => {
  const receiver = await b.incomingPayment(usdB)
  const ids = await Promise.all(Array.from({ length: 200 }, () => a.fundedPayment(usdA, 10n)))
  const results = await Promise.all(
    ids.map((id) =>
      a.client.send(sendInput(id, receiver, { debitAmount: 10n, receiveAmount: 10n, budgetMs: 10_000 })),
    ),
  )
  assert.ok(results.every(({ status }) => status === 'done'))
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 2000n])
})

test('F31: what a dead connector sent and did not record is not sent again', async (t) => {
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 1000n)
  // As after a crash: the ledger has it, the records do not.
  await a.client.send(sendInput(id, receiver, { debitAmount: 600n, receiveAmount: 600n }))
  a.sent.delete(id)
  const heir = await startTestNode({
    connectionString: databases[0]!.connectionString,
    ilpAddress: 'test.bank-a',
    env: { EXCHANGE_RATES_URL: rates.url },
  })
  t.after(() => heir.close())
  const result = await heir.client.send(sendInput(id, receiver, {}))
  assert.equal(result.status, 'done')
  assert.deepEqual([result.sentAmount, result.deliveredAmount], [1000n, 1000n])
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 1000n])
})

test('F31: money that a dead connector still holds is waited for before anything more is sent', async () => {
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 1000n)
  const [status] = await a.node.ledger.createTransfers([
    {
      kind: 'pending',
      id: crypto.randomUUID(),
      debitAccountId: id,
      creditAccountId: peerB.id,
      ledger: usdA.ledger,
      code: 1,
      amount: 400n,
      timeoutSeconds: 2,
    },
  ])
  assert.equal(status, 'created')
  const waiting = await a.client.send(sendInput(id, receiver, { budgetMs: 300 }))
  assert.equal(waiting.status, 'progress')
  assert.deepEqual(await stateOf(receiver), ['PENDING', 0n])
  const result = await a.client.send(sendInput(id, receiver, { budgetMs: 8_000 }))
  assert.equal(result.status, 'done')
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 1000n])
})

test('a payment that may not be sent is refused', async () => {
  const receiver = await b.incomingPayment(usdB)
  await assert.rejects(a.client.send(sendInput('not-a-uuid', receiver, {})), refusedAs('invalid_request'))
  await assert.rejects(
    a.client.send(sendInput(crypto.randomUUID(), receiver, {})),
    refusedAs('invalid_request'),
  )
})

test('a receiver that takes no more fails the payment for now, with what was sent', async () => {
  const receiver = await b.incomingPayment(usdB, 300n)
  const id = await a.fundedPayment(usdA, 1000n)
  const first = await a.client.send(sendInput(id, receiver, { debitAmount: 300n, receiveAmount: 300n }))
  assert.equal(first.status, 'done')
  const other = await a.fundedPayment(usdA, 1000n)
  const result = await a.client.send(sendInput(other, receiver, {}))
  assert.equal(result.status, 'failed')
  assert.ok(result.status === 'failed' && result.failure.ilpCode === 'F02' && result.failure.retryable)
  assert.deepEqual([result.sentAmount, result.deliveredAmount], [0n, 0n])
})

test('only signed calls within 30 s are heard', async () => {
  const url = `http://127.0.0.1:${a.connector.ports.rpc}`
  const body = {
    method: 'getPrice',
    params: { tenantId: tenantId(), sourceAssetCode: 'USD', destinationAssetCode: 'USD' },
  }
  const secret = connectorRpcSecret(a.config)
  const post = async (options: {
    secret?: string
    timestampMs?: number
    version?: number
    sent?: object
    signature?: string
  }) => {
    const signature =
      options.signature ??
      signHmac({
        secret: options.secret ?? secret,
        version: options.version ?? 1,
        timestampMs: options.timestampMs ?? Date.now(),
        body,
      })
    const response = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(signature && { signature }) },
      body: JSON.stringify(options.sent ?? body),
    })
    await response.body.dump()
    return response.statusCode
  }
  assert.equal(await post({}), 200)
  assert.equal(await post({ timestampMs: Date.now() - 29_000 }), 200)
  assert.equal(await post({ timestampMs: Date.now() - 31_000 }), 401)
  assert.equal(await post({ timestampMs: Date.now() + 31_000 }), 401)
  assert.equal(await post({ secret: 'other' }), 401)
  assert.equal(await post({ version: 2 }), 401)
  assert.equal(await post({ signature: '' }), 401)
  assert.equal(await post({ sent: { ...body, method: 'send' } }), 401)
  assert.equal(await post({ signature: 'nonsense' }), 401)
  const metrics = await request(`${url}/metrics`)
  assert.match(await metrics.body.text(), /^upesi_connector_packets_received \d+$/m)
})

test('the secret follows from ADMIN_API_SECRET unless it is given', () => {
  const derived = connectorRpcSecret({ adminApiSecret: 'x' })
  assert.match(derived, /^[0-9a-f]{64}$/)
  assert.notEqual(derived, connectorRpcSecret({ adminApiSecret: 'y' }))
  assert.equal(connectorRpcSecret({ connectorRpcSecret: 'given', adminApiSecret: 'x' }), 'given')
})

test('an absent connector, a wrong secret and a strange answer are retryable faults', async (t) => {
  const http = createTrustedHttp()
  t.after(() => http.close())
  const strange = await startTestHttpServer(() => ({
    body: '{"result":{"numerator":"1","denominator":"0"}}',
  }))
  t.after(() => strange.close())
  const clients: ConnectorClient[] = [
    createConnectorClient({ url: 'http://127.0.0.1:9/', secret: 'x', http, clock: systemClock }),
    createConnectorClient({
      url: `http://127.0.0.1:${a.connector.ports.rpc}`,
      secret: 'x',
      http,
      clock: systemClock,
    }),
    createConnectorClient({ url: strange.url, secret: 'x', http, clock: systemClock }),
  ]
  for (const client of clients)
    await assert.rejects(
      client.getPrice({ tenantId: tenantId(), sourceAssetCode: 'USD', destinationAssetCode: 'EUR' }),
      (error: unknown) => error instanceof Fault && error.code === 'connector_unavailable' && error.retryable,
    )
})

test('a packet whose fate is unknown stops the sending; the ledger says where to go on', async () => {
  const receiver = await b.incomingPayment(usdB)
  const id = await a.fundedPayment(usdA, 1000n)
  let broken = 0
  faults = {
    after: (events) => {
      // The post happened, and the ledger then fails in a way that is no lost answer.
      if (events[0]?.kind === 'post' && broken++ === 0) throw new Error('out of order')
    },
  }
  const first = await a.client.send(sendInput(id, receiver, { budgetMs: 2_000 }))
  assert.equal(first.status, 'progress')
  assert.equal(broken, 1)
  const second = await a.client.send(sendInput(id, receiver, {}))
  assert.equal(second.status, 'done')
  assert.equal(second.sentAmount, 1000n)
  assert.equal(await a.balance(id), 0n)
  assert.deepEqual(await stateOf(receiver), ['PROCESSING', 1000n])
})

test('F31: a graceful end waits for packets under way and records them', async () => {
  const receiver = await b.incomingPayment(usdB)
  const leaving = await startTestNode({
    connectionString: databases[0]!.connectionString,
    ilpAddress: 'test.bank-a',
    env: { EXCHANGE_RATES_URL: rates.url },
    change: (ctx) => ({
      ledger: {
        ...ctx.ledger,
        async createTransfers(events) {
          if (events[0]?.kind === 'post') await sleep(300)
          return await ctx.ledger.createTransfers(events)
        },
      },
    }),
  })
  const id = await a.fundedPayment(usdA, 1000n)
  const sending = leaving.client.send(sendInput(id, receiver, { budgetMs: 10_000 }))
  await waitFor(async () => (await stateOf(receiver))[0] === 'PROCESSING')
  await leaving.close()
  const result = await sending
  assert.equal(result.sentAmount, 1000n)
  assert.equal(leaving.sent.get(id)?.sentAmount, 1000n)
  assert.equal(await a.balance(id), 0n)
})
