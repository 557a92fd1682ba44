import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { serializeIlpReject } from 'ilp-packet'
import { type Asset, createAsset } from '../../shared/assets/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import {
  approvePeer,
  createPeer,
  findPeerByIncomingToken,
  getPeer,
  getPeerLiquidity,
  listPeers,
  type Peer,
  type PeeringPolicy,
  PeerRefusal,
  toPeeringPolicy,
  updatePeer,
} from '../../shared/peers/index.ts'
import { ConfigError, deriveId, type RunningDeployable, uuidv7 } from '../../shared/platform/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { loadAutoPeeringConfig } from './config.ts'
import { startAutoPeering } from './wiring.ts'

interface Answer {
  status: number
  body: {
    httpToken: string
    error: { code: number; type: string; message: string }
    [member: string]: unknown
  }
}

const operatorTenantId = deriveId('auto-peering operator')
const environment = (connectionString: string, more: Record<string, string> = {}) => ({
  LOG_LEVEL: 'silent',
  USE_TIGERBEETLE: 'false',
  DATABASE_URL: connectionString,
  DATABASE_POOL_SIZE: '12',
  OPERATOR_TENANT_ID: operatorTenantId,
  ADMIN_API_SECRET: 'admin-secret',
  OPEN_PAYMENTS_URL: 'https://node.example',
  AUTH_SERVER_GRANT_URL: 'https://auth.example',
  WEBHOOK_URL: 'http://127.0.0.1:9/webhooks',
  KEY_ID: 'test-key',
  ILP_ADDRESS: 'test.node',
  ILP_CONNECTOR_URL: 'https://ilp.node.example',
  INSTANCE_NAME: 'Node',
  STREAM_SECRET: Buffer.alloc(32, 7).toString('base64'),
  ENABLE_AUTO_PEERING: 'true',
  AUTO_PEERING_SERVER_PORT: '0',
  EGRESS_ALLOW: '127.0.0.1',
  EGRESS_ALLOW_HTTP: 'true',
  TRUST_PROXY: 'true',
  ...more,
})

const token = () => randomBytes(24).toString('base64url')
let requests = 0
const request = (more: Record<string, unknown> = {}) => ({
  staticIlpAddress: `test.other${++requests}`,
  ilpConnectorUrl: 'https://ilp.other.example',
  asset: { code: 'USD', scale: 2 },
  httpToken: token(),
  ...more,
})

describe('auto-peering', () => {
  let database: TestDatabase
  let node: NodeContext
  let usd: Asset
  let running: RunningDeployable
  /** A peer's connector: whom it knows, and what it was asked. */
  let connector: TestHttpServer
  let knownTokens = new Set<string>()
  let knowsEverybody = false
  const presented: string[] = []
  const mine = { tenantId: operatorTenantId }
  before(async () => {
    database = await createTestDatabase('resources')
    const env = environment(database.connectionString)
    running = await startAutoPeering(env)
    node = await createNodeContext(loadAutoPeeringConfig(env), { name: 'test' })
    usd = await createAsset(node, { ...mine, code: 'USD', scale: 2 })
    connector = await startTestHttpServer(({ headers }) => {
      const bearer = String(headers.authorization).replace('Bearer ', '')
      presented.push(bearer)
      if (!knowsEverybody && !knownTokens.has(bearer)) return { status: 401, body: 'who?' }
      const reject = { code: 'F02', triggeredBy: 'test.other', message: '', data: Buffer.alloc(0) }
      // All of its bytes are ASCII.
      return { body: serializeIlpReject(reject).toString('latin1') }
    })
  })
  after(async () => {
    await running.close()
    await connector.close()
    await node.close()
    await database.drop()
  })
  afterEach(() => {
    knowsEverybody = false
    knownTokens = new Set()
  })

  let sources = 0
  const post = async (
    body: unknown,
    options: { port?: number; token?: string; source?: string } = {},
  ): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${options.port ?? running.ports.autoPeering}/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': options.source ?? `10.1.${++sources >> 8}.${sources & 255}`,
        ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }
  const peerOf = async (presents: string): Promise<Peer> => {
    const peer = await findPeerByIncomingToken(node, presents)
    assert.ok(peer)
    return peer
  }
  const connectorUrl = () => `${connector.url}/ilp`.replace('http:', 'https:')

  it('is off unless it is asked for', async () => {
    const off = environment(database.connectionString, { ENABLE_AUTO_PEERING: 'false' })
    await assert.rejects(
      startAutoPeering(off),
      (error: unknown) => error instanceof ConfigError && /ENABLE_AUTO_PEERING/.test(error.message),
    )
    const { ILP_CONNECTOR_URL: _url, ...nameless } = environment(database.connectionString)
    await assert.rejects(startAutoPeering(nameless), /ILP_CONNECTOR_URL is required/)
  })

  it('answers with all that the other node needs, and makes a peer without credit', async () => {
    const asked = request({ maxPacketAmount: 500, name: 'Other' })
    const { status, body } = await post(asked)
    assert.equal(status, 200)
    assert.deepEqual(body, {
      ilpConnectorUrl: 'https://ilp.node.example',
      staticIlpAddress: 'test.node',
      httpToken: body.httpToken,
      name: 'Node',
      tenantId: operatorTenantId,
    })
    const peer = await peerOf(asked.httpToken)
    assert.deepEqual(peer.outgoing, { endpoint: asked.ilpConnectorUrl, authToken: body.httpToken })
    assert.deepEqual(
      [peer.staticIlpAddress, peer.tenantId, peer.asset.id, peer.name, peer.maxPacketAmount, peer.routes],
      [asked.staticIlpAddress, operatorTenantId, usd.id, 'Other', 500n, [asked.staticIlpAddress]],
    )
    // The endpoint is its own word: the connector goes there through the guarded client.
    assert.equal(peer.peeringUrl, asked.ilpConnectorUrl)
    assert.ok(peer.acceptedAt && !peer.approvedAt)
    assert.equal(await getPeerLiquidity(node, peer), 0n)
    // Rafiki sends null where it has nothing to say.
    assert.equal((await post(request({ maxPacketAmount: null, name: null }))).status, 200)
  })

  it('says in the contract’s words what is wrong, and makes nothing', async () => {
    await createTenant(node, { apiSecret: 'x' }).then(({ id }) =>
      createAsset(node, { tenantId: id, code: 'EUR', scale: 2 }),
    )
    const count = async () => (await listPeers(node, mine, { first: 100 })).items.length
    const before = await count()
    const cases: [unknown, number, string][] = [
      ['not json', 400, 'InvalidPeeringRequest'],
      ['[]', 400, 'InvalidPeeringRequest'],
      [request({ httpToken: undefined }), 400, 'InvalidPeeringRequest'],
      [request({ httpToken: 'short' }), 400, 'InvalidPeeringRequest'],
      [request({ asset: { code: 'USD' } }), 400, 'InvalidPeeringRequest'],
      [request({ maxPacketAmount: -1 }), 400, 'InvalidPeeringRequest'],
      [request({ maxPacketAmount: 2 ** 60 }), 400, 'InvalidPeeringRequest'],
      [request({ name: 7 }), 400, 'InvalidPeeringRequest'],
      [request({ asset: { code: 'USD', scale: 9 } }), 404, 'UnknownAsset'],
      // The tenant's asset is nobody's to peer in.
      [request({ asset: { code: 'EUR', scale: 2 } }), 404, 'UnknownAsset'],
      [request({ staticIlpAddress: 'nonsense' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ staticIlpAddress: 'peer.config' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ staticIlpAddress: 'test.node' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ staticIlpAddress: 'test.node.below' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ ilpConnectorUrl: 'javascript:1' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ ilpConnectorUrl: 'http://public.example' }), 400, 'InvalidPeerIlpConfiguration'],
      [request({ ilpConnectorUrl: 'https://ilp.node.example/x' }), 400, 'InvalidPeerIlpConfiguration'],
      [`{"name":"${'x'.repeat(20_000)}"}`, 413, 'InvalidPeeringRequest'],
    ]
    for (const [body, status, type] of cases) {
      const answer = await post(body)
      assert.deepEqual([answer.status, answer.body.error?.type], [status, type], JSON.stringify(body))
      assert.equal(answer.body.error.code, status)
      assert.ok(answer.body.error.message)
    }
    assert.equal(await count(), before)
    const health = await fetch(`http://127.0.0.1:${running.ports.autoPeering}/readyz`)
    assert.equal(health.status, 200)
  })

  it('does not take an address from another peer, nor what lies below or above it, but for the same endpoint', async () => {
    const asked = request({ staticIlpAddress: 'test.held', ilpConnectorUrl: 'https://held.example' })
    assert.equal((await post(asked)).status, 200)
    await createPeer(node, {
      assetId: usd.id,
      staticIlpAddress: 'test.bank',
      routes: ['test.bank.far.away', 'g'],
      outgoing: { endpoint: 'https://bank.example', authToken: 'x' },
    })
    for (const staticIlpAddress of [
      'test.held.below',
      'test.bank.below',
      'test.bank.far',
      'test.bank.far.away',
    ]) {
      const { status, body } = await post(request({ staticIlpAddress }))
      assert.deepEqual([status, body.error.type], [400, 'InvalidPeerIlpConfiguration'], staticIlpAddress)
    }
    await createAsset(node, { ...mine, code: 'JPY', scale: 0 })
    const inYen = { staticIlpAddress: 'test.held', asset: { code: 'JPY', scale: 0 } }
    assert.equal((await post(request(inYen))).status, 400)
    assert.equal((await post(request({ ...inYen, ilpConnectorUrl: 'https://held.example' }))).status, 200)
    // Where the operator's route only leads on, there is nothing to take.
    assert.equal((await post(request({ staticIlpAddress: 'g.new' }))).status, 200)
  })

  it('a peer is changed at once by who presents its token, and may move then', async () => {
    const asked = request()
    await post(asked)
    const peer = await peerOf(asked.httpToken)
    const again = request({
      staticIlpAddress: asked.staticIlpAddress,
      ilpConnectorUrl: 'https://moved.example',
    })
    const { status, body } = await post(again, { token: asked.httpToken })
    assert.equal(status, 200)
    const moved = await peerOf(again.httpToken)
    assert.equal(moved.id, peer.id)
    assert.deepEqual(moved.outgoing, { endpoint: 'https://moved.example', authToken: body.httpToken })
    assert.equal(await findPeerByIncomingToken(node, asked.httpToken), undefined)
  })

  it('it lowers its own limit, and does not raise what the operator has set: neither by its token nor by its endpoint', async () => {
    const asked = request({ ilpConnectorUrl: connectorUrl() })
    await post(asked)
    const { id } = await peerOf(asked.httpToken)
    const limit = async () => (await getPeer(node, mine, id)).maxPacketAmount
    let presents = asked.httpToken
    const ask = async (maxPacketAmount: number) => {
      const again = request({ ...asked, httpToken: token(), maxPacketAmount })
      const { status } = await post(again, { token: presents })
      assert.equal(status, 200)
      presents = again.httpToken
      return await limit()
    }
    assert.equal(await ask(900), 900n)
    await updatePeer(node, mine, { id, maxPacketAmount: 500n })
    assert.equal(await ask(2 ** 40), 500n)
    assert.equal(await ask(400), 400n)
    const proven = request({ ...asked, httpToken: token(), maxPacketAmount: 2 ** 40 })
    const renewed = await post(proven)
    knownTokens = new Set([renewed.body.httpToken])
    await waitFor(async () => (await findPeerByIncomingToken(node, proven.httpToken)) !== undefined)
    assert.equal(await limit(), 400n)
  })

  it('by nobody else: not with another endpoint, another’s token, or what was made by hand', async () => {
    const asked = request()
    await post(asked)
    const before = await peerOf(asked.httpToken)
    const other = request()
    await post(other)
    const elsewhere = { staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: 'https://evil.example' }
    for (const presents of [undefined, other.httpToken, token()]) {
      const answer = await post(request(elsewhere), presents === undefined ? {} : { token: presents })
      assert.deepEqual([answer.status, answer.body.error.type], [400, 'InvalidPeeringRequest'])
    }
    assert.deepEqual(await getPeer(node, mine, before.id), before)
    const byHand = await createPeer(node, {
      assetId: usd.id,
      staticIlpAddress: 'test.by-hand',
      outgoing: { endpoint: 'https://by-hand.example', authToken: 'theirs' },
      incoming: { authTokens: ['a-token-made-by-hand'] },
    })
    const claim = request({ staticIlpAddress: 'test.by-hand', ilpConnectorUrl: 'https://by-hand.example' })
    for (const presents of [undefined, 'a-token-made-by-hand'])
      assert.equal((await post(claim, presents === undefined ? {} : { token: presents })).status, 400)
    assert.deepEqual(await getPeer(node, mine, byHand.id), byHand)
    // Nor does anybody learn here whether a token is somebody's.
    const guess = await post(request({ httpToken: 'a-token-made-by-hand' }))
    assert.deepEqual([guess.status, guess.body.error.message], [400, 'choose another token'])
  })

  it('without its token: when its own endpoint accepts what only the asker was told', async () => {
    const asked = request({ ilpConnectorUrl: connectorUrl() })
    const first = await post(asked)
    knownTokens.add(first.body.httpToken)
    const before = await peerOf(asked.httpToken)
    const again = request({ staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: connectorUrl() })
    // Somebody who does not speak for the endpoint gets the same answer, and it changes nothing.
    presented.length = 0
    const stranger = await post(again)
    assert.equal(stranger.status, 200)
    await waitFor(() => presented.includes(stranger.body.httpToken))
    await sleep(500)
    assert.deepEqual(await getPeer(node, mine, before.id), before)
    // The peer itself passes the answer on to its connector.
    const own = request({ staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: connectorUrl() })
    const renewed = await post(own)
    knownTokens = new Set([renewed.body.httpToken])
    await waitFor(async () => (await findPeerByIncomingToken(node, own.httpToken)) !== undefined)
    const after = await peerOf(own.httpToken)
    assert.equal(after.id, before.id)
    assert.deepEqual(after.outgoing, { endpoint: connectorUrl(), authToken: renewed.body.httpToken })
    assert.equal(await findPeerByIncomingToken(node, asked.httpToken), undefined)
    assert.equal(await findPeerByIncomingToken(node, again.httpToken), undefined)
  })

  it('an endpoint that takes any token proves nothing', async () => {
    const asked = request({ ilpConnectorUrl: connectorUrl() })
    await post(asked)
    const before = await peerOf(asked.httpToken)
    knowsEverybody = true
    presented.length = 0
    const again = request({ staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: connectorUrl() })
    assert.equal((await post(again)).status, 200)
    await waitFor(() => presented.length >= 4)
    assert.deepEqual(await getPeer(node, mine, before.id), before)
    // Nor can anybody keep more than a few waiting.
    for (let more = 0; more < 4; more++)
      await post(request({ staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: connectorUrl() }))
    const { status } = await post(
      request({ staticIlpAddress: asked.staticIlpAddress, ilpConnectorUrl: connectorUrl() }),
    )
    assert.equal(status, 429)
  })

  it('the same request at the same time makes one peer', async () => {
    const place = request({ ilpConnectorUrl: connectorUrl() })
    const answers = await Promise.all(Array.from({ length: 5 }, () => post({ ...place, httpToken: token() })))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    )
    const { items } = await listPeers(node, mine, { first: 100 })
    assert.equal(items.filter((peer) => peer.staticIlpAddress === place.staticIlpAddress).length, 1)
  })

  it('who proves nothing is limited by source: 429', async () => {
    const answers = await Promise.all(
      Array.from({ length: 700 }, () => post({ nothing: true }, { source: '192.0.2.9' })),
    )
    const limited = answers.filter(({ status }) => status === 429)
    assert.ok(limited.length >= 20, `${limited.length}`)
    assert.equal(limited[0]?.body.error.type, 'InvalidPeeringRequest')
    assert.equal((await post({ nothing: true }, { source: '192.0.2.10' })).status, 400)
  })

  describe('credit', () => {
    const credit = {
      AUTO_PEERING_CREDIT: '1000',
      AUTO_PEERING_CREDIT_TOTAL: '25500',
      AUTO_PEERING_PEERS_MAX: '2000',
    }
    let gbp: Asset
    let policy: PeeringPolicy
    before(async () => {
      gbp = await createAsset(node, { ...mine, code: 'GBP', scale: 2 })
      policy = toPeeringPolicy(loadAutoPeeringConfig(environment(database.connectionString, credit)))
    })
    const inPounds = (more = {}) => request({ asset: { code: 'GBP', scale: 2 }, ...more })
    const granted = async (): Promise<bigint[]> => {
      const credits: bigint[] = []
      for (let page = await listPeers(node, mine, { first: 100 }); ; ) {
        for (const peer of page.items)
          if (peer.asset.id === gbp.id) credits.push(await getPeerLiquidity(node, peer))
        const last = page.items.at(-1)
        if (!page.hasNextPage || !last) return credits
        page = await listPeers(node, mine, { first: 100, after: last.id })
      }
    }

    it('F8: a thousand peers get what the policy has for all of them, and not a unit more', async () => {
      const generous = await startAutoPeering(
        environment(database.connectionString, { ...credit, AUTO_PEERING_APPROVAL: 'false' }),
      )
      try {
        const { autoPeering: port } = generous.ports
        for (let wave = 0; wave < 20; wave++) {
          const answers = await Promise.all(
            Array.from({ length: 50 }, () => post(inPounds(), { port: port ?? 0 })),
          )
          assert.ok(answers.every(({ status }) => status === 200))
        }
      } finally {
        await generous.close()
      }
      const credits = await granted()
      assert.equal(credits.length, 1_000)
      assert.ok(credits.every((amount) => amount <= 1_000n))
      assert.equal(
        credits.reduce((sum, amount) => sum + amount, 0n),
        25_500n,
      )
    })

    it('waits for the operator’s word where that is asked for, and comes once', async () => {
      const chf = await createAsset(node, { ...mine, code: 'CHF', scale: 2 })
      const [asked, second] = [1, 2].map(() => request({ asset: { code: 'CHF', scale: 2 } })) as [
        ReturnType<typeof request>,
        ReturnType<typeof request>,
      ]
      const cautious = await startAutoPeering(environment(database.connectionString, credit))
      try {
        const { status, body } = await post(asked, { port: cautious.ports.autoPeering ?? 0 })
        assert.deepEqual([status, Object.keys(body).length], [200, 5])
        await post(second, { port: cautious.ports.autoPeering ?? 0 })
      } finally {
        await cautious.close()
      }
      const peer = await peerOf(asked.httpToken)
      assert.equal(peer.asset.id, chf.id)
      assert.equal(await getPeerLiquidity(node, peer), 0n)
      const words = await Promise.all(
        Array.from({ length: 5 }, () => approvePeer(node, mine, policy, peer.id)),
      )
      assert.ok(words.every(({ approvedAt }) => approvedAt))
      assert.equal(await getPeerLiquidity(node, peer), 1_000n)
      // What is left of the total bounds the rest.
      const small = { ...policy, creditTotal: 1_300n }
      const next = await peerOf(second.httpToken)
      await approvePeer(node, mine, small, next.id)
      assert.equal(await getPeerLiquidity(node, next), 300n)
      const byHand = await createPeer(node, {
        assetId: chf.id,
        staticIlpAddress: 'test.by-hand-in-francs',
        outgoing: { endpoint: 'https://by-hand.example', authToken: 'x' },
      })
      await assert.rejects(
        approvePeer(node, mine, policy, byHand.id),
        (error: unknown) => error instanceof PeerRefusal && error.code === 'not_accepted_peer',
      )
      await assert.rejects(approvePeer(node, { tenantId: uuidv7() }, policy, peer.id), /unknown peer/)
    })

    it('peers that nobody approved are so many and no more', async () => {
      const few = await startAutoPeering(
        environment(database.connectionString, { AUTO_PEERING_PEERS_MAX: '1' }),
      )
      try {
        const { status, body } = await post(request(), { port: few.ports.autoPeering ?? 0 })
        assert.deepEqual([status, body.error.type], [429, 'InvalidPeeringRequest'])
      } finally {
        await few.close()
      }
    })
  })
})
