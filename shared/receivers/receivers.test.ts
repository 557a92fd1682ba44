import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { completeIncomingPayment, getIncomingPayment } from '../incoming-payments/index.ts'
import { Fault, uuidv7 } from '../platform/index.ts'
import { REMOTE_URL } from '../testing/fake-remote.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  completeReceiver,
  createReceiver,
  getReceiver,
  getReceiverToPay,
  getReceiverToQuote,
  getRecentReceiver,
  ReceiverRefusal,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(() => {
  const { remote } = world
  remote.answer = undefined
  remote.isGrantRefused = false
  remote.requests = []
  remote.publicReads = 0
  // Answers about authorization servers are kept for a while; each test starts without.
  world.clock.advance(60_000)
})
after(() => world.close())

const get = (url: string, tenantId = world.tenantId) => getReceiver(world.ctx, { tenantId, url })
const isRefusal =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof ReceiverRefusal && error.code === code && message.test(error.message)
const isUnreachable = (error: unknown) =>
  error instanceof Fault && error.code === 'receiver_unreachable' && error.retryable

test('a local incoming payment is read from the database, whichever way its URL is written', async () => {
  const { url, id } = await world.incoming(world.bob, 500n)
  const receiver = await get(url)
  assert.equal(receiver.local?.id, id)
  assert.equal(receiver.walletAddressUrl, world.bob.address)
  assert.deepEqual(receiver.asset, { assetCode: 'EUR', assetScale: 2 })
  assert.equal(receiver.incomingAmount?.value, 500n)
  assert.equal(receiver.completed, false)
  assert.deepEqual(receiver.methods, [])
  assert.equal((await get(`https://bank.example/incoming-payments/${id}`)).local?.id, id)
  assert.equal(world.remote.requests.length + world.remote.publicReads, 0)
})

test("another tenant's incoming payment can be paid by its URL, but not under a wrong tenant's", async () => {
  const other = await world.addTenant()
  const { url, id } = await world.incoming(other.wallet, 5n)
  assert.equal((await get(url)).local?.id, id)
  await assert.rejects(
    get(`https://bank.example/${world.tenantId}/incoming-payments/${id}`),
    isRefusal('unknown_receiver'),
  )
})

test('a local id that does not exist is unknown, and nobody else is asked', async () => {
  const url = `https://bank.example/${world.tenantId}/incoming-payments/${uuidv7()}`
  await assert.rejects(get(url), isRefusal('unknown_receiver'))
  assert.equal(world.remote.requests.length + world.remote.publicReads, 0)
})

test('a foreign host with a local id is asked, not believed to be local', async () => {
  const { id } = await world.incoming(world.carol, 5n)
  const foreign = world.remote.addPayment({ url: `${REMOTE_URL}/incoming-payments/${id}` })
  const receiver = await get(foreign.url)
  assert.equal(receiver.local, undefined)
  assert.equal(receiver.walletAddressUrl, `${REMOTE_URL}/bob`)
})

test('a remote incoming payment is read with a grant of the server that it names', async () => {
  const payment = world.remote.addPayment({
    incomingAmount: 700n,
    received: 200n,
    expiresAt: '2031-06-01T00:00:00.000Z',
    metadata: { ref: 'INV-7' },
  })
  const receiver = await get(payment.url)
  assert.deepEqual(
    {
      url: receiver.url,
      incoming: receiver.incomingAmount?.value,
      received: receiver.receivedAmount.value,
      expiresAt: receiver.expiresAt?.toISOString(),
      metadata: receiver.metadata,
      ilpAddress: receiver.methods[0]?.ilpAddress,
    },
    {
      url: payment.url,
      incoming: 700n,
      received: 200n,
      expiresAt: payment.expiresAt,
      metadata: payment.metadata,
      ilpAddress: 'test.remote.abc',
    },
  )
  const [request] = world.remote.requests
  assert.equal(request?.authServer, `${REMOTE_URL}/auth`)
  assert.deepEqual(request?.access, { type: 'incoming-payment', actions: ['read-all'] })
  assert.equal(request?.tenantId, world.tenantId)
})

test('the authorization server of a base is asked for once, the payment each time', async () => {
  const [one, two] = [world.remote.addPayment(), world.remote.addPayment()]
  await get(one.url)
  await get(two.url)
  await get(two.url)
  assert.equal(world.remote.publicReads, 1)
  assert.equal(world.remote.requests.length, 3)
})

test('what was read within the last two seconds will do where that is asked for', async () => {
  const { url } = world.remote.addPayment()
  await get(url)
  const recent = () => getRecentReceiver(world.ctx, { tenantId: world.tenantId, url })
  await recent()
  world.clock.advance(1_999)
  await recent()
  assert.equal(world.remote.requests.length, 1)
  world.clock.advance(1)
  await recent()
  assert.equal(world.remote.requests.length, 2)
  await get(url)
  assert.equal(world.remote.requests.length, 3)
  // A failure is not kept.
  world.clock.advance(2_000)
  world.remote.answer = 'unreachable'
  await assert.rejects(recent(), isUnreachable)
  world.remote.answer = undefined
  assert.equal((await recent()).url, url)
})

const garbage = ['', 'null', '[]', '{}', '{"id":1}', '{"id":"https://remote.example/incoming-payments/x"}']
test('a node that is away, overloaded or unreadable is a fault that may pass, never nothing', async () => {
  const { url } = world.remote.addPayment()
  await get(url)
  world.remote.answer = 'unreachable'
  await assert.rejects(get(url), isUnreachable)
  for (const status of [408, 429, 500, 502, 503]) {
    world.remote.answer = { status, body: 'busy' }
    await assert.rejects(get(url), isUnreachable)
  }
  for (const body of garbage) {
    world.remote.answer = { status: 200, body }
    await assert.rejects(get(url), isUnreachable, body)
  }
})

test('a node that names an authorization server that cannot be kept is unreadable', async () => {
  const { url } = world.remote.addPayment()
  for (const authServer of ['', 'x', `${REMOTE_URL}/\0`, `${REMOTE_URL}/${'x'.repeat(2048)}`]) {
    world.remote.answer = { status: 200, body: JSON.stringify({ authServer }) }
    await assert.rejects(get(url), isUnreachable, authServer)
    assert.equal(world.remote.requests.length, 0)
  }
})

test('amounts and dates of another node are parsed strictly', async () => {
  const { url } = world.remote.addPayment()
  await get(url)
  const good = {
    id: url,
    walletAddress: `${REMOTE_URL}/bob`,
    receivedAmount: { value: '0', assetCode: 'USD', assetScale: 2 },
    completed: false,
    createdAt: '2031-05-04T03:00:00.000Z',
  }
  const answer = (fields: object) => {
    world.remote.answer = { status: 200, body: JSON.stringify({ ...good, ...fields }) }
  }
  answer({})
  assert.equal((await get(url)).methods.length, 0)
  for (const fields of [
    { receivedAmount: { value: '-1', assetCode: 'USD', assetScale: 2 } },
    { receivedAmount: { value: '1', assetCode: 'USD', assetScale: 256 } },
    { incomingAmount: { value: '18446744073709551616', assetCode: 'USD', assetScale: 2 } },
    { incomingAmount: 5 },
    { incomingAmount: { value: '5', assetCode: 'EUR', assetScale: 2 } },
    { incomingAmount: { value: '5', assetCode: 'USD', assetScale: 3 } },
    { receivedAmount: { value: '0', assetCode: 'x'.repeat(256), assetScale: 2 } },
    // What parses and can neither be kept nor sent on.
    { receivedAmount: { value: '0', assetCode: 'U\0', assetScale: 2 } },
    { receivedAmount: { value: '0', assetCode: '\ud800', assetScale: 2 } },
    { metadata: { note: '\0' } },
    { completed: 'yes' },
    { expiresAt: 'soon' },
    { createdAt: undefined },
    { walletAddress: '' },
  ]) {
    answer(fields)
    await assert.rejects(get(url), isUnreachable, JSON.stringify(fields))
  }
  // Methods that cannot be used are left out; a good one beside them is found.
  const ilp = {
    type: 'ilp',
    ilpAddress: 'test.remote.x',
    sharedSecret: Buffer.alloc(32).toString('base64url'),
  }
  answer({
    methods: [
      null,
      { type: 'wire' },
      { ...ilp, ilpAddress: 'no address' },
      { ...ilp, sharedSecret: 'abc' },
      ilp,
    ],
  })
  assert.deepEqual((await get(url)).methods, [ilp])
})

test('what the other node refuses is said in its words', async () => {
  const { url } = world.remote.addPayment()
  await get(url)
  const refuse = (status: number, body: string) => {
    world.remote.answer = { status, body }
  }
  refuse(404, '{"error":{"code":"404","description":"Incoming payment does not exist"}}')
  await assert.rejects(get(url), isRefusal('unknown_receiver', /Incoming payment does not exist/))
  refuse(403, '{"error":{"code":"403","description":"Insufficient Grant"}}')
  await assert.rejects(get(url), isRefusal('receiver_forbidden', /Insufficient Grant/))
  refuse(400, 'Bad Request')
  await assert.rejects(get(url), isRefusal('receiver_refused', /400: Bad Request/))
  world.remote.answer = undefined
  world.remote.isGrantRefused = true
  await assert.rejects(get(url), isRefusal('receiver_forbidden', /no grant for strangers/))
})

test("this node's own database being away is not the receiver's fault", async () => {
  const { url } = world.remote.addPayment()
  const away = new Fault('database_unavailable', { retryable: true })
  const grants = {
    ...world.remote.grants,
    request: async () => {
      throw away
    },
  }
  await assert.rejects(getReceiver({ ...world.ctx, grants }, { tenantId: world.tenantId, url }), away)
})

test('a remote payment that does not exist is unknown', async () => {
  await assert.rejects(get(`${REMOTE_URL}/incoming-payments/${uuidv7()}`), isRefusal('unknown_receiver'))
})

const create = (walletAddressUrl: string, fields: object = {}) =>
  createReceiver(world.ctx, { tenantId: world.tenantId, walletAddressUrl, ...fields })

test('a receiver is created at an own wallet address', async () => {
  const incomingAmount = { value: 12n, assetCode: 'EUR', assetScale: 2 }
  const receiver = await create(world.bob.address, { incomingAmount, metadata: { ref: 'x' } })
  assert.equal(receiver.local?.walletAddressId, world.bob.id)
  assert.equal(receiver.url, `https://bank.example/${world.tenantId}/incoming-payments/${receiver.local?.id}`)
  assert.equal((await get(receiver.url)).incomingAmount?.value, 12n)
})

test('a receiver is created at another node', async () => {
  const incomingAmount = { value: 12n, assetCode: 'USD', assetScale: 2 }
  const expiresAt = new Date('2031-05-05T00:00:00.000Z')
  const receiver = await create(`${REMOTE_URL}/bob`, { incomingAmount, expiresAt, metadata: { ref: 'x' } })
  assert.equal(receiver.local, undefined)
  assert.deepEqual(
    [receiver.incomingAmount?.value, receiver.expiresAt, receiver.metadata],
    [12n, expiresAt, { ref: 'x' }],
  )
  assert.equal(receiver.methods.length, 1)
  assert.equal((await get(receiver.url)).url, receiver.url)
})

test('what its node said when a receiver was made will do for one quote, unless it cannot be paid or was completed since', async () => {
  const toQuote = (url: string) => getReceiverToQuote(world.ctx, { tenantId: world.tenantId, url })
  const recent = (url: string) => getRecentReceiver(world.ctx, { tenantId: world.tenantId, url })
  const made = await create(`${REMOTE_URL}/bob`, {
    incomingAmount: { value: 12n, assetCode: 'USD', assetScale: 2 },
  })
  assert.deepEqual(await toQuote(made.url), made)
  assert.deepEqual(await recent(made.url), made)
  const methods = () => world.remote.requests.map(({ method }) => method)
  assert.deepEqual(methods(), ['POST'])
  // It may have been paid since.
  const payment = world.remote.payments.get(made.url)
  assert.ok(payment)
  payment.received = 5n
  assert.equal((await toQuote(made.url)).receivedAmount.value, 5n)
  assert.equal((await toQuote(made.url)).receivedAmount.value, 5n)
  assert.deepEqual(methods(), ['POST', 'GET', 'GET'])
  const other = await create(`${REMOTE_URL}/bob`)
  world.clock.advance(2_000)
  await toQuote(other.url)
  assert.deepEqual(methods(), ['POST', 'GET', 'GET', 'POST', 'GET'])
  await completeReceiver(world.ctx, { tenantId: world.tenantId, url: made.url })
  assert.equal((await recent(made.url)).completed, true)
  // A node that says only later how it is paid.
  const { url } = world.remote.addPayment()
  const answer = {
    id: url,
    walletAddress: `${REMOTE_URL}/bob`,
    completed: false,
    createdAt: '2031-05-04T03:00:00.000Z',
  }
  const receivedAmount = { value: '0', assetCode: 'USD', assetScale: 2 }
  world.remote.answer = { status: 201, body: JSON.stringify({ ...answer, receivedAmount }) }
  assert.equal((await create(`${REMOTE_URL}/bob`)).methods.length, 0)
  world.remote.answer = undefined
  assert.equal((await recent(url)).methods.length, 1)
})

test('for one payment it will do too, unless anybody asked for the receiver since', async () => {
  const toPay = (url: string) => getReceiverToPay(world.ctx, { tenantId: world.tenantId, url })
  const reads = () => world.remote.requests.filter(({ method }) => method === 'GET').length
  const made = await create(`${REMOTE_URL}/bob`)
  await getReceiverToQuote(world.ctx, { tenantId: world.tenantId, url: made.url })
  assert.deepEqual(await toPay(made.url), made)
  assert.equal(reads(), 0)
  const payment = world.remote.payments.get(made.url)
  assert.ok(payment)
  payment.received = 5n
  assert.equal((await toPay(made.url)).receivedAmount.value, 5n)
  assert.equal(reads(), 1)
  const asked = await create(`${REMOTE_URL}/bob`)
  await get(asked.url)
  await toPay(asked.url)
  assert.equal(reads(), 3)
  const old = await create(`${REMOTE_URL}/bob`)
  world.clock.advance(2_000)
  await toPay(old.url)
  assert.equal(reads(), 4)
})

test("unknown wallet addresses, and another tenant's, are unknown", async () => {
  const other = await world.addTenant()
  const urls = [
    `${REMOTE_URL}/nobody`,
    'https://nowhere.example/x',
    'nonsense',
    'ftp://remote.example/bob',
    other.wallet.address,
  ]
  for (const url of urls) await assert.rejects(create(url), isRefusal('unknown_wallet_address'), url)
})

test('what another node refuses to create is said in its words; its being away is a fault', async () => {
  const incomingAmount = { value: 12n, assetCode: 'XAU', assetScale: 2 }
  await assert.rejects(
    create(`${REMOTE_URL}/bob`, { incomingAmount }),
    isRefusal('receiver_refused', /invalid amount/),
  )
  world.remote.answer = 'unreachable'
  await assert.rejects(create(`${REMOTE_URL}/bob`), isUnreachable)
})

test('a receiver is completed, here and there, once', async () => {
  const complete = (url: string, tenantId = world.tenantId) => completeReceiver(world.ctx, { tenantId, url })
  const local = await world.incoming(world.carol, 5n)
  assert.equal((await complete(local.url)).completed, true)
  assert.equal((await getIncomingPayment(world.ctx, 'all', local.id)).state, 'COMPLETED')
  await assert.rejects(complete(local.url), isRefusal('receiver_wrong_state'))
  const { url } = world.remote.addPayment()
  assert.equal((await complete(url)).completed, true)
  await assert.rejects(complete(url), isRefusal('receiver_wrong_state'))
  await assert.rejects(
    complete(`https://bank.example/${world.tenantId}/incoming-payments/${uuidv7()}`),
    isRefusal('unknown_receiver'),
  )
})

test("another tenant's incoming payment cannot be completed", async () => {
  const { url, id } = await world.incoming(world.carol, 5n)
  await assert.rejects(
    completeReceiver(world.ctx, { tenantId: uuidv7(), url }),
    isRefusal('unknown_receiver'),
  )
  const misplaced = `https://bank.example/${uuidv7()}/incoming-payments/${id}`
  await assert.rejects(
    completeReceiver(world.ctx, { tenantId: world.tenantId, url: misplaced }),
    isRefusal('unknown_receiver'),
  )
  const bare = `https://bank.example/incoming-payments/${id}`
  await assert.rejects(
    completeReceiver(world.ctx, { tenantId: uuidv7(), url: bare }),
    isRefusal('unknown_receiver'),
  )
  assert.equal(
    (await completeIncomingPayment(world.ctx, { tenantId: world.tenantId }, id)).state,
    'COMPLETED',
  )
})
