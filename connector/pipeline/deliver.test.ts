import assert from 'node:assert/strict'
import { after, afterEach, before, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAsset } from '../../shared/assets/index.ts'
import { completeIncomingPayment, getIncomingPayment } from '../../shared/incoming-payments/index.ts'
import type { CreateTransferStatus, Ledger, TransferEvent } from '../../shared/ledger/index.ts'
import { createPeer } from '../../shared/peers/index.ts'
import { Fault, uuidv7 } from '../../shared/platform/index.ts'
import { createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import { createTenant, setTenantSettings } from '../../shared/tenants/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { type IlpPrepare, type IlpReply, isFulfill, isReject, serializePrepare } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { openStreamPacket } from '../stream/encryption.ts'
import { fulfilWithData, postBytes, postPrepare, startTestHop, testPrepare } from '../testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver } from '../testing/test-node.ts'

interface Faults {
  /** After accounts were looked up. */
  lookup?: () => Promise<unknown>
  before?: (events: readonly TransferEvent[]) => unknown
  after?: (events: readonly TransferEvent[]) => void
  progress?: () => void
  /** What the ledger says in place of the truth. */
  statuses?: (given: CreateTransferStatus[]) => CreateTransferStatus[]
}
let faults: Faults = {}
/** Accounts that the ledger was asked for, by themselves and by transfers. */
const askedFor: { alone: string[]; withTransfers: string[] } = { alone: [], withTransfers: [] }
let transferLookups = 0
const faulty = (ledger: Ledger): Ledger => ({
  ...ledger,
  async createAccounts(accounts) {
    askedFor.alone.push(...accounts.map(({ id }) => id))
    return await ledger.createAccounts(accounts)
  },
  async lookupAccounts(ids) {
    const found = await ledger.lookupAccounts(ids)
    await faults.lookup?.()
    return found
  },
  async lookupTransfers(ids) {
    transferLookups++
    return await ledger.lookupTransfers(ids)
  },
  async createTransfers(events) {
    for (const event of events)
      if ('needs' in event) askedFor.withTransfers.push(...(event.needs ?? []).map(({ id }) => id))
    await faults.before?.(events)
    const statuses = await ledger.createTransfers(events)
    faults.after?.(events)
    return faults.statuses?.(statuses) ?? statuses
  },
})
const unknown = () => new Fault('ledger_outcome_unknown', { retryable: true })

let database: TestDatabase
let node: TestNode
let rates: TestHttpServer
let usd: LedgerAsset
let eur: LedgerAsset
let from: { id: string; token: string }
let progressCalls = 0

before(async () => {
  database = await createTestDatabase('resources')
  rates = await startTestHttpServer(() => ({ body: '{"base":"USD","rates":{"EUR":0.9}}' }))
  node = await startTestNode({
    connectionString: database.connectionString,
    env: { EXCHANGE_RATES_URL: rates.url },
    change: (ctx) => ({
      ledger: faulty(ctx.ledger),
      async writeProgress(progress) {
        progressCalls++
        faults.progress?.()
        await ctx.writeProgress(progress)
      },
    }),
  })
  usd = await node.asset('USD', 2)
  eur = await node.asset('EUR', 2, 1_000_000n)
  from = await node.peer(usd, { address: 'test.a', liquidity: 1_000_000n })
})

after(async () => {
  await node.close()
  await rates.close()
  await database.drop()
})

afterEach(() => {
  letCreditsGo()
  faults = {}
})

/** A connector of the same node that remembers nothing of what this one did. */
async function startFresh(t: TestContext, env: Record<string, string> = {}): Promise<TestNode> {
  const fresh = await startTestNode({ connectionString: database.connectionString, env })
  t.after(() => fresh.close())
  return fresh
}

interface SendOptions {
  minimumAmount?: bigint
  lifeMs?: number
  fulfillable?: boolean
  token?: string
  url?: string
  close?: boolean
}

/** One STREAM packet as a sender makes it, posted by the peer. Gives the Prepare too, so that it can be sent again. */
async function send(
  receiver: Pick<TestReceiver, 'ilpAddress' | 'sharedSecret'>,
  amount: bigint,
  options: SendOptions = {},
) {
  let prepare: IlpPrepare | undefined
  const answer = await exchangePacket(
    openConnection(receiver),
    (sent) => {
      prepare = sent
      return postPrepare(options.url ?? node.url, options.token ?? from.token, sent)
    },
    {
      amount,
      minimumAmount: options.minimumAmount ?? 0n,
      expiresAt: new Date(Date.now() + (options.lifeMs ?? 20_000)),
      frames: options.close ? [{ type: 'connectionClose', errorCode: 1, errorMessage: '' }] : [],
      fulfillable: options.fulfillable ?? true,
    },
  )
  assert.ok(prepare)
  return { ...answer, prepare }
}

const state = async (receiver: TestReceiver) => {
  const payment = await getIncomingPayment(node.node, 'all', receiver.payment.id)
  return [payment.state, payment.receivedAmount.value]
}

const codeOf = (reply: IlpReply): string => {
  assert.ok(isReject(reply), 'must be rejected')
  return reply.code
}

test('a packet for an incoming payment is credited and fulfilled, and the state follows', async () => {
  const receiver = await node.incomingPayment(usd)
  const before = await node.balance(from.id)
  const { reply, authentic } = await send(receiver, 300n)
  assert.ok(isFulfill(reply))
  assert.equal(authentic?.amount, 300n)
  assert.deepEqual(await state(receiver), ['PROCESSING', 300n])
  assert.equal(await node.balance(from.id), before - 300n)
  assert.ok(isFulfill((await send(receiver, 5n)).reply))
  assert.deepEqual(await state(receiver), ['PROCESSING', 305n])
})

test('the account of a payee is made with its first credit; one that is there with other fields is as good', async () => {
  for (const asset of [usd, eur]) {
    const fresh = await node.incomingPayment(asset)
    const odd = await node.incomingPayment(asset)
    const account = { id: odd.payment.id, ledger: asset.ledger, code: 9, debitsMustNotExceedCredits: true }
    assert.deepEqual(await node.node.ledger.createAccounts([account]), ['created'])
    for (const { receiver, asked } of [
      { receiver: fresh, asked: 1 },
      { receiver: odd, asked: 0 },
    ]) {
      const { id } = receiver.payment
      askedFor.withTransfers = []
      for (let packet = 0; packet < 3; packet++) assert.ok(isFulfill((await send(receiver, 100n)).reply))
      assert.deepEqual(
        askedFor.withTransfers.filter((each) => each === id),
        Array(asked).fill(id),
      )
      assert.ok(!askedFor.alone.includes(id))
      assert.ok(((await node.balance(id)) ?? 0n) >= 270n)
    }
  }
})

test('an account that comes up with other fields between the look and the credit takes the money all the same', async () => {
  const receiver = await node.incomingPayment(usd)
  const { id } = receiver.payment
  const account = { id, ledger: usd.ledger, code: 9, debitsMustNotExceedCredits: true }
  let calls = 0
  faults = { lookup: () => node.node.ledger.createAccounts([account]), before: () => void calls++ }
  assert.ok(isFulfill((await send(receiver, 100n)).reply))
  assert.equal(calls, 2)
  assert.equal(await node.balance(id), 100n)
})

test('500 wanted: 300 and then 900 are both taken, everything later is refused', async () => {
  const receiver = await node.incomingPayment(usd, 500n)
  assert.ok(isFulfill((await send(receiver, 300n)).reply))
  assert.ok(isFulfill((await send(receiver, 900n)).reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 1200n])
  const late = await send(receiver, 10n)
  assert.deepEqual(late.reply, {
    code: 'F02',
    triggeredBy: 'test.node',
    message: 'destination account is in an incorrect state',
    data: Buffer.alloc(0),
  })
  // A packet of nothing still tells the sender what it asks.
  assert.ok(isFulfill((await send(receiver, 0n)).reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 1200n])
})

test('F2: while the state has not followed, later packets are declined authentically and without close', async () => {
  const receiver = await node.incomingPayment(usd, 500n)
  faults = {
    progress: () => {
      throw new Fault('database_unavailable', { retryable: true })
    },
  }
  const startedMs = Date.now()
  assert.ok(isFulfill((await send(receiver, 500n)).reply))
  // The record is not waited for longer than a second.
  assert.ok(Date.now() - startedMs < 2_000)
  const declined = await send(receiver, 10n)
  assert.equal(codeOf(declined.reply), 'F99')
  assert.deepEqual(declined.authentic?.frames, [])
  assert.deepEqual(await state(receiver), ['PENDING', 500n])
  faults = {}
  // The record is tried again without any packet.
  await waitFor(async () => (await state(receiver))[0] === 'COMPLETED')
  await waitFor(async () => codeOf((await send(receiver, 10n)).reply) === 'F02')
})

test('the state is recorded when it changes, not with every packet', async () => {
  const receiver = await node.incomingPayment(usd, 50n)
  progressCalls = 0
  for (let packet = 0; packet < 5; packet++) assert.ok(isFulfill((await send(receiver, 10n)).reply))
  assert.equal(progressCalls, 2)
  assert.deepEqual(await state(receiver), ['COMPLETED', 50n])
})

test('F25: of many packets at once only those that are wanted are credited, and the end is announced with all of them', async () => {
  const receiver = await node.incomingPayment(usd, 100n)
  const answers = await Promise.all(Array.from({ length: 40 }, () => send(receiver, 30n)))
  const fulfilled = answers.filter(({ reply }) => isFulfill(reply)).length
  // 30, 60, 90 and the one that reaches 100.
  assert.equal(fulfilled, 4)
  for (const { reply } of answers)
    if (isReject(reply)) assert.ok(['F99', 'F02'].includes(reply.code), reply.code)
  assert.deepEqual(await state(receiver), ['COMPLETED', 120n])
})

let letCreditsGo: () => void = () => undefined

/** Credits of this amount wait in front of the ledger until they are let go. */
function holdCredits(amount: bigint) {
  const { promise, resolve: letGo } = Promise.withResolvers<void>()
  letCreditsGo = letGo
  const { promise: isHeld, resolve: held } = Promise.withResolvers<void>()
  const before = (events: readonly TransferEvent[]) => {
    if (!events.some((event) => 'amount' in event && event.amount === amount)) return undefined
    held()
    return promise
  }
  return { before, isHeld, letGo }
}

/** A payment of which 40 are on their way and 60 were credited without an answer: nobody knows whether there is room for more. */
async function startUnclear(incomingAmount: bigint) {
  const receiver = await node.incomingPayment(usd, incomingAmount)
  const { before, isHeld, letGo } = holdCredits(40n)
  let lost = false
  faults = {
    before,
    after: (events) => {
      if (lost || !events.some((event) => 'amount' in event && event.amount === 60n)) return
      lost = true
      throw unknown()
    },
  }
  const first = send(receiver, 40n)
  await isHeld
  assert.ok(isFulfill((await send(receiver, 60n)).reply))
  assert.ok(lost)
  return { receiver, first, letGo }
}

test('F25: a credit whose answer was lost counts while others are on their way: nothing comes in after the payment is full', async () => {
  const { receiver, first, letGo } = await startUnclear(100n)
  const late = [send(receiver, 10n), send(receiver, 20n)]
  assert.equal(await Promise.race([...late, sleep(300)]), undefined)
  letGo()
  assert.ok(isFulfill((await first).reply))
  for (const { reply } of await Promise.all(late)) assert.match(codeOf(reply), /^F99$|^F02$/)
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
})

test('F25: it waits no longer than until it is clear: that there is room after all', async (t) => {
  const receiver = await node.incomingPayment(usd, 120n)
  const fresh = await startFresh(t)
  // What another connector credited comes again here, and could count twice.
  const known = await send(receiver, 60n, { url: fresh.url })
  const { before, isHeld, letGo } = holdCredits(40n)
  faults = { before }
  const first = send(receiver, 40n)
  await isHeld
  assert.ok(isFulfill(await postPrepare(node.url, from.token, known.prepare)))
  const late = send(receiver, 10n)
  assert.equal(await Promise.race([late, sleep(300)]), undefined)
  letGo()
  for (const { reply } of await Promise.all([first, late])) assert.ok(isFulfill(reply))
  assert.deepEqual(await state(receiver), ['PROCESSING', 110n])
})

test('F25: a packet that waits for others does not outlive its own time', async () => {
  const { receiver, first, letGo } = await startUnclear(100n)
  const answer = await Promise.race([send(receiver, 10n, { lifeMs: 400 }), sleep(2_000)])
  assert.equal(answer && codeOf(answer.reply), 'R00')
  letGo()
  assert.ok(isFulfill((await first).reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
})

test('F26: a packet that waits while its payment ends is refused', async () => {
  const { receiver, first, letGo } = await startUnclear(100n)
  const late = send(receiver, 10n)
  assert.equal(await Promise.race([late, sleep(600)]), undefined)
  await completeIncomingPayment(node.node, 'all', receiver.payment.id)
  letGo()
  assert.equal(codeOf((await late).reply), 'F02')
  await first
})

test('what was credited does not wait for others when it comes again', async (t) => {
  const fresh = await startFresh(t)
  const { receiver, first, letGo } = await startUnclear(100n)
  const { reply, prepare } = await send(receiver, 30n, { url: fresh.url })
  assert.ok(isFulfill(reply))
  const again = await Promise.race([postPrepare(node.url, from.token, prepare), sleep(2_000)])
  assert.ok(again && isFulfill(again))
  letGo()
  assert.ok(isFulfill((await first).reply))
  // Two connectors each counted their own.
  assert.deepEqual(await state(receiver), ['COMPLETED', 130n])
})

test('what was credited stays fulfilled when its payment ends while it comes again', async (t) => {
  const fresh = await startFresh(t)
  const receiver = await node.incomingPayment(usd)
  const { reply, prepare } = await send(receiver, 50n, { url: fresh.url })
  assert.ok(isFulfill(reply))
  let ended = false
  faults = {
    lookup: async () => {
      if (ended) return
      ended = true
      await completeIncomingPayment(fresh.node, 'all', receiver.payment.id)
      // What was read of its state is too old to credit by now.
      await sleep(600)
    },
  }
  assert.ok(isFulfill(await postPrepare(node.url, from.token, prepare)))
  assert.ok(ended)
  assert.deepEqual(await state(receiver), ['COMPLETED', 50n])
})

test('F2: where a step breaks, what was credited before gets no Reject; a new packet gets one, and keeps it', async (t) => {
  const fresh = await startFresh(t)
  const receiver = await node.incomingPayment(usd)
  const { prepare } = await send(receiver, 50n, { url: fresh.url })
  const broken = () => Promise.reject(new Fault('database_unavailable', { retryable: true }))
  faults = { lookup: broken }
  await assert.rejects(postPrepare(node.url, from.token, prepare), /HTTP 500/)
  const refused = await send(receiver, 10n)
  assert.equal(codeOf(refused.reply), 'T00')
  faults = {}
  assert.ok(isFulfill(await postPrepare(node.url, from.token, prepare)))
  assert.deepEqual(await postPrepare(node.url, from.token, refused.prepare), refused.reply)
  assert.deepEqual(await state(receiver), ['PROCESSING', 50n])
})

test('what this connector rejected and another one has taken since is fulfilled', async (t) => {
  const fresh = await startFresh(t)
  const receiver = await node.incomingPayment(usd)
  faults = { lookup: () => Promise.reject(new Fault('ledger_unavailable', { retryable: true })) }
  const refused = await send(receiver, 60n)
  assert.equal(codeOf(refused.reply), 'T00')
  faults = {}
  assert.ok(isFulfill(await postPrepare(fresh.url, from.token, refused.prepare)))
  const repeats = await Promise.all([1, 2].map(() => postPrepare(node.url, from.token, refused.prepare)))
  assert.ok(repeats.every(isFulfill))
  assert.deepEqual(await state(receiver), ['PROCESSING', 60n])
})

test('across currencies the receiver gets the converted amount and the sender hears of it', async () => {
  const receiver = await node.incomingPayment(eur)
  const before = await node.balance(eur.id)
  const { reply, authentic } = await send(receiver, 777n, { minimumAmount: 699n })
  assert.ok(isFulfill(reply))
  assert.equal(authentic?.amount, 699n)
  assert.deepEqual(await state(receiver), ['PROCESSING', 699n])
  assert.equal(await node.balance(eur.id), before - 699n)
  // Below the minimum nothing moves.
  assert.equal(codeOf((await send(receiver, 777n, { minimumAmount: 700n })).reply), 'F99')
  // Worth less than a cent.
  assert.equal(codeOf((await send(receiver, 1n)).reply), 'R01')
  assert.deepEqual(await state(receiver), ['PROCESSING', 699n])
})

test('probes are answered and move nothing; a close is answered with a close', async () => {
  const receiver = await node.incomingPayment(usd)
  const probe = await send(receiver, 10n ** 12n, { fulfillable: false })
  assert.equal(codeOf(probe.reply), 'F99')
  assert.equal(probe.authentic?.amount, 10n ** 12n)
  const closed = await send(receiver, 1n, { close: true })
  assert.equal(codeOf(closed.reply), 'F99')
  assert.equal(closed.authentic?.frames[0]?.type, 'connectionClose')
  assert.deepEqual(await state(receiver), ['PENDING', 0n])
})

test('an expired packet is R00, whatever Rafiki does', async () => {
  const receiver = await node.incomingPayment(usd)
  const { reply } = await send(receiver, 10n, { lifeMs: -50 })
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.message], ['R00', 'packet expired.'])
  assert.deepEqual(await state(receiver), ['PENDING', 0n])
})

test('unknown, completed and expired payments and strange addresses are F02', async () => {
  const secrets = { streamSecret: node.config.streamSecret, ilpAddress: 'test.node' }
  const tagged = (paymentTag: string) => {
    const { ilpAddress, sharedSecret } = createStreamCredentials({ ...secrets, paymentTag })
    return { ilpAddress, sharedSecret: sharedSecret.toString('base64url') }
  }
  const receiver = await node.incomingPayment(usd)
  for (const tag of [uuidv7(), 'no uuid']) assert.equal(codeOf((await send(tagged(tag), 10n)).reply), 'F02')
  assert.equal(codeOf((await send({ ...receiver, ilpAddress: `${receiver.ilpAddress}x` }, 10n)).reply), 'F02')
  assert.equal(codeOf((await send({ ...receiver, ilpAddress: 'test.node' }, 10n)).reply), 'F02')
  assert.equal(codeOf((await send({ ...receiver, ilpAddress: 'test.nod' }, 10n)).reply), 'F02')

  const completed = await node.incomingPayment(usd)
  assert.ok(isFulfill((await send(completed, 10n)).reply))
  await completeIncomingPayment(node.node, 'all', completed.payment.id)
  // Known states live half a second.
  await waitFor(async () => isReject((await send(completed, 10n)).reply))
  assert.equal(codeOf((await send(completed, 10n)).reply), 'F02')
})

test('the endpoint of another tenant’s peer is not reached unless it is public', async () => {
  const tenant = await createTenant(node.node, { apiSecret: 'x' })
  const asset = await createAsset(node.node, { tenantId: tenant.id, code: 'USD', scale: 2 })
  const hop = await startTestHop(fulfilWithData)
  const outgoing = { endpoint: hop.url, authToken: 'x' }
  const theirs = { assetId: asset.id, outgoing, initialLiquidity: 1000n }
  await createPeer(node.node, {
    ...theirs,
    staticIlpAddress: 'test.in',
    incoming: { authTokens: ['their-token'] },
  })
  await createPeer(node.node, { ...theirs, staticIlpAddress: 'test.out' })
  const post = () => postPrepare(node.url, 'their-token', testPrepare('test.out.x'))
  await waitFor(async () => codeOf(await post()) === 'T00')
  assert.equal(hop.requests.length, 0)
  await hop.close()
})

test('a payment is only reached through its own tenant', async () => {
  const tenant = await createTenant(node.node, { apiSecret: 'x' })
  await setTenantSettings(node.node, tenant.id, [{ key: 'ILP_ADDRESS', value: 'test.other' }])
  const asset = await createAsset(node.node, { tenantId: tenant.id, code: 'USD', scale: 2 })
  await createPeer(node.node, {
    assetId: asset.id,
    staticIlpAddress: 'test.theirs',
    outgoing: { endpoint: 'http://127.0.0.1:9/', authToken: 'x' },
    incoming: { authTokens: ['token-of-theirs'] },
    initialLiquidity: 1000n,
  })
  const receiver = await node.incomingPayment(usd)
  const token = receiver.ilpAddress.split('.').at(-1)
  // A genuine token of the operator's payment, below the other tenant's address and from the other tenant's peer.
  const moved = { ...receiver, ilpAddress: `test.other.${token}` }
  assert.equal(codeOf((await send(moved, 10n, { token: 'token-of-theirs' })).reply), 'F02')
  // And as it was given out: for that tenant it is a foreign address.
  assert.equal(codeOf((await send(receiver, 10n, { token: 'token-of-theirs' })).reply), 'F02')
  assert.deepEqual(await state(receiver), ['PENDING', 0n])
  assert.ok(isFulfill((await send(receiver, 10n)).reply))
})

test('F39: the same Prepare again is fulfilled again and credited once, also by a process that remembers nothing', async (t) => {
  const receiver = await node.incomingPayment(usd, 100n)
  const { prepare, reply } = await send(receiver, 30n)
  assert.ok(isFulfill(reply))
  for (let repeat = 0; repeat < 3; repeat++) {
    const again = await postPrepare(node.url, from.token, prepare)
    assert.ok(isFulfill(again))
    assert.deepEqual(again.fulfillment, reply.fulfillment)
  }
  const second = await startFresh(t)
  const replies = await Promise.all([1, 2, 3].map(() => postPrepare(second.url, from.token, prepare)))
  assert.ok(replies.every(isFulfill))
  assert.deepEqual(await state(receiver), ['PROCESSING', 30n])
  // What it believes to have received is the ledger's figure: 70 more are wanted, and no further.
  assert.ok(isFulfill((await send(receiver, 70n, { url: second.url })).reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
})

test('a repeat that only the ledger remembers is fulfilled again when its payment is completed, and after it has expired', async (t) => {
  const receiver = await node.incomingPayment(usd, 100n)
  const { prepare, reply } = await send(receiver, 100n, { lifeMs: 2_500 })
  assert.ok(isFulfill(reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
  const second = await startFresh(t)
  const again = await postPrepare(second.url, from.token, prepare)
  assert.ok(isFulfill(again), 'a Reject would deny what was credited')
  assert.deepEqual(again.fulfillment, reply.fulfillment)
  // A packet that never came is refused as ever, and one of another amount is answered by nobody.
  assert.equal(codeOf((await send(receiver, 100n, { url: second.url })).reply), 'F02')
  const headers = { authorization: `Bearer ${from.token}`, 'content-type': 'application/octet-stream' }
  const other = await postBytes(second.url, serializePrepare({ ...prepare, amount: 1n }), headers)
  assert.equal(other.status, 500)
  await sleep(Math.max(0, prepare.expiresAt.getTime() - Date.now()))
  assert.ok(isFulfill(await postPrepare(second.url, from.token, prepare)))
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
})

test('a repeat across currencies is fulfilled again whatever the price has become, and credited once', async (t) => {
  const fallen = await startTestHttpServer(() => ({ body: '{"base":"USD","rates":{"EUR":0.8}}' }))
  const second = await startFresh(t, { EXCHANGE_RATES_URL: fallen.url })
  t.after(() => fallen.close())
  // At the new price the first arrives with less than its sender wants, the other with another amount than it did.
  for (const minimumAmount of [0n, 699n]) {
    const receiver = await node.incomingPayment(eur)
    const { prepare, reply, authentic } = await send(receiver, 777n, { minimumAmount })
    assert.ok(isFulfill(reply))
    assert.equal(authentic?.amount, 699n)
    const again = await postPrepare(second.url, from.token, prepare)
    assert.ok(isFulfill(again), 'a Reject would deny what was credited')
    assert.deepEqual(again.fulfillment, reply.fulfillment)
    const inside = openStreamPacket(openConnection(receiver).keys.encryption, again.data)
    assert.equal(inside?.amount, 699n, 'what arrived, not what would arrive today')
    assert.deepEqual(await state(receiver), ['PROCESSING', 699n])
    assert.equal(codeOf((await send(receiver, 777n, { minimumAmount: 699n, url: second.url })).reply), 'F99')
  }
})

test('what is no payment at any price is refused without asking the ledger', async () => {
  const receiver = await node.incomingPayment(eur)
  const before = transferLookups
  for (const options of [
    { fulfillable: false },
    { fulfillable: false, minimumAmount: 700n },
    { close: true },
  ])
    assert.equal(codeOf((await send(receiver, 777n, options)).reply), 'F99')
  assert.equal(transferLookups, before)
  assert.equal(codeOf((await send(receiver, 777n, { minimumAmount: 700n })).reply), 'F99')
  assert.equal(transferLookups, before + 1)
})

test('the same condition with another amount is answered by nobody: it was delivered, but not this much', async () => {
  const receiver = await node.incomingPayment(usd)
  const { prepare } = await send(receiver, 30n)
  const other = await postBytes(node.url, serializePrepare({ ...prepare, amount: 3000n }), {
    authorization: `Bearer ${from.token}`,
    'content-type': 'application/octet-stream',
  })
  assert.equal(other.status, 500)
  assert.deepEqual(await state(receiver), ['PROCESSING', 30n])
})

test('what others credit to the same payment counts: only the rest is taken', async () => {
  const receiver = await node.incomingPayment(usd, 500n)
  assert.ok(isFulfill((await send(receiver, 100n)).reply))
  // As a payment within this node does it, from another process.
  const [status] = await node.node.ledger.createTransfers([
    {
      kind: 'posted',
      id: uuidv7(),
      debitAccountId: from.id,
      creditAccountId: receiver.payment.id,
      ledger: usd.ledger,
      code: 1,
      amount: 300n,
    },
  ])
  assert.equal(status, 'created')
  await sleep(510)
  assert.ok(isFulfill((await send(receiver, 100n)).reply))
  assert.deepEqual(await state(receiver), ['COMPLETED', 500n])
})

test('no money for it is T04', async () => {
  const poor = await node.peer(usd, { address: 'test.poor', liquidity: 9n })
  const receiver = await node.incomingPayment(usd)
  assert.equal(codeOf((await send(receiver, 10n, { token: poor.token })).reply), 'T04')
  const dry = await node.incomingPayment(await node.asset('USD', 9))
  const { reply } = await send(dry, 10n)
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.message], ['T04', 'InsufficientLiquidity'])
  assert.deepEqual(await state(dry), ['PENDING', 0n])
})

test('F39: a credit whose outcome is unknown is repeated: fulfilled once it is known, credited once', async () => {
  for (const when of ['before', 'after'] as const) {
    const receiver = await node.incomingPayment(usd, 20n)
    let lost = 0
    faults = {
      [when]: () => {
        if (lost++ < 2) throw unknown()
      },
    }
    assert.ok(isFulfill((await send(receiver, 10n)).reply))
    assert.equal(lost, 3)
    faults = {}
    assert.deepEqual(await state(receiver), ['PROCESSING', 10n])
    // The total was read again: exactly 10 more are wanted.
    assert.ok(isFulfill((await send(receiver, 10n)).reply))
    assert.deepEqual(await state(receiver), ['COMPLETED', 20n])
  }
})

test('F40: a credit that the ledger repeated by itself counts, and completes its payment', async () => {
  const receiver = await node.incomingPayment(usd, 30n)
  // The first attempt's answer was lost inside of the ledger's client, and the second found its work.
  faults = { statuses: (given) => given.map(() => 'exists') }
  assert.ok(isFulfill((await send(receiver, 30n)).reply))
  faults = {}
  assert.deepEqual(await state(receiver), ['COMPLETED', 30n])
  assert.ok(isReject((await send(receiver, 30n)).reply))
})

test('a payment whose last look at the ledger failed is looked at again, until its end is seen', async () => {
  const receiver = await node.incomingPayment(usd, 100n)
  let failures = 0
  faults = {
    // Whether it was credited now or before is not known, so the total is asked for.
    statuses: (given) => given.map((status) => (status === 'created' ? 'exists' : status)),
    after: () => {
      faults.lookup = () => {
        if (++failures <= 2) throw new Fault('ledger_overloaded', { retryable: true })
        return Promise.resolve()
      }
    },
  }
  assert.ok(isFulfill((await send(receiver, 100n)).reply))
  assert.equal(failures, 1)
  assert.equal((await getIncomingPayment(node.node, 'all', receiver.payment.id)).state, 'PENDING')
  await waitFor(async () => failures > 2 && (await state(receiver))[0] === 'COMPLETED')
  assert.deepEqual(await state(receiver), ['COMPLETED', 100n])
})

test('F2: an outcome that stays unknown beyond the packet is found out: a Fulfill where the money moved', async () => {
  const receiver = await node.incomingPayment(usd)
  faults = {
    after: () => {
      throw unknown()
    },
  }
  assert.ok(isFulfill((await send(receiver, 10n, { lifeMs: 300 })).reply))
  faults = {}
  assert.deepEqual(await state(receiver), ['PROCESSING', 10n])
})
