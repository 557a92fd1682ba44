import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createAsset, depositAssetLiquidity } from '../shared/assets/index.ts'
import {
  createIncomingPayment,
  getIncomingPayment,
  type IncomingPayment,
  paymentMethodsOf,
} from '../shared/incoming-payments/index.ts'
import { parseRate } from '../shared/money/index.ts'
import { createPeer } from '../shared/peers/index.ts'
import { sql, uuidv7 } from '../shared/platform/index.ts'
import { createTenant, setTenantSettings } from '../shared/tenants/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../shared/testing/index.ts'
import { createWalletAddress } from '../shared/wallet-addresses/index.ts'
import { isFulfill, isReject } from './packet/index.ts'
import { exchangePacket, openConnection } from './stream/connection.ts'
import { postPrepare } from './testing/test-hop.ts'
import { startTestNode, type TestNode } from './testing/test-node.ts'

const ratesAt = (eur: string) =>
  startTestHttpServer(() => ({ body: `{"base":"USD","rates":{"EUR":${eur}}}` }))

describe('a tenant on a connector', () => {
  let database: TestDatabase
  let node: TestNode
  let nodeRates: TestHttpServer
  let tenantRates: TestHttpServer
  let operator: { id: string; token: string }
  let tenant: { id: string; token: string }
  before(async () => {
    database = await createTestDatabase('resources')
    nodeRates = await ratesAt('0.9')
    tenantRates = await ratesAt('0.5')
    node = await startTestNode({
      connectionString: database.connectionString,
      env: {
        EXCHANGE_RATES_URL: nodeRates.url,
        EGRESS_ALLOW: '127.0.0.0/8',
        EGRESS_ALLOW_HTTP: 'true',
      },
    })
    const { id } = await createTenant(node.node, {
      apiSecret: 's',
      settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://tenant.example' }],
    })
    await setTenantSettings(node.node, id, [
      { key: 'EXCHANGE_RATES_URL', value: tenantRates.url.replace('http:', 'https:') },
    ])
    tenant = { id, token: await furnish(id) }
    const { operatorTenantId } = node.node.settings
    operator = { id: operatorTenantId, token: await furnish(operatorTenantId) }
  })
  after(async () => {
    await node.close()
    await nodeRates.close()
    await tenantRates.close()
    await database.drop()
  })

  const eurOf = new Map<string, string>()
  /** Two assets with liquidity, and a peer that pays in one of them; gives its token. */
  const furnish = async (tenantId: string): Promise<string> => {
    const token = uuidv7()
    for (const code of ['USD', 'EUR']) {
      const { id: assetId } = await createAsset(node.node, { tenantId, code, scale: 2 })
      const deposit = { assetId, transferId: uuidv7(), amount: 1_000_000n }
      await depositAssetLiquidity(node.node, 'all', deposit)
      if (code === 'EUR') eurOf.set(tenantId, assetId)
      else
        await createPeer(node.node, {
          assetId,
          staticIlpAddress: `test.peer-of-${tenantId}`,
          outgoing: { endpoint: 'http://127.0.0.1:9/', authToken: 'x' },
          incoming: { authTokens: [token] },
          initialLiquidity: 1_000_000n,
        })
    }
    return token
  }

  const newPayment = async (tenantId: string): Promise<IncomingPayment> => {
    const prefix = tenantId === operator.id ? 'https://wallet.example' : 'https://tenant.example'
    const assetId = eurOf.get(tenantId) ?? ''
    const address = `${prefix}/${uuidv7()}`
    const walletAddress = await createWalletAddress(node.node, { tenantId, assetId, address })
    return await createIncomingPayment(node.node, { tenantId, walletAddress, initiatedBy: 'ADMIN' })
  }

  /** 100 USD cents of a peer's; what arrived, or the code of the refusal. */
  const pay = async (
    token: string,
    payment: IncomingPayment,
    method: { ilpAddress: string; sharedSecret: string },
  ) => {
    const { reply } = await exchangePacket(
      openConnection(method),
      (prepare) => postPrepare(node.url, token, prepare),
      {
        amount: 100n,
        minimumAmount: 0n,
        expiresAt: new Date(Date.now() + 20_000),
        frames: [],
        fulfillable: true,
      },
    )
    if (isReject(reply)) return reply.code
    assert.ok(isFulfill(reply))
    return (await getIncomingPayment(node.node, 'all', payment.id)).receivedAmount.value
  }
  const methodOf = async (payment: IncomingPayment) => {
    const [method] = await paymentMethodsOf(node.node, payment)
    assert.ok(method)
    return method
  }

  it('receives at its own ILP address, from its own peers, at its own rates; the operator likewise', async () => {
    const theirs = await newPayment(tenant.id)
    const method = await methodOf(theirs)
    assert.ok(method.ilpAddress.startsWith(`test.node.${tenant.id}.`))
    await waitFor(async () => (await pay(tenant.token, theirs, method)) === 50n)
    const ours = await newPayment(operator.id)
    assert.equal(await pay(operator.token, ours, await methodOf(ours)), 90n)
  })

  it('is not reached through the operator’s peers, nor the operator through its', async () => {
    const [theirs, ours] = [await newPayment(tenant.id), await newPayment(operator.id)]
    assert.match(String(await pay(operator.token, theirs, await methodOf(theirs))), /^F02$/)
    assert.match(String(await pay(tenant.token, ours, await methodOf(ours))), /^F02$/)
    for (const { id } of [theirs, ours])
      assert.equal((await getIncomingPayment(node.node, 'all', id)).receivedAmount.value, 0n)
  })

  it('is quoted at its own rates', async () => {
    const price = (tenantId: string) =>
      node.client.getPrice({ tenantId, sourceAssetCode: 'USD', destinationAssetCode: 'EUR' })
    assert.deepEqual(await price(tenant.id), parseRate('0.5'))
    assert.deepEqual(await price(operator.id), parseRate('0.9'))
  })

  it('A3: its rates are asked for at places that strangers may name, unless the operator named the place', async () => {
    const inside = tenantRates.url.replace('127.0.0.1', 'localhost')
    const url = { key: 'EXCHANGE_RATES_URL' as const, value: inside }
    const price = (tenantId: string) =>
      node.client.getPrice({ tenantId, sourceAssetCode: 'USD', destinationAssetCode: 'EUR' })
    const trusted = await createTenant(node.node, { apiSecret: 's', settings: [url] })
    assert.deepEqual(await price(trusted.id), parseRate('0.5'))
    const other = await createTenant(node.node, { apiSecret: 's' })
    await setTenantSettings(node.node, other.id, [url])
    const asked = tenantRates.requests.length
    await assert.rejects(price(other.id), { code: 'rates_unavailable' })
    assert.equal(tenantRates.requests.length, asked)
  })

  it('moves to another ILP address at once', async () => {
    await setTenantSettings(node.node, tenant.id, [{ key: 'ILP_ADDRESS', value: 'test.moved' }])
    const payment = await newPayment(tenant.id)
    const method = await methodOf(payment)
    assert.ok(method.ilpAddress.startsWith('test.moved.'))
    assert.equal(await pay(tenant.token, payment, method), 50n)
  })

  it('offers no way to pay without an ILP address', async () => {
    const { id } = await createTenant(node.node, {
      apiSecret: 's',
      settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://third.example' }],
    })
    await node.node.db.execute(
      sql`delete from tenant_settings where tenant_id = ${id} and key = 'ILP_ADDRESS'`,
    )
    const asset = await createAsset(node.node, { tenantId: id, code: 'USD', scale: 2 })
    const walletAddress = await createWalletAddress(node.node, {
      tenantId: id,
      assetId: asset.id,
      address: 'https://third.example/alice',
    })
    const payment = await createIncomingPayment(node.node, {
      tenantId: id,
      walletAddress,
      initiatedBy: 'ADMIN',
    })
    assert.deepEqual(await paymentMethodsOf(node.node, payment), [])
  })
})
