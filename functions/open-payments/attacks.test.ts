import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createAsset } from '../../shared/assets/index.ts'
import { jwkOf } from '../../shared/http-signatures/index.ts'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import {
  type Canary,
  createTestDatabase,
  type Forgery,
  fitsWeakKeys,
  forgeSignature,
  startCanary,
  startTestHttpServer,
  type TestDatabase,
  WEAK_KEYS,
} from '../../shared/testing/index.ts'
import {
  createWalletAddress,
  findWalletAddressByUrl,
  listWalletAddressKeys,
  revokeWalletAddressKey,
} from '../../shared/wallet-addresses/index.ts'
import { type RawAnswer, send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
let client: TestClient
let alice: string
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
  client = await node.createClient('/client')
  alice = (await node.createWallet('/alice')).address
})
after(async () => {
  await node.close()
  await database.drop()
})

const collectionOf = (server = node) => `${server.url}/${server.tenantId}/incoming-payments`
const create = [{ type: 'incoming-payment', actions: ['create'] }]
const digestOf = (body: string) => `sha-512=:${hash('sha512', body, 'base64')}:`
const all = ['@method', '@target-uri', 'authorization', 'content-digest']
const refusedFor = (answer: RawAnswer, reason: string) =>
  assert.deepEqual([answer.status, answer.body.error?.details?.reason], [401, reason], answer.text)

interface Attack extends Partial<Forgery> {
  token?: string
  /** Another body than the one that is signed. */
  sent?: string
  server?: TestNode
  who?: TestClient
  /** Sent, not signed. */
  more?: Record<string, string>
}

/** A request for a new incoming payment, whose signature claims what the attack says. */
async function attack({
  server = node,
  who = client,
  more,
  sent,
  token,
  ...claim
}: Attack): Promise<RawAnswer> {
  const url = collectionOf(server)
  const body = JSON.stringify({ walletAddress: server === node ? alice : `${server.publicUrl}/alice` })
  const headers = forgeSignature({
    method: 'POST',
    url,
    privateKey: who.privateKey,
    keyId: who.keyId,
    covered: all,
    ...claim,
    headers: {
      authorization: `GNAP ${token ?? server.grant(who, create)}`,
      'content-digest': digestOf(body),
      'content-type': 'application/json',
      ...claim.headers,
    },
  })
  return send(url, { method: 'POST', headers: { ...headers, ...more }, body: sent ?? body })
}

describe('replay', () => {
  test('a request with a nonce is carried out once, at whatever path it is sent', async () => {
    const token = node.grant(client, create)
    const parallel = await Promise.all(
      Array.from({ length: 8 }, () => attack({ token, parameters: ';nonce="once"', created: nowSeconds() })),
    )
    assert.deepEqual(parallel.map(({ status }) => status).sort(), [201, 401, 401, 401, 401, 401, 401, 401])
    assert.equal((await attack({ token, parameters: ';nonce="twice"' })).status, 201)
  })
  test('a captured request is over when its time is', async () => {
    for (const offset of [-400, 400, -86_400])
      refusedFor(await attack({ created: nowSeconds() + offset }), 'created_outside_window')
    refusedFor(await attack({ parameters: `;expires=${nowSeconds() - 5}` }), 'signature_expired')
  })
  const nowSeconds = () => Math.floor(Date.now() / 1000)
})

describe('a body that the signature does not protect', () => {
  test('is refused', async () => {
    assert.equal((await attack({})).status, 201)
    const other = JSON.stringify({ walletAddress: client.walletAddress })
    refusedFor(await attack({ covered: all.slice(0, 3) }), 'component_not_covered')
    refusedFor(await attack({ covered: all.slice(0, 3), sent: other }), 'component_not_covered')
    refusedFor(await attack({ sent: other }), 'content_digest_mismatch')
    refusedFor(
      await attack({ headers: { 'content-digest': `sha=:${hash('sha1', '{}', 'base64')}:` } }),
      'content_digest_malformed',
    )
    refusedFor(
      await attack({ covered: ['@method', '@target-uri', 'content-digest'] }),
      'component_not_covered',
    )
  })
})

describe('keys', () => {
  test('a revoked key opens nothing, from the next look at the key set on', async () => {
    const second = await startTestNode(database.connectionString)
    try {
      const who = await second.createClient('/client-with-keys')
      await second.createWallet('/alice')
      const wallet = await findWalletAddressByUrl(second.node, 'all', who.walletAddress)
      const [key] = await listWalletAddressKeys(second.node, wallet?.id ?? '')
      assert.ok(key)
      await revokeWalletAddressKey(second.node, { tenantId: second.tenantId }, key.id)
      refusedFor(await attack({ server: second, who }), 'key_unknown')
    } finally {
      await second.close()
    }
  })
  test('a weak key is refused, though the authorization server has taken it', async () => {
    const jwk = jwkOf(client.privateKey, client.keyId)
    for (const x of WEAK_KEYS) {
      const token = node.grant(client, create, { client: { jwk: { ...jwk, x } } })
      refusedFor(await attack({ token, signature: fitsWeakKeys }), 'key_invalid')
    }
  })
})

describe('tenants', () => {
  test('a token of one opens nothing of another, by whatever path', async () => {
    const tenantId = uuidv7()
    const prefix = `${node.publicUrl}/second`
    await createTenant(node.node, {
      id: tenantId,
      apiSecret: randomUUID(),
      settings: [{ key: 'WALLET_ADDRESS_URL', value: prefix }],
    })
    const asset = await createAsset(node.node, { tenantId, code: 'USD', scale: 2 })
    const wallet = await createWalletAddress(node.node, {
      tenantId,
      assetId: asset.id,
      address: `${prefix}/bob`,
    })
    const payment = await createIncomingPayment(node.node, {
      tenantId,
      walletAddressId: wallet.id,
      client: client.walletAddress,
      initiatedBy: 'OPEN_PAYMENTS',
    })
    const actions = ['create', 'read-all', 'list-all', 'complete']
    const ours = node.grant(client, [{ type: 'incoming-payment', actions }])
    const theirs = node.grant(client, [{ type: 'incoming-payment', actions }], { tenant: tenantId })
    const read = (tenant: string, token: string) =>
      sendSigned(client, token, {
        method: 'GET',
        url: `${node.url}/${tenant}/incoming-payments/${payment.id}`,
      })
    assert.equal((await read(tenantId, theirs)).status, 200)
    assert.equal((await read(tenantId, ours)).status, 403)
    // Through one's own tenant it does not exist, whoever asks.
    assert.equal((await read(node.tenantId, ours)).status, 401)
    assert.equal((await read(node.tenantId, theirs)).status, 401)
    const list = `${node.url}/${node.tenantId}/incoming-payments?wallet-address=${encodeURIComponent(wallet.address)}`
    assert.equal((await sendSigned(client, ours, { method: 'GET', url: list })).status, 400)
    const posted = { method: 'POST', url: collectionOf(), body: { walletAddress: wallet.address } } as const
    assert.equal((await sendSigned(client, ours, posted)).status, 400)
    assert.equal((await sendSigned(client, theirs, posted)).status, 403)
  })
})

describe('what a client may make us fetch', () => {
  let canary: Canary
  let strict: TestNode
  before(async () => {
    canary = await startCanary()
    // Only the name is allowed: the addresses that it stands for are as private as any.
    strict = await startTestNode(database.connectionString, { EGRESS_ALLOW: 'localhost' })
    await strict.createWallet('/alice')
  })
  after(async () => {
    await strict.close()
    await canary.close()
  })
  test('no private address, as receiver, incoming payment, or client; nothing is connected to', async () => {
    const who = await strict.createClient('/payer')
    const walletAddress = `${strict.publicUrl}/alice`
    const quotes = strict.grant(who, [{ type: 'quote', actions: ['create'] }])
    const payments = strict.grant(who, [
      { type: 'outgoing-payment', actions: ['create'], identifier: walletAddress },
    ])
    const post = (path: string, token: string, body: object) =>
      sendSigned(who, token, { method: 'POST', url: `${strict.url}/${strict.tenantId}${path}`, body })
    const { port } = canary
    const debitAmount = { value: '5', assetCode: 'USD', assetScale: 2 }
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0.0.0.0',
      '[::1]',
      '[::ffff:127.0.0.1]',
      'user@127.0.0.1',
      'localhost@127.0.0.1',
    ])
      for (const scheme of ['https', 'http']) {
        const url = `${scheme}://${host}:${port}/incoming-payments/${uuidv7()}`
        const asQuote = await post('/quotes', quotes, {
          walletAddress,
          receiver: url,
          method: 'ilp',
          debitAmount,
        })
        assert.equal(asQuote.status, 400, `${url}: ${asQuote.text}`)
        const asPayment = await post('/outgoing-payments', payments, {
          walletAddress,
          incomingPayment: url,
          debitAmount,
        })
        assert.equal(asPayment.status, 400, `${url}: ${asPayment.text}`)
        const asClient = strict.grant({ walletAddress: `${scheme}://${host}:${port}/x` }, create)
        refusedFor(await attack({ server: strict, who, token: asClient }), 'keys_unavailable')
      }
    assert.equal(canary.connections, 0)
  })
  test('what was fetched is not shown', async () => {
    const secret = 'the-page-behind-the-firewall'
    const page = await startTestHttpServer(() => ({ body: secret, headers: { 'x-secret': secret } }))
    try {
      const address = page.url.replace('http://127.0.0.1', 'https://localhost')
      const answer = await attack({
        server: strict,
        who: client,
        token: strict.grant({ walletAddress: `${address}/x` }, create),
      })
      refusedFor(answer, 'keys_unavailable')
      const who = await strict.createClient('/asking')
      const quoted = await sendSigned(who, strict.grant(who, [{ type: 'quote', actions: ['create'] }]), {
        method: 'POST',
        url: `${strict.url}/${strict.tenantId}/quotes`,
        body: {
          walletAddress: `${strict.publicUrl}/alice`,
          receiver: `${address}/incoming-payments/${uuidv7()}`,
          method: 'ilp',
        },
      })
      assert.equal(quoted.status, 400)
      assert.ok(page.requests.length >= 2)
      for (const { text } of [answer, quoted]) assert.ok(!text.includes(secret), text)
    } finally {
      await page.close()
    }
  })
  test('keys that this very node publishes: many at once need no second connection to the database', async () => {
    const small = await startTestNode(database.connectionString, { DATABASE_POOL_SIZE: '1' })
    try {
      await small.createWallet('/alice')
      const clients = await Promise.all(
        Array.from({ length: 30 }, (_, index) => small.createClient(`/self-${index}`)),
      )
      const startedAt = performance.now()
      const answers = await Promise.all(clients.map((who) => attack({ server: small, who })))
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201])
      assert.ok(performance.now() - startedAt < 10_000)
    } finally {
      await small.close()
    }
  })
})

describe('hosts', () => {
  /** As the bytes stand, which no client library would send. */
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(node.url).port), 'localhost', () => socket.write(text))
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
      socket.on('error', reject)
    })
  const get = (token: string, signedUrl: string, target: string, headers: Record<string, string>) => {
    const signed = forgeSignature({
      method: 'GET',
      url: signedUrl,
      privateKey: client.privateKey,
      keyId: client.keyId,
      covered: ['@method', '@target-uri', 'authorization'],
      headers: { authorization: `GNAP ${token}` },
    })
    const lines = Object.entries({ ...signed, ...headers }).map((pair) => pair.join(': '))
    return raw(`GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\nconnection: close\r\n\r\n`)
  }
  test('what was signed for another server is worth nothing here, whatever the request calls this one', async () => {
    const path = `/${node.tenantId}/incoming-payments?wallet-address=${encodeURIComponent(alice)}`
    const token = node.grant(client, [{ type: 'incoming-payment', actions: ['list'] }])
    const { host } = new URL(node.url)
    const evil = 'http://evil.example'
    assert.match(await get(token, `${node.url}${path}`, path, { host }), /^HTTP\/1\.1 200 /)
    for (const [signedUrl, target, headers] of [
      [`${evil}${path}`, path, { host: 'evil.example' }],
      [`${evil}${path}`, path, { host, 'x-forwarded-host': 'evil.example' }],
      [`${evil}${path}`, path, { host, forwarded: 'host=evil.example' }],
      [`${evil}${path}`, `${evil}${path}`, { host }],
      [`${evil}${path}`, `${evil}${path}`, { host: 'evil.example' }],
      [`${node.url}${path}`, `${node.url}${path}`, { host }],
      [`https://${host}${path}`, path, { host, 'x-forwarded-proto': 'https' }],
    ] as const) {
      const answer = await get(token, signedUrl, target, headers)
      assert.match(answer, /^HTTP\/1\.1 40[01] /, `${signedUrl} at ${target}`)
    }
  })
})

describe('exhaustion', () => {
  const many = (part: string, count: number) => part.repeat(count)
  const bodies: [string, () => string][] = [
    ['a megabyte of URL', () => `{"walletAddress":"https://bank.example/${many('/', 900_000)}"}`],
    [
      '10,000 nested lists',
      () =>
        `{"walletAddress":"https://a.example/","metadata":{"a":${many('[', 10_000)}${many(']', 10_000)}}}`,
    ],
    ['100,000 members', () => `{${Array.from({ length: 100_000 }, (_, index) => `"n${index}":0`).join()}}`],
    [
      'a megabyte of digits',
      () =>
        `{"walletAddress":"https://a.example/","incomingAmount":{"value":"${many('9', 900_000)}","assetCode":"USD","assetScale":2}}`,
    ],
    [
      'a date of a megabyte',
      () => `{"walletAddress":"https://a.example/","expiresAt":"${many('1', 900_000)}"}`,
    ],
  ]
  const fastest = async (attempt: () => Promise<RawAnswer>) => {
    const times: number[] = []
    for (let round = 0; round < 3; round++) {
      const startedAt = performance.now()
      const { status } = await attempt()
      assert.ok(status >= 400 && status < 500, String(status))
      times.push(performance.now() - startedAt)
    }
    return Math.min(...times)
  }
  for (const [name, make] of bodies)
    test(`${name}: refused at once`, async () => {
      const body = make()
      const headers = {
        'content-type': 'application/json',
        'signature-input': 'sig1=()',
        signature: 'sig1=::',
      }
      const milliseconds = await fastest(() => send(collectionOf(), { method: 'POST', headers, body }))
      assert.ok(milliseconds < 250, `${Math.round(milliseconds)} ms`)
    })
  test('a path of thousands of slashes', async () => {
    const milliseconds = await fastest(() => send(`${node.url}/a${many('/', 10_000)}b`))
    assert.ok(milliseconds < 50, `${Math.round(milliseconds)} ms`)
  })
  test('who has sent too much that proves nothing is told to come later', async () => {
    const limited = await startTestNode(database.connectionString)
    try {
      const who = await limited.createClient('/limited')
      let refused: RawAnswer | undefined
      for (let batch = 0; batch < 20 && !refused; batch++) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, () => attack({ server: limited, who, parameters: ';alg="none"' })),
        )
        refused = answers.find(({ status }) => status === 429)
      }
      assert.ok(refused, 'a thousand requests were all looked at')
      assert.equal(refused.headers.get('retry-after'), '1')
    } finally {
      await limited.close()
    }
  })
})

test('errors say what is wrong and nothing of how things are made', async () => {
  const token = node.grant(client, [{ type: 'incoming-payment', actions: ['create', 'read'] }])
  const { port } = new URL(node.url)
  const answers = [
    await send(collectionOf(), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{',
    }),
    await send(`${node.url}/%zz`),
    await send(`${node.url}/${node.tenantId}/incoming-payments/${encodeURIComponent("' or 1=1 --")}`),
    await send(`${node.url}/nobody-here`),
    await attack({ token: 'x' }),
    await attack({
      token: node.grant({ walletAddress: `https://localhost:${Number(port) + 1}/gone` }, create),
    }),
    await sendSigned(client, token, {
      method: 'POST',
      url: collectionOf(),
      body: { walletAddress: 'https://a.example/' },
    }),
    await sendSigned(client, node.grant(client, [{ type: 'quote', actions: ['create'] }]), {
      method: 'POST',
      url: `${node.url}/${node.tenantId}/quotes`,
      body: {
        walletAddress: client.walletAddress,
        receiver: `https://localhost:${Number(port) + 1}/incoming-payments/${uuidv7()}`,
        method: 'ilp',
      },
    }),
  ]
  for (const { status, text } of answers) {
    assert.ok(status >= 400 && status < 500, text)
    assert.doesNotMatch(text, /\bat .*\.ts|node_modules|postgres|select |\w+Error:|ECONN|127\.0\.0\.1/i)
  }
})
