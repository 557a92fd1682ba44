import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  type AuthenticatedClient,
  createAuthenticatedClient,
  type Grant,
  isPendingGrant,
  type PendingGrant,
} from '@interledger/open-payments'
import { jwkOf } from '../shared/http-signatures/index.ts'
import { createDb, type DbPool, sql } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { customerKey } from './bank-settings.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000
const eur = (value: string) => ({ value, assetCode: 'EUR', assetScale: 2 })
const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
const idIn = (url: string) => url.slice(-36)

/** The official client, its own checks of every answer on, against both banks and their real authorization servers. */
describe('Open Payments between two banks', () => {
  let banks: TestBanks
  let client: AuthenticatedClient
  let alice: string
  let bob: string
  let authDatabase: DbPool
  before(async () => {
    banks = await startTestBanks()
    alice = banks.side('a', 'alice').walletAddress.address
    bob = banks.side('b', 'bob').walletAddress.address
    authDatabase = createDb({ connectionString: banks.databases.a.auth, poolSizeMax: 1 })
    client = await createAuthenticatedClient({
      walletAddressUrl: alice,
      privateKey: customerKey(banks.a.settings),
      keyId: 'alice-key',
      useHttp: true,
      logLevel: 'silent',
    })
  })
  after(async () => {
    await authDatabase.close()
    try {
      // The wallets still withdraw what the last payments left.
      await waitFor(async () => {
        await banks.audit()
        return true
      })
    } finally {
      await banks.close()
    }
  })

  const tokenOf = (grant: Grant | PendingGrant) => {
    assert.ok(!isPendingGrant(grant) && grant.access_token, 'no consent is needed')
    return grant.access_token
  }
  const incomingActions = ['create' as const, 'read' as const, 'list' as const, 'complete' as const]
  const incomingToken = async (authServer: string) =>
    tokenOf(
      await client.grant.request(
        { url: authServer },
        { access_token: { access: [{ type: 'incoming-payment', actions: incomingActions }] } },
      ),
    )
  const quoteToken = async (authServer: string) =>
    tokenOf(
      await client.grant.request(
        { url: authServer },
        { access_token: { access: [{ type: 'quote', actions: ['create', 'read'] }] } },
      ),
    )

  /** Consent is not this test's subject: what a user would have granted is written where the consent would have put it. */
  async function outgoingToken(authServer: string, limits?: object): Promise<string> {
    const { value, manage } = await quoteToken(authServer)
    const changed = await authDatabase.execute(sql`
      update accesses a set type = 'outgoing-payment', actions = array['create', 'read', 'list'], identifier = ${alice},
        limits = ${limits === undefined ? undefined : JSON.stringify(limits)}::jsonb
      from access_tokens t where t.id = ${idIn(manage)} and a.grant_id = t.grant_id`)
    assert.equal(changed, 1)
    return value
  }

  it('creates, reads, lists and completes an incoming payment', async () => {
    const { authServer, resourceServer } = await client.walletAddress.get({ url: bob })
    const accessToken = (await incomingToken(authServer)).value
    const created = await client.incomingPayment.create(
      { url: resourceServer, accessToken },
      { walletAddress: bob, incomingAmount: eur('500'), metadata: { order: 7 } },
    )
    const url = created.id
    assert.deepEqual(await client.incomingPayment.getPublic({ url }), {
      receivedAmount: eur('0'),
      authServer,
    })
    const read = await client.incomingPayment.get({ url, accessToken })
    assert.ok('methods' in read && read.methods[0]?.ilpAddress.startsWith('test.bank-b.'))
    const list = await client.incomingPayment.list({ url: resourceServer, walletAddress: bob, accessToken })
    assert.ok(list.result.some(({ id }) => id === url))
    assert.equal((await client.incomingPayment.complete({ url, accessToken })).completed, true)
  })

  it('quotes and pays from one bank to the other', async () => {
    const payee = await client.walletAddress.get({ url: bob })
    const payer = await client.walletAddress.get({ url: alice })
    const forReceiver = (await incomingToken(payee.authServer)).value
    const receiver = await client.incomingPayment.create(
      { url: payee.resourceServer, accessToken: forReceiver },
      { walletAddress: bob, incomingAmount: eur('500') },
    )
    const forQuotes = (await quoteToken(payer.authServer)).value
    const quote = await client.quote.create(
      { url: payer.resourceServer, accessToken: forQuotes },
      { walletAddress: alice, receiver: receiver.id, method: 'ilp' },
    )
    assert.deepEqual([quote.debitAmount, quote.receiveAmount], [usd('556'), eur('500')])

    const accessToken = await outgoingToken(payer.authServer)
    const payment = await client.outgoingPayment.create(
      { url: payer.resourceServer, accessToken },
      { walletAddress: alice, quoteId: quote.id, metadata: { note: 'thanks' } },
    )
    await banks.journals.a.wait('outgoing_payment.completed', idIn(payment.id), timeoutMs)
    await banks.journals.b.wait('incoming_payment.completed', idIn(receiver.id), timeoutMs)
    const paid = await client.outgoingPayment.get({ url: payment.id, accessToken })
    assert.deepEqual([paid.failed, paid.sentAmount], [false, usd('550')])
    const received = await client.incomingPayment.get({ url: receiver.id, accessToken: forReceiver })
    assert.ok('completed' in received && received.completed)
    assert.deepEqual(received.receivedAmount, eur('500'))
  })

  it('refuses a grant with limits, so that none of them can be passed', async () => {
    const payee = await client.walletAddress.get({ url: bob })
    const payer = await client.walletAddress.get({ url: alice })
    const receiver = await client.incomingPayment.create(
      { url: payee.resourceServer, accessToken: (await incomingToken(payee.authServer)).value },
      { walletAddress: bob },
    )
    const body = { walletAddress: alice, incomingPayment: receiver.id, debitAmount: usd('10') }
    const limited = await outgoingToken(payer.authServer, { debitAmount: usd('1000') })
    await assert.rejects(
      client.outgoingPayment.create({ url: payer.resourceServer, accessToken: limited }, body),
      { status: 403, description: 'Insufficient Grant' },
    )
    const free = await outgoingToken(payer.authServer)
    const payment = await client.outgoingPayment.create(
      { url: payer.resourceServer, accessToken: free },
      body,
    )
    await banks.journals.a.wait('outgoing_payment.completed', idIn(payment.id), timeoutMs)
  })

  it('refuses tokens that were rotated, revoked, or are of the other bank', async () => {
    const { authServer, resourceServer } = await client.walletAddress.get({ url: bob })
    const create = (accessToken: string) =>
      client.incomingPayment.create({ url: resourceServer, accessToken }, { walletAddress: bob })
    const inactive = { status: 403, description: 'Inactive Token' }

    const first = await incomingToken(authServer)
    await create(first.value)
    const rotated = (await client.token.rotate({ url: first.manage, accessToken: first.value })).access_token
    await assert.rejects(create(first.value), inactive)
    await create(rotated.value)
    await client.token.revoke({ url: rotated.manage, accessToken: rotated.value })
    await assert.rejects(create(rotated.value), inactive)

    const atHome = await client.walletAddress.get({ url: alice })
    await assert.rejects(create((await incomingToken(atHome.authServer)).value), inactive)
  })

  it('serves a client that is known by its key alone, and shows it to itself only', async () => {
    const { authServer, resourceServer } = await client.walletAddress.get({ url: bob })
    const { privateKey } = generateKeyPairSync('ed25519')
    const keyId = randomUUID()
    const nameless = await createAuthenticatedClient({
      walletAddressUrl: alice,
      privateKey,
      keyId,
      useHttp: true,
      logLevel: 'silent',
    })
    const { value: mine } = tokenOf(
      await nameless.grant.request(
        { url: authServer },
        { access_token: { access: [{ type: 'incoming-payment', actions: incomingActions }] } },
        { jwk: { ...jwkOf(privateKey, keyId) } },
      ),
    )
    const created = await nameless.incomingPayment.create(
      { url: resourceServer, accessToken: mine },
      { walletAddress: bob },
    )
    const list = await nameless.incomingPayment.list({
      url: resourceServer,
      walletAddress: bob,
      accessToken: mine,
    })
    assert.deepEqual(
      list.result.map(({ id }) => id),
      [created.id],
    )
    const others = (await incomingToken(authServer)).value
    await assert.rejects(client.incomingPayment.get({ url: created.id, accessToken: others }), {
      status: 404,
    })
    // The token alone is worth nothing.
    await assert.rejects(client.incomingPayment.get({ url: created.id, accessToken: mine }), { status: 401 })
  })
})
