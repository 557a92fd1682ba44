import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { type Asset, AssetRefusal, createAsset } from '../assets/index.ts'
import { createGuardedHttp, deriveId, type HttpClient, uuidv7 } from '../platform/index.ts'
import { createTenant } from '../tenants/index.ts'
import { startTestHttpServer, type TestHttpServer } from '../testing/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import { PeerRefusal } from './errors.ts'
import { createOrUpdatePeerByUrl, type PeerByUrlInput, type PeeringIdentity } from './peer-by-url.ts'
import {
  createPeer,
  findPeerByIncomingToken,
  getPeer,
  getPeerLiquidity,
  listPeers,
  listRoutedPeers,
  updatePeer,
} from './peers.ts'

/** What the acceptor was asked, as it understood it. */
interface Asked {
  staticIlpAddress: string
  ilpConnectorUrl: string
  asset: { code: string; scale: number }
  httpToken: string
  maxPacketAmount?: number
  name?: string
}

let node: TestNode
let asset: Asset
let http: HttpClient
let acceptor: TestHttpServer
/** Of the acceptor: what it answers instead of what the contract says. */
let answerInstead: ((asked: Asked) => { status?: number; body?: string }) | undefined
let address = 'test.acceptor'
let tokens = 0
const asked: Asked[] = []
const ACCEPTS = [{ code: 'USD', scale: 2 }]
const OWN: PeeringIdentity = {
  staticIlpAddress: 'test.node',
  ilpConnectorUrl: 'https://node.example/ilp',
  name: 'Node',
}

const failure = (code: number, type: string) => ({
  status: code,
  body: JSON.stringify({ error: { code, message: `about ${type}`, type } }),
})

/** The accepting side as the contract has it (connector.md §10). */
function accept(path: string, body: string) {
  const request = JSON.parse(body) as Asked
  asked.push(request)
  if (answerInstead) return answerInstead(request)
  const isWellFormed =
    path === '/' &&
    typeof request.staticIlpAddress === 'string' &&
    typeof request.httpToken === 'string' &&
    typeof request.asset?.code === 'string' &&
    Number.isInteger(request.asset?.scale) &&
    ['undefined', 'number'].includes(typeof request.maxPacketAmount) &&
    ['undefined', 'string'].includes(typeof request.name)
  if (!isWellFormed) return failure(400, 'InvalidPeeringRequest')
  if (!URL.canParse(request.ilpConnectorUrl)) return failure(400, 'InvalidPeerIlpConfiguration')
  if (!ACCEPTS.some(({ code, scale }) => code === request.asset.code && scale === request.asset.scale))
    return failure(404, 'UnknownAsset')
  return {
    body: JSON.stringify({
      ilpConnectorUrl: 'https://acceptor.example/ilp',
      staticIlpAddress: address,
      httpToken: `theirs-${++tokens}`,
      name: 'Acceptor',
      tenantId: deriveId('acceptor'),
    }),
  }
}

before(async () => {
  node = await createTestNode()
  asset = await createAsset(node, { tenantId: node.settings.operatorTenantId, code: 'USD', scale: 2 })
  http = createGuardedHttp({ allow: ['127.0.0.1'], allowHttp: true })
  acceptor = await startTestHttpServer(({ path, body }) => accept(path, body))
})
after(async () => {
  await http.close()
  await acceptor.close()
  await node.close()
})
afterEach(() => {
  answerInstead = undefined
})

const mine = () => ({ tenantId: node.settings.operatorTenantId })
const url = () => acceptor.url.replace('http:', 'https:')
const peerUp = (more: Partial<PeerByUrlInput> = {}, own = OWN, guardedHttp = http) =>
  createOrUpdatePeerByUrl({ ...node, guardedHttp }, own, {
    ...mine(),
    assetId: asset.id,
    peerUrl: url(),
    ...more,
  })
const refused = (code: string) => (error: unknown) =>
  (error instanceof PeerRefusal || error instanceof AssetRefusal) && error.code === code
const count = async () => (await listPeers(node, mine(), { first: 100 })).items.length

test('both nodes know each other: each presents the token that it chose', async () => {
  address = 'test.first'
  const peer = await peerUp({
    maxPacketAmount: 2n ** 64n - 1n,
    liquidityThreshold: 5n,
    liquidityToDeposit: 70n,
  })
  const request = asked.at(-1)
  assert.deepEqual(request, {
    staticIlpAddress: 'test.node',
    ilpConnectorUrl: 'https://node.example/ilp',
    asset: { code: 'USD', scale: 2 },
    httpToken: request?.httpToken,
    maxPacketAmount: Number.MAX_SAFE_INTEGER,
    name: 'Node',
  })
  assert.equal(request?.httpToken.length, 43)
  assert.deepEqual(
    [peer.staticIlpAddress, peer.name, peer.maxPacketAmount, peer.liquidityThreshold, peer.routes],
    ['test.first', 'Acceptor', 2n ** 64n - 1n, 5n, ['test.first']],
  )
  assert.deepEqual(peer.outgoing, {
    endpoint: 'https://acceptor.example/ilp',
    authToken: request?.httpToken,
  })
  assert.equal((await findPeerByIncomingToken(node, `theirs-${tokens}`))?.id, peer.id)
  assert.equal(await getPeerLiquidity(node, peer), 70n)
  // Its endpoint is the other node's word: the connector must not trust it.
  assert.equal((await listRoutedPeers(node)).find(({ id }) => id === peer.id)?.peeringUrl, url())
})

test('asking again renews both tokens and what is given, and makes no second peer', async () => {
  address = 'test.again'
  const first = await peerUp({ name: 'Mine', maxPacketAmount: 9n })
  const oldToken = `theirs-${tokens}`
  const transferId = uuidv7()
  const before = await count()
  const again = await peerUp({ liquidityThreshold: 3n, liquidityToDeposit: 4n, transferId })
  assert.deepEqual([again.id, again.maxPacketAmount, again.liquidityThreshold], [first.id, 9n, 3n])
  assert.notEqual(again.outgoing.authToken, first.outgoing.authToken)
  assert.equal(again.outgoing.authToken, asked.at(-1)?.httpToken)
  assert.equal(await findPeerByIncomingToken(node, oldToken), undefined)
  assert.equal((await findPeerByIncomingToken(node, `theirs-${tokens}`))?.id, first.id)
  // A repeat of the whole after a crash deposits once.
  await peerUp({ liquidityToDeposit: 4n, transferId })
  assert.equal(await getPeerLiquidity(node, again), 4n)
  assert.equal(await count(), before)
})

test('a deposit that the ledger refuses is said so, and the peer stays', async () => {
  address = 'test.deposit'
  const transferId = uuidv7()
  const peer = await peerUp({ liquidityToDeposit: 4n, transferId })
  await assert.rejects(peerUp({ liquidityToDeposit: 5n, transferId }), refused('peering_liquidity'))
  assert.equal(await getPeerLiquidity(node, peer), 4n)
  assert.equal((await getPeer(node, mine(), peer.id)).outgoing.authToken, asked.at(-1)?.httpToken)
})

test('the same peering twice at the same time makes one peer', async () => {
  address = 'test.twice'
  const before = await count()
  const [one, other] = await Promise.all([peerUp(), peerUp()])
  assert.equal(one.id, other.id)
  assert.equal(await count(), before + 1)
})

test('nobody takes the place of a peer that was not made through its URL', async () => {
  address = 'test.bigbank'
  const outgoing = { endpoint: 'https://bigbank.example/ilp', authToken: 'agreed' }
  const incoming = { authTokens: ['bigbank-token'] }
  const bigbank = await createPeer(node, { assetId: asset.id, staticIlpAddress: address, outgoing, incoming })
  await assert.rejects(peerUp(), refused('duplicate_peer'))
  assert.deepEqual((await getPeer(node, mine(), bigbank.id)).outgoing, outgoing)
  assert.equal((await findPeerByIncomingToken(node, 'bigbank-token'))?.id, bigbank.id)
  // Its own host speaks for it.
  const { origin } = new URL(url())
  await updatePeer(node, mine(), {
    id: bigbank.id,
    outgoing: { endpoint: `${origin}/ilp`, authToken: 'agreed' },
  })
  assert.equal((await peerUp()).id, bigbank.id)
  // A new endpoint by the operator's word is the operator's again.
  const renamed = await updatePeer(node, mine(), { id: bigbank.id, name: 'Big' })
  assert.equal(renamed.peeringUrl, url())
  assert.equal('peeringUrl' in (await updatePeer(node, mine(), { id: bigbank.id, outgoing })), false)
  await assert.rejects(peerUp(), refused('duplicate_peer'))
})

test('what the other node refuses is said in our words', async () => {
  const before = await count()
  const eur = await createAsset(node, { ...mine(), code: 'EUR', scale: 2 })
  await assert.rejects(peerUp({ assetId: eur.id }), refused('peer_lacks_asset'))
  for (const [type, code] of [
    ['InvalidPeerIlpConfiguration', 'own_ilp_configuration'],
    ['InvalidIlpConfiguration', 'peering_refused'],
    ['InvalidPeeringRequest', 'peering_refused'],
    ['LiquidityError', 'peering_refused'],
    ['something new', 'peering_refused'],
  ] as const) {
    answerInstead = () => failure(400, type)
    await assert.rejects(peerUp(), refused(code), type)
  }
  for (const answer of [
    { status: 500, body: 'oops' },
    { status: 404 },
    { status: 302, body: '{}' },
    { status: 400, body: '{"error":7}' },
  ]) {
    answerInstead = () => answer
    await assert.rejects(peerUp(), refused('peering_refused'))
  }
  assert.equal(await count(), before)
})

test('what the other node says of itself is checked before it is believed', async () => {
  const before = await count()
  const good = {
    staticIlpAddress: 'test.checked',
    ilpConnectorUrl: 'https://checked.example/ilp',
    httpToken: 'theirs',
  }
  for (const bad of [
    { staticIlpAddress: 'no address' },
    { staticIlpAddress: 7 },
    { staticIlpAddress: 'test.node' },
    { staticIlpAddress: 'test.node.tenant' },
    { ilpConnectorUrl: 'ftp://checked.example' },
    { ilpConnectorUrl: 'http://checked.example/ilp' },
    { ilpConnectorUrl: 'https://user:word@checked.example' },
    { ilpConnectorUrl: null },
    { httpToken: 'two words' },
    { httpToken: '' },
    { httpToken: undefined },
    { name: 'kept\0nowhere' },
  ]) {
    answerInstead = () => ({ body: JSON.stringify({ ...good, ...bad }) })
    await assert.rejects(peerUp(), refused('peer_ilp_configuration'), JSON.stringify(bad))
  }
  for (const body of ['', 'null', '[]', '"text"', '{', '{}']) {
    answerInstead = () => ({ body })
    await assert.rejects(peerUp(), refused('peer_ilp_configuration'), body)
  }
  assert.equal(await count(), before)
  // Where the guarded client may use http, so may a peer.
  answerInstead = () => ({
    body: JSON.stringify({ ...good, ilpConnectorUrl: 'http://127.0.0.1:3002', name: 'x'.repeat(300) }),
  })
  const peer = await peerUp()
  assert.deepEqual([peer.outgoing.endpoint, peer.name?.length], ['http://127.0.0.1:3002', 255])
})

test('a URL where nobody may be asked, or nobody answers, is the same to the caller', async () => {
  const requests = acceptor.requests.length
  const strict = createGuardedHttp({ allow: [], allowHttp: false })
  const messages = new Set<string>()
  const attempt = async (peerUrl: string, client = http) => {
    await assert.rejects(peerUp({ peerUrl }, OWN, client), (error) => {
      assert.ok(refused('peer_unreachable')(error), peerUrl)
      messages.add((error as Error).message)
      return true
    })
  }
  const closed = await startTestHttpServer()
  await closed.close()
  await attempt(closed.url.replace('http:', 'https:'))
  for (const peerUrl of [
    '',
    'no url',
    'file:///etc/passwd',
    'http://example.com',
    'https://169.254.169.254/',
  ])
    await attempt(peerUrl)
  await attempt(url(), strict)
  await strict.close()
  assert.equal(messages.size, 1)
  assert.equal(acceptor.requests.length, requests)
})

test('without an address or a connector of our own, with a foreign asset or nothing to deposit, nobody is asked', async () => {
  const requests = acceptor.requests.length
  const { ilpConnectorUrl: _url, ...noUrl } = OWN
  const { staticIlpAddress: _address, ...noAddress } = OWN
  await assert.rejects(peerUp({}, noUrl), refused('own_ilp_configuration'))
  await assert.rejects(peerUp({}, noAddress), refused('own_ilp_configuration'))
  await assert.rejects(peerUp({ assetId: uuidv7() }), refused('unknown_asset'))
  const { id: tenantId } = await createTenant(node, { apiSecret: uuidv7() })
  await assert.rejects(peerUp({ tenantId }), refused('unknown_asset'))
  await assert.rejects(peerUp({ liquidityToDeposit: 0n }), refused('invalid_peer'))
  await assert.rejects(peerUp({ maxPacketAmount: 0n }), refused('invalid_peer'))
  assert.equal(acceptor.requests.length, requests)
})
