import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { uuidv7 } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { type Belongings, settle } from './belongings.ts'
import { newSecret, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

type Fields = Record<string, unknown>

/** What wallets that exist rely on (contracts/wallet-needs.md §5), as far as it meets the Admin API and what it announces. */
describe('wallets of today', () => {
  let admin: TestAdmin
  let wallet: TestHttpServer
  let party: Party
  let has: Belongings
  before(async () => {
    wallet = await startTestHttpServer()
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      AUTH_SERVICE_API_URL: wallet.url,
      WEBHOOK_URL: `${wallet.url}/webhooks`,
      SIGNATURE_SECRET: newSecret(),
    })
    party = await admin.newTenant('bank')
    has = await settle(admin, party, { name: 'bank', peerUrl: wallet.url, waitFor })
  })
  after(async () => {
    await admin.close()
    await wallet.close()
  })

  const run = (name: string, input: Fields) =>
    admin.succeed(party, name, { input: { idempotencyKey: uuidv7(), ...input } })
  const told = () =>
    wallet.requests
      .filter(({ path }) => path === '/webhooks')
      .map(({ headers, body }) => ({
        signature: String(headers['rafiki-signature']),
        ...(JSON.parse(body) as { id: string; type: string; data: Fields }),
      }))
  const balanceOf = async (id: string) => {
    const [account] = await admin.node.ledger.lookupAccounts([id])
    assert.ok(account)
    return account.creditsPosted - account.debitsPosted
  }

  it('trap 1: the time of a webhook’s signature is in milliseconds', () => {
    assert.ok(told().length > 5)
    for (const { signature } of told()) {
      const [, t] = /^t=(\d+),\s*v1=[a-f0-9]+$/.exec(signature) ?? []
      assert.ok(Math.abs(Number(t) - Date.now()) < 120_000, signature)
    }
  })

  it('trap 2: what is not there is absent from events, never null', () => {
    const nulls = (value: unknown, path: string): string[] => {
      if (value === null) return [path]
      if (typeof value !== 'object') return []
      return Object.entries(value as object).flatMap(([key, item]) => nulls(item, `${path}.${key}`))
    }
    for (const { type, data } of told()) assert.deepEqual(nulls(data, type), [])
  })

  it('trap 4 and 6: the deprecated deposit and withdrawal by event work, and a repeat under another key is success', async () => {
    const before = await balanceOf(has.asset)
    for (let times = 0; times < 3; times++)
      assert.deepEqual(await run('depositEventLiquidity', { eventId: has.createdEvent }), { success: true })
    assert.equal(await balanceOf(has.payment), 502n)
    for (let times = 0; times < 3; times++)
      assert.deepEqual(await run('withdrawEventLiquidity', { eventId: has.completedEvent }), {
        success: true,
      })
    assert.equal(await balanceOf(has.asset), before)
  })

  it('trap 7: a receiver is found with the tenant in its URL and without', async () => {
    const short = has.incomingPaymentUrl.replace(`/${party.tenantId}/`, '/')
    assert.notEqual(short, has.incomingPaymentUrl)
    for (const id of [has.incomingPaymentUrl, short]) {
      const receiver = await admin.succeed(party, 'receiver', { id })
      assert.equal(receiver.walletAddressUrl, has.payeeAddress)
      assert.ok((await run('createQuote', { walletAddressId: has.walletAddress, receiver: id })).quote)
    }
  })

  it('trap 11: amounts are taken as text and as number', async () => {
    for (const amount of ['7', 7])
      assert.deepEqual(await run('depositAssetLiquidity', { assetId: has.asset, id: uuidv7(), amount }), {
        success: true,
      })
    for (const value of ['7', 7]) {
      const { payment } = (await run('createIncomingPayment', {
        walletAddressId: has.walletAddress,
        incomingAmount: { value, assetCode: 'EUR', assetScale: 2 },
      })) as { payment: { incomingAmount: Fields } }
      assert.equal(payment.incomingAmount.value, '7')
    }
  })

  it('trap 12: a cursor is the id of its row, and a page has up to 100', async () => {
    const page = (await admin.succeed(party, 'incomingPayments', { first: 100 })) as unknown as {
      edges: { cursor: string; node: { id: string } }[]
    }
    assert.ok(page.edges.length > 2)
    for (const { cursor, node } of page.edges) assert.equal(cursor, node.id)
    const { errors } = await admin.call(party, 'incomingPayments', { first: 101 })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  })

  it('trap 13: wallet addresses are in lower case and https', async () => {
    const address = `${party.prefix.toUpperCase().replace('HTTPS', 'https')}/DAVE`
    const { walletAddress } = (await run('createWalletAddress', { assetId: has.asset, address })) as {
      walletAddress: Fields
    }
    assert.equal(walletAddress.address, `${party.prefix}/dave`)
    const { errors } = await admin.call(party, 'createWalletAddress', {
      input: { assetId: has.asset, address: `${party.prefix.replace('https', 'http')}/erin` },
    })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  })

  it('trap 16: who is told of a completed payment finds its money posted', async () => {
    const completed = told().filter(({ type }) => type === 'incoming_payment.completed')
    assert.ok(completed.length >= 2)
    for (const { data } of completed) {
      const [account] = await admin.node.ledger.lookupAccounts([String(data.id)])
      assert.equal(account?.creditsPosted, 500n)
      assert.deepEqual((data.receivedAmount as Fields).value, '500')
    }
  })
})
