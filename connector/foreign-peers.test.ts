// Peers that nobody here wrote, over real sockets and both directions: ilp-connector 23 with ilp-plugin-http, @interledger/pay,
// ilp-protocol-stream, and both dialects of stream-receiver.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { createConnection, createServer, type DataAndMoneyStream } from 'ilp-protocol-stream'
import type { SendInput } from '../shared/connector-client/index.ts'
import { getIncomingPayment } from '../shared/incoming-payments/index.ts'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { multiplyRates, parseRate } from '../shared/money/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../shared/testing/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import { type TestReceiver as ForeignReceiver, publishedReceiver } from './stream/test-path.ts'
import { type ForeignConnector, startForeignConnector } from './testing/foreign-connector.ts'
import { startTestHop } from './testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from './testing/test-node.ts'

const require = createRequire(import.meta.url)
const MONEY = 1_000_000_000n
/** Of the foreign connector, so that payments over it take several packets. */
const FOREIGN_PACKET_MAX = 1_000

type Plugin = Parameters<typeof createServer>[0]['plugin']
const PluginHttp = require('ilp-plugin-http') as new (options: object) => Plugin

/** What @interledger/pay does for a wallet; its types name a plugin that the package does not export. */
interface Pay {
  setupPayment(options: object): Promise<object>
  startQuote(options: object): Promise<{ maxSourceAmount: bigint }>
  pay(options: object): Promise<{ error?: string; amountSent: bigint; amountDelivered: bigint }>
  closeConnection(plugin: Plugin, destination: object): Promise<void>
}
const interledgerPay = require('@interledger/pay') as Pay

let databases: TestDatabase[]
let a: TestNode
let b: TestNode
let usdA: LedgerAsset
let usdB: LedgerAsset
let middle: ForeignConnector
let ports: Record<'a' | 'b' | 'sender' | 'server', number>
let peers: { middleAtA: string; middleAtB: string }
const plugins: Plugin[] = []

before(async () => {
  databases = await Promise.all([createTestDatabase('resources'), createTestDatabase('resources')])
  const [first, second] = databases as [TestDatabase, TestDatabase]
  ;[a, b] = await Promise.all([
    startTestNode({ connectionString: first.connectionString, ilpAddress: 'test.a' }),
    startTestNode({ connectionString: second.connectionString, ilpAddress: 'test.b' }),
  ])
  ports = {
    a: await choosePort(),
    b: await choosePort(),
    sender: await choosePort(),
    server: await choosePort(),
  }
  const account = (port: number, outgoingUrl: string) => ({
    port,
    incomingToken: 'to-middle',
    outgoingUrl,
    outgoingToken: 'from-middle',
    assetCode: 'USD',
    assetScale: 2,
  })
  const local = (port: number) => `http://127.0.0.1:${port}`
  const pluginPorts = { sender: await choosePort(), server: await choosePort() }
  middle = await startForeignConnector({
    ilpAddress: 'test.middle',
    accounts: {
      a: { ...account(ports.a, a.url), maxPacketAmount: String(FOREIGN_PACKET_MAX) },
      b: account(ports.b, b.url),
      sender: account(ports.sender, local(pluginPorts.sender)),
      server: account(ports.server, local(pluginPorts.server)),
    },
    prefixes: { a: 'test.a', b: 'test.b', sender: 'test.sender', server: 'test.server' },
  })
  usdA = await a.asset('USD', 2, MONEY)
  usdB = await b.asset('USD', 2, MONEY)
  const common = {
    address: 'test.middle',
    outgoingToken: 'to-middle',
    token: 'from-middle',
    liquidity: MONEY,
  }
  const middleAtA = await a.peer(usdA, {
    ...common,
    endpoint: local(ports.a),
    routes: ['test.b', 'test.server'],
  })
  const middleAtB = await b.peer(usdB, { ...common, endpoint: local(ports.b), routes: ['test.a'] })
  peers = { middleAtA: middleAtA.id, middleAtB: middleAtB.id }
})

after(async () => {
  for (const plugin of plugins) await plugin.disconnect()
  await middle.close()
  await Promise.all([a.close(), b.close()])
  await Promise.all(databases.map((database) => database.drop()))
})

/** A party of its own behind ilp-plugin-http. */
async function connectPlugin(port: number, connector: { url: string; token: string }, fromConnector: string) {
  const plugin = new PluginHttp({
    incoming: { port, staticToken: fromConnector },
    outgoing: { url: connector.url, staticToken: connector.token },
  })
  await plugin.connect()
  plugins.push(plugin)
  return plugin
}

/** Probes and pays, as a quote and an outgoing payment do. */
async function send(
  from: TestNode,
  asset: LedgerAsset,
  destination: SendInput['destination'],
  receiveAmount: bigint,
) {
  const tenantId = from.config.operatorTenantId
  const path = await from.client.probe({ tenantId, sourceAsset: asset, destination })
  const debitAmount = receiveAmount + 100n
  const outgoingPaymentId = await from.fundedPayment(asset, debitAmount)
  const result = await from.client.send({
    outgoingPaymentId,
    tenantId,
    sourceAsset: asset,
    destination,
    debitAmount,
    receiveAmount,
    sentAmount: 0n,
    deliveredAmount: 0n,
    minRate: multiplyRates(path.lowRate, parseRate('0.99')),
    lowRate: path.lowRate,
    highRate: path.highRate,
    ...(path.maxPacketAmount !== undefined && { maxPacketAmount: path.maxPacketAmount }),
    budgetMs: 10_000,
  })
  return { path, result, left: await from.balance(outgoingPaymentId), debitAmount }
}

const usdCents = { assetCode: 'USD', assetScale: 2 }
const destinationOf = ({ ilpAddress, sharedSecret }: TestReceiver) => ({
  ilpAddress,
  sharedSecret,
  ...usdCents,
})
const arrivedAt = async (node: TestNode, receiver: TestReceiver) => {
  const payment = await getIncomingPayment(node.node, 'all', receiver.payment.id)
  return [payment.state, payment.receivedAmount.value]
}

/** A whole payment by @interledger/pay. */
async function payByInterledgerPay(plugin: Plugin, receiver: TestReceiver, amountToDeliver: bigint) {
  const destination = await interledgerPay.setupPayment({
    plugin,
    destinationAddress: receiver.ilpAddress,
    sharedSecret: Buffer.from(receiver.sharedSecret, 'base64url'),
    destinationAsset: { code: 'USD', scale: 2 },
  })
  const quote = await interledgerPay.startQuote({
    plugin,
    destination,
    amountToDeliver,
    sourceAsset: { code: 'USD', scale: 2 },
    prices: { USD: 1 },
    slippage: 0.01,
  })
  const outcome = await interledgerPay.pay({ plugin, destination, quote })
  await interledgerPay.closeConnection(plugin, destination)
  return outcome
}

test('our payment goes over ilp-connector to our other node, in packets of the size that it takes, and all books agree', async () => {
  const receiver = await b.incomingPayment(usdB, 5_000n)
  const { path, result, left, debitAmount } = await send(a, usdA, destinationOf(receiver), 5_000n)
  assert.equal(path.maxPacketAmount, BigInt(FOREIGN_PACKET_MAX))
  assert.equal(result.status, 'done')
  assert.equal(result.deliveredAmount, 5_000n)
  assert.equal(left, debitAmount - result.sentAmount)
  assert.deepEqual(await arrivedAt(b, receiver), ['COMPLETED', 5_000n])
  const [atA, atB] = await Promise.all([a.credited(peers.middleAtA), b.balance(peers.middleAtB)])
  assert.equal(atA, MONEY + result.sentAmount)
  assert.equal(atB, MONEY - 5_000n)
})

test('@interledger/pay pays our receiver over ilp-connector', async () => {
  const plugin = await connectPlugin(
    await choosePort(),
    { url: `http://127.0.0.1:${ports.sender}`, token: 'to-middle' },
    'from-middle',
  )
  const receiver = await b.incomingPayment(usdB, 4_321n)
  const outcome = await payByInterledgerPay(plugin, receiver, 4_321n)
  assert.equal(outcome.error, undefined)
  assert.equal(outcome.amountDelivered, 4_321n)
  assert.deepEqual(await arrivedAt(b, receiver), ['COMPLETED', 4_321n])
})

test('@interledger/pay pays our receiver straight, as a peer of its own', async () => {
  const peer = await b.peer(usdB, { address: 'test.pay', token: 'pay-to-b', liquidity: MONEY })
  const plugin = await connectPlugin(await choosePort(), { url: b.url, token: 'pay-to-b' }, 'b-to-pay')
  const receiver = await b.incomingPayment(usdB, 7_000n)
  const outcome = await payByInterledgerPay(plugin, receiver, 7_000n)
  assert.equal(outcome.error, undefined)
  assert.equal(outcome.amountDelivered, 7_000n)
  assert.deepEqual(await arrivedAt(b, receiver), ['COMPLETED', 7_000n])
  assert.equal(await b.balance(peer.id), MONEY - 7_000n)
})

/** The server of ilp-protocol-stream, which learns its address from whoever it is connected to. */
async function startStreamServer(plugin: Plugin) {
  const server = await createServer({ plugin, serverSecret: Buffer.alloc(32, 5), disconnectDelay: 1 })
  const streams: DataAndMoneyStream[] = []
  server.on('connection', (connection) => {
    connection.on('stream', (stream: DataAndMoneyStream) => {
      stream.setReceiveMax('18446744073709551615')
      streams.push(stream)
    })
  })
  const { destinationAccount, sharedSecret } = server.generateAddressAndSecret()
  return {
    destination: {
      ilpAddress: destinationAccount,
      sharedSecret: sharedSecret.toString('base64url'),
      ...usdCents,
    },
    received: () => streams.reduce((sum, stream) => sum + BigInt(stream.totalReceived), 0n),
  }
}

test('our node tells the server of ilp-protocol-stream its address, and pays it', async () => {
  const port = await choosePort()
  await a.peer(usdA, {
    address: 'test.their-wallet',
    endpoint: `http://127.0.0.1:${port}`,
    token: 'wallet-to-a',
    outgoingToken: 'a-to-wallet',
  })
  const server = await startStreamServer(
    await connectPlugin(port, { url: a.url, token: 'wallet-to-a' }, 'a-to-wallet'),
  )
  assert.match(server.destination.ilpAddress, /^test\.their-wallet\./)
  const { result } = await send(a, usdA, server.destination, 3_000n)
  assert.equal(result.status, 'done')
  assert.equal(server.received(), 3_000n)
})

test('the client of ilp-protocol-stream pays our receiver as our peer, and hears of the asset', async () => {
  await b.peer(usdB, { address: 'test.client', token: 'client-to-b', liquidity: MONEY })
  const plugin = await connectPlugin(await choosePort(), { url: b.url, token: 'client-to-b' }, 'b-to-client')
  const receiver = await b.incomingPayment(usdB, 2_500n)
  const connection = await createConnection({
    plugin,
    destinationAccount: receiver.ilpAddress,
    sharedSecret: Buffer.from(receiver.sharedSecret, 'base64url'),
    slippage: 0.01,
  })
  assert.equal(connection.destinationAssetCode, 'USD')
  assert.equal(connection.destinationAssetScale, 2)
  const stream = connection.createStream()
  await stream.sendTotal('2500')
  await waitFor(async () => (await arrivedAt(b, receiver))[0] === 'COMPLETED')
  assert.deepEqual(await arrivedAt(b, receiver), ['COMPLETED', 2_500n])
  await connection.destroy()
})

test('our node pays a node that receives with stream-receiver, in both of its dialects', async () => {
  let receiver: ForeignReceiver = publishedReceiver('0.2.2')
  const hop = await startTestHop((prepare) => receiver.receive(prepare))
  try {
    const address = receiver.destination.ilpAddress.split('.').slice(0, -1).join('.')
    await a.peer(usdA, { address, endpoint: hop.url })
    for (const version of ['0.2.2', 'alpha.4'] as const) {
      receiver = publishedReceiver(version)
      const { result } = await send(a, usdA, { ...receiver.destination, ...usdCents }, 900n)
      assert.equal(result.status, 'done', version)
      assert.equal(receiver.received(), 900n, version)
    }
  } finally {
    await hop.close()
  }
})
