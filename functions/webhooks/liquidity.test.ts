import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type Asset,
  createAsset,
  depositAssetLiquidity,
  withdrawAssetLiquidity,
} from '../../shared/assets/index.ts'
import { createPeer, depositPeerLiquidity, withdrawPeerLiquidity } from '../../shared/peers/index.ts'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { createTestNode, type TestNode } from '../../shared/testing/node.ts'
import { listEvents } from '../../shared/webhooks/index.ts'
import { watchLiquidity } from './watch-liquidity.ts'

let node: TestNode
let asset: Asset
before(async () => {
  node = await createTestNode()
  asset = await createAsset(node, {
    tenantId: node.settings.operatorTenantId,
    code: 'USD',
    scale: 2,
    liquidityThreshold: 100n,
  })
})
after(() => node.close())

const deposit = (amount: bigint) =>
  depositAssetLiquidity(node, 'all', { assetId: asset.id, transferId: uuidv7(), amount })
const withdraw = (amount: bigint) =>
  withdrawAssetLiquidity(node, 'all', { assetId: asset.id, transferId: uuidv7(), amount, timeoutSeconds: 0 })
const events = async () => (await listEvents(node.db, { page: { sortOrder: 'ASC' } })).items

test('a balance that comes down to its threshold is announced once per crossing', async () => {
  await deposit(1_000n)
  await watchLiquidity(node)
  assert.deepEqual(await events(), [])
  await withdraw(899n)
  await watchLiquidity(node)
  assert.deepEqual(await events(), [], 'one above the threshold')
  await withdraw(1n)
  for (let look = 0; look < 3; look++) await watchLiquidity(node)
  await withdraw(40n)
  await watchLiquidity(node)
  const [event, ...others] = await events()
  assert.deepEqual(others, [])
  assert.deepEqual(
    [event?.type, event?.tenantId, event?.assetId, event?.data],
    [
      'asset.liquidity_low',
      asset.tenantId,
      asset.id,
      {
        id: asset.id,
        asset: { id: asset.id, code: 'USD', scale: 2 },
        liquidityThreshold: '100',
        balance: '100',
      },
    ],
  )
  assert.equal(await node.db.execute(sql`select 1 from webhook_deliveries`), 1)
  await deposit(500n)
  await watchLiquidity(node)
  assert.equal((await events()).length, 1)
  await withdraw(500n)
  // Several workers look at the same time.
  await Promise.all(Array.from({ length: 8 }, () => watchLiquidity(node)))
  assert.equal((await events()).length, 2)
})

test('peers are watched as assets are, and those without a threshold are not', async () => {
  await node.db.execute(sql`delete from webhook_events`)
  const newPeer = (name: string, liquidityThreshold?: bigint) =>
    createPeer(node, {
      tenantId: asset.tenantId,
      assetId: asset.id,
      staticIlpAddress: `test.${name}`,
      outgoing: { endpoint: 'https://peer.example', authToken: 'token' },
      ...(liquidityThreshold !== undefined && { liquidityThreshold }),
    })
  const peer = await newPeer('watched', 10n)
  await newPeer('unwatched')
  await depositPeerLiquidity(node, 'all', { peerId: peer.id, transferId: uuidv7(), amount: 11n })
  await watchLiquidity(node)
  assert.deepEqual(await events(), [])
  await withdrawPeerLiquidity(node, 'all', {
    peerId: peer.id,
    transferId: uuidv7(),
    amount: 1n,
    timeoutSeconds: 60,
  })
  await watchLiquidity(node)
  const [event] = await events()
  assert.deepEqual(
    [event?.type, event?.peerId, event?.data],
    [
      'peer.liquidity_low',
      peer.id,
      {
        id: peer.id,
        asset: { id: asset.id, code: 'USD', scale: 2 },
        liquidityThreshold: '10',
        balance: '10',
      },
    ],
  )
})
