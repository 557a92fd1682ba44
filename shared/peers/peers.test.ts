import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type Asset,
  AssetRefusal,
  createAsset,
  deleteAsset,
  getAsset,
  LiquidityRefusal,
} from '../assets/index.ts'
import { settlementAccountId } from '../ledger/index.ts'
import { createCache, createListener, createSecretBox, deriveId, sql, uuidv7 } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import { PeerRefusal } from './errors.ts'
import { hashToken, initialLiquidityTransferId } from './model.ts'
import {
  type CreatePeerInput,
  createPeer,
  deletePeer,
  depositPeerLiquidity,
  findPeerByIncomingToken,
  findRoutedPeer,
  getPeer,
  getPeerLiquidity,
  listPeers,
  listRoutedPeers,
  repairPeerAccounts,
  updatePeer,
  withdrawPeerLiquidity,
} from './peers.ts'

let node: TestNode
let asset: Asset
let mine: { tenantId: string }
const theirs = { tenantId: deriveId('stranger') }

before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  asset = await createAsset(node, { ...mine, code: 'USD', scale: 2 })
})
after(() => node.close())

const refused = (code: string) => (error: unknown) =>
  (error instanceof PeerRefusal || error instanceof LiquidityRefusal || error instanceof AssetRefusal) &&
  error.code === code

let count = 0
const input = (more: Partial<CreatePeerInput> = {}): CreatePeerInput => {
  const staticIlpAddress = `test.peer${++count}`
  return {
    assetId: asset.id,
    staticIlpAddress,
    outgoing: { endpoint: 'http://peer.example:3002', authToken: `outgoing-${count}` },
    ...more,
  }
}

test('an asset that another process has deleted gets no peer', async () => {
  const stale = await createAsset(node, { ...mine, code: 'STALE', scale: 0 })
  const kept = { ...node, cache: createCache({ clock: node.clock, lifeMs: 1_000 }) }
  await getAsset(kept, mine, stale.id)
  await deleteAsset(node, mine, stale.id)
  await assert.rejects(createPeer(kept, input({ assetId: stale.id })), refused('unknown_asset'))
})

test('a peer belongs to the tenant of its asset and reads back as given', async () => {
  const given = input({
    name: 'Bank B',
    maxPacketAmount: 2n ** 64n - 1n,
    liquidityThreshold: 0n,
    routes: ['test.beyond'],
    incoming: { authTokens: ['in-1', 'in-2', 'in-1'] },
  })
  const peer = await createPeer(node, given)
  assert.deepEqual(await getPeer(node, mine, peer.id), peer)
  assert.deepEqual(
    { ...peer, id: undefined, createdAt: undefined },
    {
      id: undefined,
      createdAt: undefined,
      tenantId: mine.tenantId,
      asset: { id: asset.id, code: 'USD', scale: 2, ledger: asset.ledger },
      staticIlpAddress: given.staticIlpAddress,
      outgoing: given.outgoing,
      routes: [given.staticIlpAddress, 'test.beyond'],
      name: 'Bank B',
      maxPacketAmount: 2n ** 64n - 1n,
      liquidityThreshold: 0n,
    },
  )
  assert.equal((await findPeerByIncomingToken(node, 'in-2'))?.id, peer.id)
  assert.equal(await findPeerByIncomingToken(node, 'in-3'), undefined)
})

test('tokens are not readable in the database', async () => {
  const given = input({ incoming: { authTokens: ['readable-incoming'] } })
  given.outgoing.authToken = 'readable-outgoing'
  const peer = await createPeer(node, given)
  const stored = await node.db.many(
    (row) => JSON.stringify(row),
    sql`select p.*, encode(t.token_hash, 'escape') as hash from peers p join peer_incoming_tokens t on t.peer_id = p.id where p.id = ${peer.id}`,
  )
  assert.equal(stored.length, 1)
  assert.doesNotMatch(stored.join(), /readable/)
  const strange = { ...node, secretBox: createSecretBox('another secret') }
  await assert.rejects(getPeer(strange, mine, peer.id), { code: 'secret_unreadable' })
})

test('what is malformed is refused before anything is written', async () => {
  const cases: [Partial<CreatePeerInput>, string][] = [
    [{ staticIlpAddress: 'peer' }, 'invalid_ilp_address'],
    [{ routes: ['nowhere'] }, 'invalid_ilp_address'],
    [{ outgoing: { endpoint: 'ftp://x', authToken: 't' } }, 'invalid_endpoint'],
    [{ outgoing: { endpoint: 'http://x', authToken: '' } }, 'invalid_token'],
    [{ incoming: { authTokens: ['a b'] } }, 'invalid_token'],
    [{ initialLiquidity: 0n }, 'invalid_peer'],
    [{ maxPacketAmount: 0n }, 'invalid_peer'],
    [{ assetId: uuidv7() }, 'unknown_asset'],
    [{ tenantId: theirs.tenantId }, 'unknown_asset'],
  ]
  const before = (await listPeers(node, 'all', { first: 100 })).items.length
  for (const [bad, code] of cases)
    await assert.rejects(createPeer(node, input(bad)), refused(code), JSON.stringify(Object.keys(bad)))
  assert.equal((await listPeers(node, 'all', { first: 100 })).items.length, before)
})

test('an asset has one peer per address, and a token belongs to one peer', async () => {
  const first = input({ incoming: { authTokens: ['only-one'] } })
  const { id } = await createPeer(node, first)
  await assert.rejects(
    createPeer(node, input({ staticIlpAddress: first.staticIlpAddress })),
    refused('duplicate_peer'),
  )
  await assert.rejects(
    createPeer(node, input({ incoming: { authTokens: ['fresh', 'only-one'] } })),
    refused('duplicate_incoming_token'),
  )
  assert.equal(await findPeerByIncomingToken(node, 'fresh'), undefined)
  const other = await createPeer(node, input())
  await assert.rejects(
    updatePeer(node, mine, { id: other.id, incoming: { authTokens: ['only-one'] } }),
    refused('duplicate_incoming_token'),
  )
  await assert.rejects(
    updatePeer(node, mine, { id: other.id, staticIlpAddress: first.staticIlpAddress }),
    refused('duplicate_peer'),
  )
  assert.equal((await findPeerByIncomingToken(node, 'only-one'))?.id, id)
})

test('an update changes what is given and replaces tokens and routes', async () => {
  const peer = await createPeer(node, input({ routes: ['test.old'], incoming: { authTokens: ['t-old'] } }))
  const renamed = await updatePeer(node, mine, { id: peer.id, name: 'New', maxPacketAmount: 9n })
  assert.deepEqual(renamed, { ...peer, name: 'New', maxPacketAmount: 9n })
  const moved = await updatePeer(node, mine, {
    id: peer.id,
    staticIlpAddress: 'test.moved',
    outgoing: { endpoint: 'https://new.example', authToken: 'new-token' },
    incoming: { authTokens: ['t-new'] },
  })
  assert.deepEqual(moved.routes, ['test.moved', 'test.old'])
  assert.deepEqual(moved.outgoing, { endpoint: 'https://new.example', authToken: 'new-token' })
  assert.equal(await findPeerByIncomingToken(node, 't-old'), undefined)
  assert.equal((await findPeerByIncomingToken(node, 't-new'))?.id, peer.id)
  const routed = await updatePeer(node, mine, { id: peer.id, routes: ['test.x'] })
  assert.deepEqual(routed.routes, ['test.moved', 'test.x'])
})

test('a tenant reaches its own peers only', async () => {
  const peer = await createPeer(node, input({ initialLiquidity: 5n }))
  await assert.rejects(getPeer(node, theirs, peer.id), refused('unknown_peer'))
  await assert.rejects(updatePeer(node, theirs, { id: peer.id, name: 'x' }), refused('unknown_peer'))
  await assert.rejects(deletePeer(node, theirs, peer.id), refused('unknown_peer'))
  const movement = { peerId: peer.id, transferId: uuidv7(), amount: 1n }
  await assert.rejects(depositPeerLiquidity(node, theirs, movement), refused('unknown_peer'))
  await assert.rejects(
    withdrawPeerLiquidity(node, theirs, { ...movement, timeoutSeconds: 0 }),
    refused('unknown_peer'),
  )
  assert.deepEqual((await listPeers(node, theirs, {})).items, [])
  await assert.rejects(getPeer(node, 'all', 'no id'), refused('unknown_peer'))
})

test('liquidity comes from settlement and goes back to it', async () => {
  const peer = await createPeer(node, input({ initialLiquidity: 50n }))
  const settled = async () =>
    (await node.ledger.lookupAccounts([settlementAccountId(asset.ledger)]))[0]!.debitsPosted
  const before = await settled()
  const deposit = { peerId: peer.id, transferId: uuidv7(), amount: 25n }
  await depositPeerLiquidity(node, mine, deposit)
  await assert.rejects(depositPeerLiquidity(node, mine, deposit), refused('duplicate_transfer'))
  assert.equal(await getPeerLiquidity(node, peer), 75n)
  assert.equal((await settled()) - before, 25n)
  await withdrawPeerLiquidity(node, mine, {
    peerId: peer.id,
    transferId: uuidv7(),
    amount: 70n,
    timeoutSeconds: 0,
  })
  assert.equal(await getPeerLiquidity(node, peer), 5n)
  await assert.rejects(
    withdrawPeerLiquidity(node, mine, {
      peerId: peer.id,
      transferId: uuidv7(),
      amount: 6n,
      timeoutSeconds: 60,
    }),
    refused('insufficient_liquidity'),
  )
})

test('a crash between row and ledger is made good once, initial liquidity included', async () => {
  const given = input({ initialLiquidity: 33n })
  const broken = {
    ...node,
    ledger: { ...node.ledger, createTransfers: () => Promise.reject(new Error('crash')) },
  }
  const id = uuidv7()
  await assert.rejects(createPeer(broken, { ...given, id }), /crash/)
  assert.equal(await getPeerLiquidity(node, { id }), 0n)
  assert.equal(await repairPeerAccounts(node), 1)
  assert.equal(await getPeerLiquidity(node, { id }), 33n)
  assert.equal(await repairPeerAccounts(node), 0)
  assert.equal(await getPeerLiquidity(node, { id }), 33n)
  const [transfer] = await node.ledger.lookupTransfers([initialLiquidityTransferId(id)])
  assert.equal(transfer?.amount, 33n)
})

test('the connector is told of every change, in time with its commit', async () => {
  const heard: (string | undefined)[] = []
  const listener = createListener({ connectionString: node.db.connectionString, log: node.log })
  listener.listen('upesi_peers', (id) => heard.push(id))
  // The connection is up when a notice of our own arrives.
  await waitFor(async () => {
    await node.db.execute(sql`select pg_notify('upesi_peers', 'ready')`)
    return heard.includes('ready')
  })
  heard.length = 0
  const peer = await createPeer(node, input({ incoming: { authTokens: ['heard'] } }))
  await updatePeer(node, mine, { id: peer.id, name: 'x' })
  await assert.rejects(
    node.db.tx(async (db) => {
      await updatePeer({ ...node, db }, mine, { id: peer.id, name: 'never' })
      throw new Error('rolled back')
    }),
  )
  await deletePeer(node, mine, peer.id)
  await waitFor(() => Promise.resolve(heard.filter((id) => id === peer.id).length >= 3))
  assert.equal(heard.filter((id) => id === peer.id).length, 3)
  assert.equal(await findRoutedPeer(node, peer.id), undefined)
  assert.equal(await findPeerByIncomingToken(node, 'heard'), undefined)
  await listener.close()
})

test('the connector gets all peers, not a page of them, with what it needs', async () => {
  for (let index = 0; index < 25; index++) await createPeer(node, input())
  const last = await createPeer(node, input({ incoming: { authTokens: ['routed'] } }))
  const routed = await listRoutedPeers(node)
  const total = await node.db.one((row) => Number(row.count), sql`select count(*) from peers`)
  assert.equal(routed.length, total)
  const found = routed.find(({ id }) => id === last.id)
  assert.deepEqual(found?.incomingTokenHashes, [hashToken('routed').toString('hex')])
  assert.equal(found?.outgoing.authToken, last.outgoing.authToken)
  assert.deepEqual(await findRoutedPeer(node, last.id), found)
})
