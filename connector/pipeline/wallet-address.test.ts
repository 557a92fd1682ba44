import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createConnection, createReceipt, verifyReceipt } from 'ilp-protocol-stream'
import { request } from 'undici'
import { updateWalletAddress } from '../../shared/incoming-payments/index.ts'
import { accountCode } from '../../shared/ledger/index.ts'
import { depositPeerLiquidity } from '../../shared/peers/index.ts'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { createStreamCredentials, type ReceiptSetup } from '../../shared/stream-credentials/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import {
  announceWalletAddressCredits,
  createWalletAddress,
  type WalletAddress,
} from '../../shared/wallet-addresses/index.ts'
import { isFulfill, isReject } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { testPlugin } from '../stream/test-path.ts'
import { postPrepare } from '../testing/test-hop.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'

let database: TestDatabase
let node: TestNode
let usd: LedgerAsset
let from: { id: string; token: string }
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode({ connectionString: database.connectionString })
  usd = await node.asset('USD', 2)
  from = await node.peer(usd, { address: 'test.a', liquidity: 1_000_000n, maxPacketAmount: 100n })
})
after(async () => {
  await node.close()
  await database.drop()
})

/** An address as SPSP pays it. */
const createPayee = (): Promise<WalletAddress> =>
  createWalletAddress(node.node, {
    tenantId: node.node.settings.operatorTenantId,
    assetId: usd.id,
    address: `https://wallet.example/${uuidv7()}`,
  })

function credentialsOf(wallet: WalletAddress, receipt?: ReceiptSetup) {
  const { ilpAddress, sharedSecret } = createStreamCredentials({
    streamSecret: node.config.streamSecret,
    ilpAddress: 'test.node',
    paymentTag: wallet.id,
    asset: { assetCode: usd.assetCode, assetScale: usd.assetScale },
    ...(receipt && { receipt }),
  })
  return { ilpAddress, sharedSecret: sharedSecret.toString('base64url') }
}

const newReceipt = (): ReceiptSetup => ({ nonce: randomBytes(16), secret: randomBytes(32) })

/** One packet, by our own sender. */
async function send(credentials: ReturnType<typeof credentialsOf>, amount: bigint, token = from.token) {
  const { reply, authentic } = await exchangePacket(
    openConnection(credentials),
    (prepare) => postPrepare(node.url, token, prepare),
    {
      amount,
      minimumAmount: 0n,
      expiresAt: new Date(Date.now() + 20_000),
      frames: [],
      fulfillable: true,
    },
  )
  const frame = authentic?.frames.find(({ type }) => type === 'streamReceipt')
  return { reply, receipt: frame?.type === 'streamReceipt' ? frame.receipt : undefined }
}

/** As another implementation signs it. */
const expectedReceipt = ({ nonce, secret }: ReceiptSetup, totalReceived: string) =>
  createReceipt({ nonce, secret, streamId: 1, totalReceived })

test('money for a wallet address is credited to its own account, without any incoming payment', async () => {
  const wallet = await createPayee()
  const before = await node.balance(from.id)
  for (const amount of [60n, 40n]) {
    const { reply, receipt } = await send(credentialsOf(wallet), amount)
    assert.ok(isFulfill(reply))
    assert.equal(receipt, undefined, 'nobody asked for receipts')
  }
  const [account] = await node.node.ledger.lookupAccounts([wallet.id])
  assert.deepEqual(
    [account?.code, account?.ledger, account?.creditsPosted, account?.userData128],
    [accountCode.webMonetization, usd.ledger, 100n, usd.id],
  )
  assert.equal(await node.balance(from.id), before - 100n)
})

test('the wallet is told what packets brought, once', async () => {
  const wallet = await createPayee()
  await send(credentialsOf(wallet), 70n)
  await send(credentialsOf(wallet), 5n)
  const sweep = () => announceWalletAddressCredits(node.node, { throttleDelayMs: 0, concurrency: 1 })
  await sweep()
  await sweep()
  const amounts = await node.node.db.many(
    (row) => row.withdrawal_amount as bigint,
    sql`select withdrawal_amount from webhook_events where wallet_address_id = ${wallet.id}`,
  )
  assert.deepEqual(amounts, [75n])
})

test('each connection has receipts over its own total, signed for whoever asked', async () => {
  const wallet = await createPayee()
  const [one, other] = [newReceipt(), newReceipt()]
  const first = credentialsOf(wallet, one)
  const second = credentialsOf(wallet, other)
  assert.deepEqual((await send(first, 30n)).receipt, expectedReceipt(one, '30'))
  assert.deepEqual((await send(second, 50n)).receipt, expectedReceipt(other, '50'))
  assert.deepEqual((await send(first, 12n)).receipt, expectedReceipt(one, '42'))
  assert.equal(await node.credited(wallet.id), 92n)
})

test('what no receipt can state any more is fulfilled without one: a Reject would deny it', async () => {
  const wallet = await createPayee()
  const receipt = newReceipt()
  const half = 2n ** 63n
  const rich = await node.peer(usd, { address: 'test.rich', liquidity: half })
  await depositPeerLiquidity(node.node, 'all', { peerId: rich.id, transferId: uuidv7(), amount: half })
  const credentials = credentialsOf(wallet, receipt)
  const first = await send(credentials, half, rich.token)
  assert.deepEqual(first.receipt, expectedReceipt(receipt, half.toString()))
  const second = await send(credentials, half, rich.token)
  assert.ok(isFulfill(second.reply))
  assert.equal(second.receipt, undefined)
  assert.equal(await node.credited(wallet.id), 2n * half)
})

test('a sender of the field pays in many packets over a socket and ends with a valid receipt', async () => {
  const wallet = await createPayee()
  const receipt = newReceipt()
  const { ilpAddress, sharedSecret } = credentialsOf(wallet, receipt)
  const plugin = testPlugin('test.a.sender', async (bytes) => {
    const response = await request(node.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${from.token}`, 'content-type': 'application/octet-stream' },
      body: bytes,
    })
    return Buffer.from(await response.body.arrayBuffer())
  })
  const connection = await createConnection({
    plugin,
    destinationAccount: ilpAddress,
    sharedSecret: Buffer.from(sharedSecret, 'base64url'),
    slippage: 0,
  })
  const stream = connection.createStream()
  await stream.sendTotal(1_050)
  assert.ok(stream.receipt)
  const { totalReceived } = verifyReceipt(stream.receipt, ({ nonce }) => {
    assert.deepEqual(nonce, receipt.nonce)
    return receipt.secret
  })
  assert.equal(totalReceived.toString(), '1050')
  assert.equal(await node.credited(wallet.id), 1_050n)
  await connection.end()
})

test('a deactivated address takes no money, and takes it again when it is active again', async () => {
  const wallet = await createPayee()
  const credentials = credentialsOf(wallet)
  assert.ok(isFulfill((await send(credentials, 5n)).reply))
  const tenant = { tenantId: wallet.tenantId }
  await updateWalletAddress(node.node, tenant, { id: wallet.id, status: 'INACTIVE' })
  // The connector looks at a payee's state twice a second.
  const refused = await waitFor(async () => {
    const { reply } = await send(credentials, 1n)
    return isReject(reply) && reply
  })
  assert.deepEqual([refused.code, refused.message], ['F02', 'destination account is in an incorrect state'])
  const credited = await node.credited(wallet.id)
  await updateWalletAddress(node.node, tenant, { id: wallet.id, status: 'ACTIVE' })
  await waitFor(async () => isFulfill((await send(credentials, 7n)).reply))
  assert.equal(await node.credited(wallet.id), credited + 7n)
})

test('a tag that names nobody is no destination', async () => {
  const wallet = await createPayee()
  const { reply } = await send(credentialsOf({ ...wallet, id: uuidv7() }), 5n)
  assert.ok(isReject(reply))
  assert.equal(reply.code, 'F02')
})
