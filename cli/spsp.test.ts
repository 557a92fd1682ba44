import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createConnection, verifyReceipt } from 'ilp-protocol-stream'
import { request } from 'undici'
import { testPlugin } from '../connector/stream/test-path.ts'
import { createDb, sql } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const token = 'the-token-of-the-monetizer'

/** A stranger to both banks' customers, peered with bank A: what pays creators as one reads their pages. */
describe('SPSP between a third party, bank A and a customer of bank B', () => {
  let banks: TestBanks
  before(async () => {
    banks = await startTestBanks()
    await banks.a.admin.graphql(
      'mutation CreatePeer($input: CreatePeerInput!) { createPeer(input: $input) { peer { id } } }',
      {
        input: {
          assetId: banks.seeded.a.assets.USD,
          staticIlpAddress: 'test.monetizer',
          http: {
            outgoing: { endpoint: 'http://localhost:9/', authToken: 'nobody' },
            incoming: { authTokens: [token] },
          },
          initialLiquidity: '1000000',
          idempotencyKey: randomUUID(),
        },
      },
    )
  })
  after(async () => {
    try {
      await waitFor(async () => {
        await banks.audit()
        return true
      })
    } finally {
      await banks.close()
    }
  })

  const plugin = () =>
    testPlugin('test.monetizer', async (bytes) => {
      const answer = await request(String(banks.a.environment.ILP_CONNECTOR_URL), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: bytes,
      })
      return Buffer.from(await answer.body.arrayBuffer())
    })
  /** What the customer's account was ever credited with. */
  async function creditedTo(accountId: string): Promise<bigint> {
    const db = createDb({ connectionString: banks.databases.b.resources, poolSizeMax: 1 })
    try {
      return await db.one(
        (row) => BigInt(row.total),
        sql`select coalesce(sum(amount), 0)::text as total from ledger.transfers where credit_account_id = ${accountId}`,
      )
    } finally {
      await db.close()
    }
  }

  it('pays the wallet address over both connectors and holds receipts that its verifier believes', async () => {
    const { address, id } = banks.side('b', 'bahati').walletAddress
    const receipt = { nonce: randomBytes(16), secret: randomBytes(32) }
    const asked = await request(address.replace('https:', 'http:'), {
      headers: {
        accept: 'application/spsp4+json',
        'receipt-nonce': receipt.nonce.toString('base64'),
        'receipt-secret': receipt.secret.toString('base64'),
      },
    })
    assert.equal(asked.statusCode, 200)
    const document = (await asked.body.json()) as {
      destination_account: string
      shared_secret: string
      receipts_enabled: boolean
    }
    assert.equal(document.receipts_enabled, true)

    const connection = await createConnection({
      plugin: plugin(),
      destinationAccount: document.destination_account,
      sharedSecret: Buffer.from(document.shared_secret, 'base64url'),
    })
    assert.deepEqual([connection.destinationAssetCode, connection.destinationAssetScale], ['USD', 2])
    const stream = connection.createStream()
    for (const total of [120, 500]) {
      await stream.sendTotal(total)
      assert.ok(stream.receipt)
      const { totalReceived } = verifyReceipt(stream.receipt, receipt.secret)
      assert.equal(totalReceived.toString(), String(total))
      assert.equal(await creditedTo(id), BigInt(total))
    }
    await connection.end()
  })

  it('is the wallet’s to withdraw, once', async () => {
    const { id: walletAddressId } = banks.side('b', 'bahati').walletAddress
    const { admin } = banks.b
    const liquidity = async () =>
      (
        await admin.graphql<{ walletAddress: { liquidity: string | null } }>(
          'query W($id: String!) { walletAddress(id: $id) { liquidity } }',
          { id: walletAddressId },
        )
      ).walletAddress.liquidity
    const withdraw = (id: string, timeoutSeconds: string) =>
      admin.graphql<{
        createWalletAddressWithdrawal: {
          withdrawal: { id: string; amount: string; walletAddress: { id: string } }
        }
      }>(
        `mutation W($input: CreateWalletAddressWithdrawalInput!) {
          createWalletAddressWithdrawal(input: $input) { withdrawal { id amount walletAddress { id } } } }`,
        { input: { id, walletAddressId, timeoutSeconds, idempotencyKey: randomUUID() } },
      )
    assert.equal(await liquidity(), '500')
    const [reserved, taken] = [randomUUID(), randomUUID()]
    await withdraw(reserved, '60')
    assert.equal(await liquidity(), '0')
    await admin.graphql(
      'mutation V($input: VoidLiquidityWithdrawalInput!) { voidLiquidityWithdrawal(input: $input) { success } }',
      { input: { withdrawalId: reserved, idempotencyKey: randomUUID() } },
    )
    const { createWalletAddressWithdrawal } = await withdraw(taken, '0')
    assert.deepEqual(createWalletAddressWithdrawal.withdrawal, {
      id: taken,
      amount: '500',
      walletAddress: { id: walletAddressId },
    })
    assert.equal(await liquidity(), '0')
    await assert.rejects(withdraw(taken, '0'), /exists already/)
    await assert.rejects(withdraw(randomUUID(), '0'), /nothing to withdraw/)
  })
})
