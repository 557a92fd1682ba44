import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { AuthenticatedClient, WalletAddress } from '@interledger/open-payments'
import { jwkOf } from '../shared/http-signatures/index.ts'
import {
  type Access,
  type Consent,
  eur,
  grantFor,
  idIn,
  officialClient,
  openShop,
  startConsent,
  tokenOf,
  usd,
} from './testing/open-payments.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000
const incoming = (...more: ('list-all' | 'read-all')[]): Access => ({
  type: 'incoming-payment',
  actions: ['create', 'read', 'list', 'complete', ...more],
})

/** Who a client is: a wallet address or a key alone, and what it may see of the others. */
describe('clients and what they see', () => {
  let banks: TestBanks
  let consent: Consent
  let shop: AuthenticatedClient
  let rival: AuthenticatedClient
  let alice: WalletAddress
  let bob: WalletAddress
  before(async () => {
    const environment = { WAIT_SECONDS: '0' }
    banks = await startTestBanks({ environments: { a: environment, b: environment } })
    consent = await startConsent()
    shop = (await openShop(banks)).client
    rival = (await openShop(banks, 'rival')).client
    alice = await shop.walletAddress.get({ url: banks.side('a', 'alice').walletAddress.address })
    bob = await shop.walletAddress.get({ url: banks.side('b', 'bob').walletAddress.address })
  })
  after(async () => {
    await consent.close()
    await banks.close()
  })

  /** A client that nobody knows but by its key (directed identity). The address is one that it does not use. */
  async function nameless() {
    const { privateKey } = generateKeyPairSync('ed25519')
    const keyId = randomUUID()
    const client = await officialClient({ walletAddressUrl: alice.id, privateKey, keyId })
    const jwk = jwkOf(privateKey, keyId)
    const grant = (authServer: string, ...access: Access[]) =>
      client.grant.request({ url: authServer }, { access_token: { access } }, { jwk: { ...jwk } })
    return { client, grant }
  }
  const create = async (client: AuthenticatedClient, accessToken: string) => {
    const { id } = await client.incomingPayment.create(
      { url: bob.resourceServer, accessToken },
      { walletAddress: bob.id, incomingAmount: eur('500') },
    )
    return id
  }
  const listed = async (client: AuthenticatedClient, accessToken: string) => {
    const { result } = await client.incomingPayment.list({
      url: bob.resourceServer,
      walletAddress: bob.id,
      accessToken,
    })
    return result.map(({ id }) => id)
  }

  it('by its key alone: everything that needs nobody’s consent', async () => {
    const { client, grant } = await nameless()
    const granted = await grant(bob.authServer, incoming())
    const { value: accessToken, manage } = tokenOf(granted)
    const url = await create(client, accessToken)
    const read = await client.incomingPayment.get({ url, accessToken })
    assert.ok('methods' in read && read.methods.length === 1)
    assert.deepEqual(await listed(client, accessToken), [url])
    assert.equal((await client.incomingPayment.complete({ url, accessToken })).completed, true)

    const forQuotes = tokenOf(
      await grant(alice.authServer, { type: 'quote', actions: ['create', 'read'] }),
    ).value
    const receiver = await create(client, accessToken)
    const quote = await client.quote.create(
      { url: alice.resourceServer, accessToken: forQuotes },
      { walletAddress: alice.id, receiver, method: 'ilp' },
    )
    assert.deepEqual(quote.debitAmount, usd('556'))
    assert.deepEqual(await client.quote.get({ url: quote.id, accessToken: forQuotes }), quote)

    const { access_token: rotated } = await client.token.rotate({ url: manage, accessToken })
    await assert.rejects(client.incomingPayment.get({ url, accessToken }), { status: 403 })
    await client.incomingPayment.get({ url, accessToken: rotated.value })
    await client.token.revoke({ url: rotated.manage, accessToken: rotated.value })
    await assert.rejects(client.incomingPayment.get({ url, accessToken: rotated.value }), { status: 403 })
    const again = tokenOf(await grant(bob.authServer, incoming())).value
    assert.deepEqual(await listed(client, again), [receiver, url], 'the key is the client, not the grant')
    const next = { url: granted.continue.uri, accessToken: granted.continue.access_token.value }
    await client.grant.cancel(next)
    await assert.rejects(client.grant.cancel(next), { status: 401, code: 'invalid_continuation' })
  })

  it('by its key alone: nothing that a person has to agree to', async () => {
    const { client, grant } = await nameless()
    const outgoing: Access = { type: 'outgoing-payment', actions: ['create'], identifier: alice.id }
    const finish = { method: 'redirect' as const, uri: 'http://127.0.0.1/back', nonce: 'n' }
    const refused = { status: 400, code: 'invalid_client' }
    const { privateKey } = generateKeyPairSync('ed25519')
    const jwk = { ...jwkOf(privateKey, randomUUID()) }
    const other = await officialClient({ walletAddressUrl: alice.id, privateKey, keyId: jwk.kid })
    await assert.rejects(
      other.grant.request(
        { url: alice.authServer },
        { access_token: { access: [outgoing] }, interact: { start: ['redirect'], finish } },
        { jwk },
      ),
      refused,
    )
    await assert.rejects(grant(alice.authServer, outgoing), { status: 400 })
    // Somebody else's key is nobody's client.
    await assert.rejects(
      client.grant.request({ url: bob.authServer }, { access_token: { access: [incoming()] } }, { jwk }),
      { status: 401 },
    )
  })

  it('clients see their own payments only, whichever way they are known', async () => {
    const { client: keyed, grant } = await nameless()
    const tokens = {
      shop: tokenOf(await grantFor(shop, bob.authServer, incoming())).value,
      rival: tokenOf(await grantFor(rival, bob.authServer, incoming())).value,
      keyed: tokenOf(await grant(bob.authServer, incoming())).value,
    }
    const payments = {
      shop: await create(shop, tokens.shop),
      rival: await create(rival, tokens.rival),
      keyed: await create(keyed, tokens.keyed),
    }
    const clients = { shop, rival, keyed }
    for (const name of ['shop', 'rival', 'keyed'] as const) {
      assert.deepEqual(await listed(clients[name], tokens[name]), [payments[name]])
      for (const other of ['shop', 'rival', 'keyed'] as const) {
        const asked = { url: payments[other], accessToken: tokens[name] }
        if (other === name) await clients[name].incomingPayment.get(asked)
        else await assert.rejects(clients[name].incomingPayment.get(asked), { status: 404 })
        // The token of one, with the key of another.
        if (other !== name)
          await assert.rejects(
            clients[other].incomingPayment.get(asked),
            { status: 401 },
            `${other} as ${name}`,
          )
      }
    }
  })

  it('everybody’s payments, when the payee agrees', async () => {
    await assert.rejects(grantFor(shop, bob.authServer, incoming('list-all')), { status: 400 })
    const access: Access = { ...incoming('list-all', 'read-all'), identifier: bob.id } as Access
    const { value: accessToken } = await consent.token(shop, bob.authServer, access)
    const mine = await create(rival, tokenOf(await grantFor(rival, bob.authServer, incoming())).value)
    assert.ok((await listed(shop, accessToken)).includes(mine))
    await shop.incomingPayment.get({ url: mine, accessToken })
  })

  it('outgoing payments: each client lists its own, with list-all all of them', async () => {
    const outgoing = (...actions: string[]) =>
      ({
        type: 'outgoing-payment',
        actions,
        identifier: alice.id,
        limits: { debitAmount: usd('100') },
      }) as Access
    const own = await consent.token(shop, alice.authServer, outgoing('create', 'list', 'read'))
    const theirs = await consent.token(rival, alice.authServer, outgoing('list', 'read'))
    const all = await consent.token(rival, alice.authServer, outgoing('list-all', 'read-all'))
    const receiver = await create(shop, tokenOf(await grantFor(shop, bob.authServer, incoming())).value)
    const { id } = await shop.outgoingPayment.create(
      { url: alice.resourceServer, accessToken: own.value },
      { walletAddress: alice.id, incomingPayment: receiver, debitAmount: usd('100') },
    )
    await banks.journals.a.wait('outgoing_payment.completed', idIn(id), timeoutMs)
    const list = async (client: AuthenticatedClient, accessToken: string) => {
      const asked = { url: alice.resourceServer, walletAddress: alice.id, accessToken }
      return (await client.outgoingPayment.list(asked)).result.map((payment) => payment.id)
    }
    assert.deepEqual(await list(shop, own.value), [id])
    assert.deepEqual(await list(rival, theirs.value), [])
    assert.deepEqual(await list(rival, all.value), [id])
    await rival.outgoingPayment.get({ url: id, accessToken: all.value })
    await assert.rejects(rival.outgoingPayment.get({ url: id, accessToken: theirs.value }), { status: 404 })
    await assert.rejects(
      rival.outgoingPayment.create(
        { url: alice.resourceServer, accessToken: theirs.value },
        { walletAddress: alice.id, incomingPayment: receiver, debitAmount: usd('2') },
      ),
      { status: 403 },
      'who may look may not pay',
    )
  })
})
