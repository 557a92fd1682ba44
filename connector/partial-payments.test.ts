import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { createConnection } from 'ilp-protocol-stream'
import { decidePartialPayment, getIncomingPayment } from '../shared/incoming-payments/index.ts'
import { identityRate, rate } from '../shared/money/index.ts'
import { createLogger, type Row, sql } from '../shared/platform/index.ts'
import { consumeJobs } from '../shared/queue/index.ts'
import { webhookRecipient } from '../shared/tenants/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../shared/testing/index.ts'
import { deliverWebhook, listEvents, loadDelivery, storedData } from '../shared/webhooks/index.ts'
import { deserializePrepare, type IlpPrepare, isFulfill, isReject, serializeReply } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import { exchangePacket, openConnection } from './stream/connection.ts'
import { dataFrame, dataIn, saysClosed } from './stream/money-stream.ts'
import { testPlugin } from './stream/test-path.ts'
import { postPrepare } from './testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from './testing/test-node.ts'

const MAX_WAIT_MS = 2_500
const TYPE = 'incoming_payment.partial_payment_received'

interface Asked {
  id: string
  incomingPaymentId: string
  partialIncomingPaymentId: string
  data: Record<string, unknown>
}

let databases: TestDatabase[]
let node: TestNode
/** Its peer, whose customers pay. */
let payer: TestNode
let wallet: TestHttpServer
let usd: LedgerAsset
let from: { id: string; token: string }
const closers: (() => Promise<unknown>)[] = []

/** Everything that either connector and the worker log. */
const lines: string[] = []
const log = createLogger({
  level: 'trace',
  name: 'test',
  destination: { write: (line) => void lines.push(line) },
})
/** Everything that the wallet was asked, as it arrived. */
const asked: Asked[] = []
/** What it does when it is asked. */
let onAsked: (event: Asked) => unknown = () => undefined

before(async () => {
  databases = await Promise.all([1, 2].map(() => createTestDatabase('resources')))
  wallet = await startTestHttpServer(({ body }) => {
    const { id, type, data } = JSON.parse(body) as { id: string; type: string; data: Record<string, unknown> }
    if (type !== TYPE) return undefined
    const partialIncomingPaymentId = String(data.partialIncomingPaymentId)
    const event = { id, incomingPaymentId: String(data.id), partialIncomingPaymentId, data }
    asked.push(event)
    onAsked(event)
    return undefined
  })
  const [here, there] = databases.map(({ connectionString }) => ({ connectionString }))
  node = await startTestNode({
    ...here!,
    change: () => ({ log }),
    env: {
      WEBHOOK_URL: `${wallet.url}/webhooks`,
      ENABLE_PARTIAL_PAYMENT_DECISION: 'true',
      PARTIAL_PAYMENT_DECISION_MAX_WAIT_MS: String(MAX_WAIT_MS),
    },
  })
  payer = await startTestNode({ ...there!, ilpAddress: 'test.payer', change: () => ({ log }) })
  const worker = consumeJobs(node.node, {
    queue: 'webhooks',
    load: loadDelivery,
    handler: (job) =>
      deliverWebhook(
        {
          ...node.node,
          log,
          recipients: (tenantId, endpoint) => webhookRecipient(node.node, tenantId, endpoint),
        },
        job,
      ),
    concurrency: 10,
    idleMs: 200,
    leaseSeconds: 10,
  })
  closers.push(() => worker.close())
  usd = await node.asset('USD', 2)
  from = await node.peer(usd, { address: 'test.payer', token: 'payer-token', liquidity: 1_000_000n })
})

after(async () => {
  for (const close of closers) await close()
  await Promise.all([node.close(), payer.close(), wallet.close()])
  await Promise.all(databases.map((database) => database.drop()))
})

afterEach(async () => {
  onAsked = () => undefined
  // A sender that was refused may have had more packets under way: their events come later.
  const pending = sql`select from webhook_deliveries where state = 'pending'`
  await waitFor(async () => (await node.node.db.execute(pending)) === 0)
  asked.length = 0
})

const decide = (event: Asked, accepted: boolean, reason?: string) =>
  decidePartialPayment(node.node, 'all', { ...event, accepted, ...(reason !== undefined && { reason }) })

interface SendOptions {
  data?: string
  lifeMs?: number
  url?: string
  amount?: bigint
  fulfillable?: boolean
}

/** One STREAM packet from the peer, and the Prepare for sending it again. */
async function send(receiver: Pick<TestReceiver, 'ilpAddress' | 'sharedSecret'>, options: SendOptions = {}) {
  const prepares: IlpPrepare[] = []
  const answer = await exchangePacket(
    openConnection(receiver),
    (sent) => {
      prepares.push(sent)
      return postPrepare(options.url ?? node.url, from.token, sent)
    },
    {
      amount: options.amount ?? 100n,
      minimumAmount: 0n,
      expiresAt: new Date(Date.now() + (options.lifeMs ?? 20_000)),
      frames: options.data === undefined ? [] : [dataFrame(Buffer.from(options.data))],
      fulfillable: options.fulfillable ?? true,
    },
  )
  return { ...answer, prepare: prepares[0]! }
}

const received = async ({ payment }: TestReceiver) =>
  (await getIncomingPayment(node.node, 'all', payment.id)).receivedAmount.value

/** What the wallet was told about this payment's packets. */
const wordsFor = ({ payment }: TestReceiver) =>
  asked.flatMap(({ data }) => (data.id === payment.id ? [data.dataFromSender] : []))

/** What a refused sender is told. */
function wordsOf({ reply, authentic }: Awaited<ReturnType<typeof send>>): string | undefined {
  assert.ok(isReject(reply))
  assert.equal(reply.code, 'F99')
  assert.ok(authentic && saysClosed(authentic), 'told to stop')
  return dataIn(authentic)?.toString()
}

const stored = () =>
  node.node.db.many(
    (row: Row) => row.text as string,
    sql`select e::text as text from webhook_events e union all select d::text from incoming_payment_decisions d`,
  )

test('the wallet is told the words before the money moves, and confirms: then it moves at once', async () => {
  const receiver = await node.incomingPayment(usd, 500n)
  const before = await node.balance(from.id)
  const balances: bigint[] = []
  onAsked = async (event) => {
    balances.push(await node.balance(from.id))
    await decide(event, true)
  }
  const startedAt = performance.now()
  const { reply } = await send(receiver, { data: 'für Bob\n"42"' })
  assert.ok(isFulfill(reply))
  assert.ok(performance.now() - startedAt < MAX_WAIT_MS, 'nobody waits for the end of the time')
  assert.deepEqual(balances, [before])
  assert.equal(await received(receiver), 100n)
  assert.equal(asked.length, 1)
  const { partialIncomingPaymentId, data } = asked[0]!
  assert.match(
    partialIncomingPaymentId,
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  assert.deepEqual(data, {
    id: receiver.payment.id,
    walletAddressId: receiver.payment.walletAddressId,
    createdAt: receiver.payment.createdAt.toISOString(),
    expiresAt: receiver.payment.expiresAt.toISOString(),
    receivedAmount: { value: '0', assetCode: 'USD', assetScale: 2 },
    completed: false,
    incomingAmount: { value: '500', assetCode: 'USD', assetScale: 2 },
    partialIncomingPaymentId,
    dataFromSender: 'für Bob\n"42"',
  })
})

test('at rest the words are ciphertext, and that is what the list of events shows', async () => {
  onAsked = (event) => decide(event, true)
  const receiver = await node.incomingPayment(usd)
  await send(receiver, { data: 'nobody else may read this' })
  const texts = (await stored()).join('\n')
  assert.ok(texts.includes(asked[0]!.partialIncomingPaymentId))
  assert.ok(!texts.includes('nobody else'))
  const events = await listEvents(node.node.db, { types: { in: [TYPE] }, page: { first: 1 } })
  const { dataFromSender, ...rest } = storedData(events.items[0]!)
  assert.deepEqual(Object.keys(dataFromSender as object), ['cipherText', 'tag', 'iv', 'keyId'])
  assert.deepEqual({ ...rest, dataFromSender: 'nobody else may read this' }, asked[0]!.data)
})

test('the wallet rejects: nothing moves, and the sender hears why', async () => {
  const receiver = await node.incomingPayment(usd)
  onAsked = (event) => decide(event, false, 'account gesperrt')
  assert.equal(wordsOf(await send(receiver, { data: 'x' })), 'account gesperrt')
  onAsked = (event) => decide(event, false)
  assert.equal(wordsOf(await send(receiver, { data: 'x' })), 'Declined by receiving ASE')
  assert.equal(await received(receiver), 0n)
})

test('silence is a refusal after the longest wait, and what is said later changes nothing: the sender was told no', async () => {
  const receiver = await node.incomingPayment(usd)
  const startedAt = performance.now()
  const refused = await send(receiver, { data: 'x' })
  const waitedMs = performance.now() - startedAt
  assert.equal(wordsOf(refused), 'No response from receiving ASE')
  assert.ok(waitedMs >= MAX_WAIT_MS - 20 && waitedMs < MAX_WAIT_MS + 1_000, `${waitedMs}`)
  await waitFor(() => asked.length === 1)
  await decide(asked[0]!, true)
  assert.deepEqual(await postPrepare(node.url, from.token, refused.prepare), refused.reply)
  assert.equal(await received(receiver), 0n)
  assert.equal(asked.length, 1)
})

test('a packet that expires sooner is answered before that', async () => {
  const receiver = await node.incomingPayment(usd)
  const startedAt = Date.now()
  assert.equal(wordsOf(await send(receiver, { data: 'x', lifeMs: 600 })), 'No response from receiving ASE')
  assert.ok(Date.now() - startedAt < 600)
  // Too late to ask at all.
  await waitFor(() => asked.length === 1)
  assert.equal(wordsOf(await send(receiver, { data: 'x', lifeMs: 90 })), 'No response from receiving ASE')
  const rows = await node.node.db.execute(
    sql`select from incoming_payment_decisions where incoming_payment_id = ${receiver.payment.id}`,
  )
  assert.equal(rows, 1)
})

test('the last word counts of those that come while the packet waits', async () => {
  const receiver = await node.incomingPayment(usd)
  for (const last of [true, false]) {
    asked.length = 0
    // The connector hears them at once.
    onAsked = (event) =>
      node.node.db.tx(async (db) => {
        for (const accepted of [!last, last])
          await decidePartialPayment({ ...node.node, db }, 'all', {
            ...event,
            accepted,
            ...(!accepted && { reason: 'on second thoughts' }),
          })
      })
    const answer = await send(receiver, { data: 'x' })
    if (last) assert.ok(isFulfill(answer.reply))
    else assert.equal(wordsOf(answer), 'on second thoughts')
  }
  assert.equal(await received(receiver), 100n)
})

test('the same packet asks once: at the same time, again, and by another connector; what was credited stays fulfilled', async (t) => {
  const receiver = await node.incomingPayment(usd)
  // Neither remembers what the other did.
  const more = await Promise.all(
    [1, 2].map(() =>
      startTestNode({
        connectionString: databases[0]!.connectionString,
        env: { ENABLE_PARTIAL_PAYMENT_DECISION: 'true' },
      }),
    ),
  )
  t.after(() => Promise.all(more.map((connector) => connector.close())))
  const [second, third] = more as [TestNode, TestNode]
  let prepare: IlpPrepare | undefined
  const first = exchangePacket(
    openConnection(receiver),
    async (sent) => {
      prepare = sent
      return await postPrepare(node.url, from.token, sent)
    },
    {
      amount: 70n,
      minimumAmount: 0n,
      expiresAt: new Date(Date.now() + 20_000),
      frames: [dataFrame(Buffer.from('once'))],
      fulfillable: true,
    },
  )
  const repeats = [node, second, second].map(({ url }) => postPrepare(url, from.token, prepare!))
  await waitFor(() => asked.length > 0)
  await decide(asked[0]!, true)
  const replies = await Promise.all([first.then(({ reply }) => reply), ...repeats])
  assert.ok(replies.every(isFulfill))
  assert.equal(await received(receiver), 70n)
  // A Reject would deny what was credited, whatever is said now.
  await decide(asked[0]!, false, 'too late')
  for (const { url } of [second, third]) assert.ok(isFulfill(await postPrepare(url, from.token, prepare!)))
  assert.equal(asked.length, 1)
  assert.equal(await received(receiver), 70n)
})

test('nothing is locked while the wallet thinks: others are paid, the payment can be closed, and then it takes nothing', async () => {
  const receiver = await node.incomingPayment(usd, 1_000n)
  const thinking = send(receiver, { data: 'x' })
  await waitFor(() => asked.length === 1)
  assert.ok(isFulfill((await send(receiver, { amount: 5n })).reply))
  const idle = await node.node.db.execute(
    sql`select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`,
  )
  assert.equal(idle, 0)
  assert.ok(isFulfill((await send(receiver, { amount: 995n })).reply))
  await decide(asked[0]!, true).then(
    () => assert.fail('the payment is completed'),
    ({ code }) => assert.equal(code, 'incoming_payment_closed'),
  )
  assert.ok(isReject((await thinking).reply))
  assert.equal(await received(receiver), 1_000n)
})

test('packets without words and probes ask nobody; words without money do', async () => {
  const receiver = await node.incomingPayment(usd)
  assert.ok(isFulfill((await send(receiver)).reply))
  assert.ok(isFulfill((await send(receiver, { data: '' })).reply))
  assert.ok(isReject((await send(receiver, { data: 'x', fulfillable: false })).reply))
  assert.equal(asked.length, 0)
  onAsked = (event) => decide(event, false, 'no letters')
  assert.equal(wordsOf(await send(receiver, { data: 'x', amount: 0n })), 'no letters')
  assert.equal(asked.length, 1)
})

test('without ENABLE_PARTIAL_PAYMENT_DECISION words are not read', async () => {
  const usdThere = await payer.asset('USD', 2)
  const peer = await payer.peer(usdThere, { address: 'test.other', token: 'x', liquidity: 1_000n })
  const receiver = await payer.incomingPayment(usdThere)
  const { reply } = await exchangePacket(
    openConnection(receiver),
    (sent) => postPrepare(payer.url, peer.token, sent),
    {
      amount: 10n,
      minimumAmount: 0n,
      expiresAt: new Date(Date.now() + 5_000),
      frames: [dataFrame(Buffer.from('unread'))],
      fulfillable: true,
    },
  )
  assert.ok(isFulfill(reply))
})

/** The client of ilp-protocol-stream pays over the peer and writes words beside. */
async function payAsClient(receiver: TestReceiver, words: string) {
  const connection = await createConnection({
    plugin: testPlugin('test.payer.client', async (bytes) =>
      serializeReply(await postPrepare(node.url, from.token, deserializePrepare(bytes))),
    ),
    destinationAccount: receiver.ilpAddress,
    sharedSecret: Buffer.from(receiver.sharedSecret, 'base64url'),
    slippage: 0,
  })
  const stream = connection.createStream()
  const heard: Buffer[] = []
  stream.on('data', (chunk: Buffer) => heard.push(chunk))
  connection.on('error', () => undefined)
  stream.on('error', () => undefined)
  stream.write(words)
  const sent = await stream.sendTotal(300, { timeout: 1_500 }).then(
    () => true,
    () => false,
  )
  await connection.destroy().catch(() => undefined)
  return { sent, heard: Buffer.concat(heard).toString() }
}

test('the client of ilp-protocol-stream: its words are asked about; a refusal ends its payment with the reason', async () => {
  const receiver = await node.incomingPayment(usd)
  onAsked = (event) => decide(event, true)
  assert.equal((await payAsClient(receiver, 'from a client')).sent, true)
  assert.equal(await received(receiver), 300n)
  assert.deepEqual(wordsFor(receiver), ['from a client'])

  const other = await node.incomingPayment(usd)
  onAsked = (event) => decide(event, false, 'we do not know you')
  const refused = await payAsClient(other, 'from a client')
  assert.equal(refused.sent, false)
  assert.equal(refused.heard, 'we do not know you')
  assert.equal(await received(other), 0n)
})

test('from node to node: confirmed words arrive with the payment; rejected ones end it for good, with the reason', async () => {
  const usdThere = await payer.asset('USD', 4)
  await payer.peer(usdThere, { address: 'test.node', endpoint: node.url, outgoingToken: from.token })
  const pay = async (receiver: TestReceiver, data: string) => {
    const input = {
      outgoingPaymentId: await payer.fundedPayment(usdThere, 500n),
      tenantId: payer.config.operatorTenantId,
      sourceAsset: usdThere,
      destination: { ...receiver, assetCode: 'USD', assetScale: 2 },
      debitAmount: 500n,
      receiveAmount: 300n,
      sentAmount: 0n,
      deliveredAmount: 0n,
      minRate: rate(99n, 100n),
      lowRate: identityRate,
      highRate: rate(1_001n, 1_000n),
      data,
      budgetMs: 5_000,
    }
    return await payer.client.send(input)
  }
  onAsked = (event) => decide(event, true)
  const receiver = await node.incomingPayment(usd, 300n)
  assert.equal((await pay(receiver, 'invoice 7')).status, 'done')
  assert.equal(await received(receiver), 300n)
  const words = wordsFor(receiver)
  assert.ok(words.length > 0 && words.every((text) => text === 'invoice 7'), words.join())

  const other = await node.incomingPayment(usd, 300n)
  onAsked = (event) => decide(event, false, 'sanctioned')
  const refused = await pay(other, 'invoice 8')
  assert.ok(refused.status === 'failed')
  assert.deepEqual(
    [refused.failure.code, refused.failure.retryable, refused.failure.message],
    ['application_error', false, 'the receiver declined: sanctioned'],
  )
  assert.equal(await received(other), 0n)
})

test('no log has any of these words', async () => {
  assert.ok(lines.some((line) => line.includes('payment stopped')))
  for (const words of ['nobody else may read this', 'from a client', 'invoice', 'für Bob'])
    assert.deepEqual(
      lines.filter((line) => line.includes(words)),
      [],
    )
})
