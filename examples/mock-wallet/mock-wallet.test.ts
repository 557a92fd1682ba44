import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import {
  parseHmacSignature,
  signHmac,
  silentLogger,
  uuidv7,
  verifyHmacDigest,
} from '../../shared/platform/index.ts'
import { startTestHttpServer, waitFor } from '../../shared/testing/index.ts'
import { AdminApiError, createAdminClient } from './admin-client.ts'
import { type MockWallet, type MockWalletOptions, startMockWallet, type WalletEvent } from './index.ts'

const webhookSecret = 'webhook secret'
const adminSecret = 'admin secret'
const tenantId = uuidv7()
const walletAddressId = uuidv7()
const toClose: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
})

interface Call {
  operation: string
  input: Record<string, unknown>
}
type Answer = (call: Call) => object | Promise<object>
const success: Answer = () => ({ data: { result: { success: true } } })
const refusal = (code: string, reason?: string) => ({
  errors: [{ message: 'no', extensions: { code, ...(reason && { reason }) } }],
})

/** An Admin API that checks signatures and notes what is asked, in front of a wallet. */
async function setUp(answer: Answer = success, options: Partial<MockWalletOptions> = {}) {
  const calls: Call[] = []
  const node = await startTestHttpServer(async ({ headers, body }) => {
    const parsed = JSON.parse(body) as { query: string; variables: { input: Record<string, unknown> } }
    const signature = parseHmacSignature(headers.signature)
    assert.equal(headers['tenant-id'], tenantId)
    assert.ok(signature && verifyHmacDigest(signature, { secret: adminSecret, body: parsed }))
    const call = { operation: /\{\s*(\w+)\(/.exec(parsed.query)?.[1] ?? '', input: parsed.variables.input }
    calls.push(call)
    return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(await answer(call)) }
  })
  const wallet = await startMockWallet({
    port: 0,
    webhookSecret,
    adminUrl: `${node.url}/graphql`,
    tenantId,
    adminSecret,
    rates: { USD: { EUR: '0.91', KES: '129.0000000000000000001' } },
    log: silentLogger,
    openingBalance: 1_000n,
    ...options,
  })
  toClose.push(node, wallet)
  return { calls, wallet }
}

const amount = (value: bigint) => ({ value: value.toString(), assetCode: 'USD', assetScale: 2 })
const paymentId = uuidv7()
const outgoing = (state: 'created' | 'completed' | 'failed', sent = 0n, balance = 0n): WalletEvent => ({
  id: uuidv7(),
  type: `outgoing_payment.${state}`,
  data: {
    id: paymentId,
    walletAddressId,
    debitAmount: amount(400n),
    sentAmount: amount(sent),
    balance: balance.toString(),
  },
})
const incoming = (state: 'completed' | 'expired', received: bigint): WalletEvent => ({
  id: uuidv7(),
  type: `incoming_payment.${state}`,
  data: { id: uuidv7(), walletAddressId, receivedAmount: amount(received) },
})

const signatureOf = (event: WalletEvent, timestampMs = Date.now(), secret = webhookSecret) =>
  signHmac({ secret, version: 1, timestampMs, body: event })

async function post(wallet: MockWallet, event: object, signature: string | undefined): Promise<number> {
  const response = await fetch(`http://localhost:${wallet.port}/webhooks`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(signature !== undefined && { 'rafiki-signature': signature }),
    },
    body: JSON.stringify(event),
  })
  await response.text()
  return response.status
}
const send = (wallet: MockWallet, event: WalletEvent) => post(wallet, event, signatureOf(event))

test('a payment is funded, settled and refunded, however often its events come', async () => {
  const { calls, wallet } = await setUp()
  const created = outgoing('created')
  const completed = outgoing('completed', 350n, 50n)
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => send(wallet, created))), [200, 200, 200])
  assert.deepEqual(wallet.account(walletAddressId), { balance: 1_000n, held: 400n })
  for (let repeat = 0; repeat < 3; repeat++) assert.equal(await send(wallet, completed), 200)
  assert.deepEqual(wallet.account(walletAddressId), { balance: 650n, held: 0n })
  assert.deepEqual(calls, [
    {
      operation: 'depositOutgoingPaymentLiquidity',
      input: { outgoingPaymentId: paymentId, idempotencyKey: created.id },
    },
    {
      operation: 'createOutgoingPaymentWithdrawal',
      input: { outgoingPaymentId: paymentId, timeoutSeconds: 0, idempotencyKey: completed.id },
    },
  ])
  assert.deepEqual(
    wallet.events.map(({ id }) => id),
    [created.id, completed.id],
  )
})

test('a payment that used everything has nothing to withdraw', async () => {
  const { calls, wallet } = await setUp()
  await send(wallet, outgoing('created'))
  await send(wallet, outgoing('completed', 400n, 0n))
  assert.equal(calls.length, 1)
  assert.deepEqual(wallet.account(walletAddressId), { balance: 600n, held: 0n })
})

test('a payment that failed gives the money back', async () => {
  const { wallet } = await setUp()
  await send(wallet, outgoing('created'))
  await send(wallet, outgoing('failed', 0n, 400n))
  assert.deepEqual(wallet.account(walletAddressId), { balance: 1_000n, held: 0n })
})

test('a created event that comes again behind the end of its payment holds nothing', async () => {
  let isFirst = true
  const { wallet } = await setUp(({ operation }) => {
    // The deposit is made, and its answer is lost.
    const isLost = isFirst && operation === 'depositOutgoingPaymentLiquidity'
    isFirst = false
    return isLost ? refusal('INTERNAL_SERVER_ERROR') : { data: { result: { success: true } } }
  })
  const created = outgoing('created')
  assert.equal(await send(wallet, created), 500)
  assert.deepEqual(wallet.account(walletAddressId), { balance: 1_000n, held: 400n })
  assert.equal(await send(wallet, outgoing('completed', 350n, 50n)), 200)
  assert.equal(await send(wallet, created), 200)
  assert.deepEqual(wallet.account(walletAddressId), { balance: 650n, held: 0n })
})

test('a payment beyond the customer’s means is cancelled, and what is held counts', async () => {
  const { calls, wallet } = await setUp(success, { openingBalance: 700n })
  await send(wallet, outgoing('created'))
  const second = outgoing('created')
  second.data.id = uuidv7()
  assert.equal(await send(wallet, second), 200)
  assert.deepEqual(calls[1], {
    operation: 'cancelOutgoingPayment',
    input: { id: second.data.id, reason: 'insufficient funds' },
  })
  assert.deepEqual(wallet.account(walletAddressId), { balance: 700n, held: 400n })
})

test('what arrives is withdrawn and then credited, once', async () => {
  const { calls, wallet } = await setUp()
  for (const event of [incoming('completed', 25n), incoming('expired', 3n)]) {
    assert.deepEqual(await Promise.all([send(wallet, event), send(wallet, event)]), [200, 200])
    assert.deepEqual(calls.at(-1), {
      operation: 'createIncomingPaymentWithdrawal',
      input: { incomingPaymentId: event.data.id, timeoutSeconds: 0, idempotencyKey: event.id },
    })
  }
  assert.equal(calls.length, 2)
  assert.equal(wallet.account(walletAddressId).balance, 1_028n)
})

test('while the node does not answer properly, an event is not handled and comes again', async () => {
  const answers = [refusal('INTERNAL_SERVER_ERROR'), refusal('CONFLICT', 'idempotency_in_progress')]
  const { calls, wallet } = await setUp((call) => answers.shift() ?? success(call))
  const event = incoming('completed', 25n)
  assert.deepEqual([await send(wallet, event), await send(wallet, event)], [500, 500])
  assert.equal(wallet.account(walletAddressId).balance, 1_000n)
  assert.equal(await send(wallet, event), 200)
  assert.equal(wallet.account(walletAddressId).balance, 1_025n)
  assert.deepEqual(new Set(calls.map(({ input }) => input.idempotencyKey)), new Set([event.id]))
  assert.equal(wallet.events.length, 1)
})

test('after a deposit with an unknown end the money stays held; refused for good, it is free again', async () => {
  const answers = [refusal('INTERNAL_SERVER_ERROR'), refusal('CONFLICT', 'wrong_state')]
  const { wallet } = await setUp((call) => answers.shift() ?? success(call))
  const event = outgoing('created')
  assert.equal(await send(wallet, event), 500)
  assert.equal(wallet.account(walletAddressId).held, 400n)
  assert.equal(await send(wallet, event), 200)
  assert.equal(wallet.account(walletAddressId).held, 0n)
})

test('money that the node will not give is not credited', async () => {
  const { wallet } = await setUp(() => refusal('FORBIDDEN', 'nothing_to_withdraw'))
  assert.equal(await send(wallet, incoming('completed', 25n)), 200)
  assert.equal(wallet.account(walletAddressId).balance, 1_000n)
})

test('deposits can be held back, and the wallet says when everything is handled', async () => {
  const seen: string[] = []
  const { calls, wallet } = await setUp(success, { onEvent: ({ type }) => seen.push(type) })
  const resume = wallet.holdDeposits()
  const answered = send(wallet, outgoing('created'))
  await waitFor(() => seen.length === 1)
  let settled = false
  const settling = wallet.settled().then(() => {
    settled = true
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.deepEqual({ calls: calls.length, settled }, { calls: 0, settled: false })
  resume()
  assert.equal(await answered, 200)
  await settling
  assert.equal(calls.length, 1)
})

test('only a fresh signature over exactly this event is believed', async () => {
  const { calls, wallet } = await setUp()
  const event = incoming('completed', 25n)
  const now = Date.now()
  const refused: [string, string | undefined][] = [
    ['none', undefined],
    ['of another secret', signatureOf(event, now, 'another')],
    ['of another event', signatureOf({ ...event, id: uuidv7() }, now)],
    ['too old', signatureOf(event, now - 301_000)],
    ['too far ahead', signatureOf(event, now + 301_000)],
    ['in seconds', signatureOf(event, Math.floor(now / 1000))],
    ['of another version', signatureOf(event, now).replace('v1=', 'v2=')],
    ['with something appended', `${signatureOf(event, now)}, v1=00`],
    ['cut short', signatureOf(event, now).slice(0, -2)],
  ]
  for (const [what, signature] of refused) assert.equal(await post(wallet, event, signature), 401, what)
  assert.equal(await post(wallet, { id: 1, type: 'x', data: {} }, 'x'), 400)
  assert.equal(await post(wallet, { ...event, data: [] }, 'x'), 400)
  assert.equal(calls.length, 0)
  // Only these three fields are signed, so a field beside them can say nothing.
  assert.equal(await post(wallet, { ...event, extra: true }, signatureOf(event)), 200)
  assert.equal(await post(wallet, event, signatureOf(event, now - 290_000)), 200)
})

test('an event that the wallet does not know is accepted', async () => {
  const { calls, wallet } = await setUp()
  assert.equal(await send(wallet, { id: uuidv7(), type: 'peer.liquidity_low', data: {} }), 200)
  assert.equal(await send(wallet, { id: uuidv7(), type: 'something.new', data: {} }), 200)
  assert.equal(calls.length, 0)
  // An event that lacks what it must have is not: nobody knows what it asks for.
  assert.equal(await send(wallet, { id: uuidv7(), type: 'incoming_payment.completed', data: {} }), 500)
})

test('rates have the digits of the table', async () => {
  const { wallet } = await setUp()
  const ask = (query: string) => fetch(`http://localhost:${wallet.port}/rates${query}`)
  const answer = await ask('?base=USD')
  assert.equal(answer.headers.get('content-type')?.split(';')[0], 'application/json')
  assert.equal(await answer.text(), '{"base":"USD","rates":{"EUR":0.91,"KES":129.0000000000000000001}}')
  assert.equal((await ask('?base=XXX')).status, 404)
  assert.equal((await ask('?base=toString')).status, 404)
  assert.equal((await ask('')).status, 400)
})

test('the admin client tells refusals from failures', async () => {
  let answer: { status?: number; body: string } = { body: '{"data":{"n":"1"}}' }
  const server = await startTestHttpServer(() => answer)
  toClose.push(server)
  const admin = createAdminClient({ url: server.url, tenantId, secret: adminSecret })
  assert.deepEqual(await admin.graphql('{ n }'), { n: '1' })
  assert.deepEqual(JSON.parse(server.requests[0]?.body ?? ''), { query: '{ n }', variables: {} })
  const failureOf = async (next: typeof answer) => {
    answer = next
    const error = await admin.graphql('{ n }').catch((reason: unknown) => reason)
    assert.ok(error instanceof AdminApiError)
    const { code, reason, isFinal } = error
    return { code, reason, isFinal }
  }
  assert.deepEqual(await failureOf({ body: JSON.stringify(refusal('NOT_FOUND', 'unknown_asset')) }), {
    code: 'NOT_FOUND',
    reason: 'unknown_asset',
    isFinal: true,
  })
  assert.deepEqual(await failureOf({ status: 401, body: 'Unauthorized' }), {
    code: 'HTTP_401',
    reason: undefined,
    isFinal: false,
  })
  assert.equal((await failureOf({ body: '{"data":null}' })).isFinal, false)
  const passing = { code: 'BAD_USER_INPUT', reason: 'receiver_unreachable', retryable: true }
  const body = JSON.stringify({ errors: [{ message: 'away', extensions: passing }] })
  assert.equal((await failureOf({ body })).isFinal, false)
})
