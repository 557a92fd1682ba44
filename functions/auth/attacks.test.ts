import assert from 'node:assert/strict'
import { generateKeyPairSync, hash } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createDb, sql } from '../../shared/platform/index.ts'
import {
  type Canary,
  createTestDatabase,
  type Forgery,
  fitsWeakKeys,
  forgeSignature,
  startCanary,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  WEAK_KEYS,
} from '../../shared/testing/index.ts'
import { type Answer, startTestAuth, type TestAuth, type TestClient } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
const start = (more: Record<string, string> = {}) =>
  startTestAuth(database.connectionString, { INTERACTION_PORT: '0', ADMIN_PORT: '0', ...more })
before(async () => {
  database = await createTestDatabase('auth')
  auth = await start()
})
after(async () => {
  await auth.close()
  await database.drop()
})

const incoming = { type: 'incoming-payment', actions: ['create', 'read'] }
const bodyFor = (client: unknown) => JSON.stringify({ access_token: { access: [incoming] }, client })
const grantUrl = (server = auth) => `${server.url}/${server.tenantId}`
const digestOf = (body: string) => `sha-256=:${hash('sha256', body, 'base64')}:`
const is = (answer: Answer, status: number, description: string) =>
  assert.deepEqual([answer.status, answer.json?.error?.description], [status, description], answer.text)

interface Attack extends Partial<Forgery> {
  client: TestClient
  /** What is sent; signed is what `headers` say. */
  body: string
  server?: TestAuth
}

/** A grant request whose signature claims what the attack says. */
function attack({ client, body, server = auth, ...claim }: Attack): Promise<Answer> {
  const url = grantUrl(server)
  const headers = forgeSignature({
    method: 'POST',
    url,
    privateKey: client.privateKey,
    keyId: client.jwk.kid,
    covered: ['@method', '@target-uri', 'content-digest'],
    ...claim,
    headers: { 'content-digest': digestOf(body), 'content-type': 'application/json', ...claim.headers },
  })
  return server.send({ url, body, headers })
}

describe('replay', () => {
  test('how far clocks may differ is configured', async () => {
    const strict = await start({ SIGNATURE_WINDOW_SECONDS: '10' })
    try {
      const client = strict.createClient()
      const body = bodyFor(client.walletAddress)
      const at = (offset: number) =>
        attack({ client, body, server: strict, created: Math.floor(Date.now() / 1000) + offset })
      for (const offset of [-7, 0, 7]) assert.equal((await at(offset)).status, 200, String(offset))
      for (const offset of [-12, 12, -299]) is(await at(offset), 401, 'invalid signature headers')
    } finally {
      await strict.close()
    }
  })
})

describe('a body that the signature does not protect', () => {
  test('is refused: the digest not covered, absent, of another body, or of a kind that proves nothing', async () => {
    const client = auth.createClient()
    const body = bodyFor(client.walletAddress)
    assert.equal((await attack({ client, body })).status, 200)
    const attempts: Partial<Attack>[] = [
      { covered: ['@method', '@target-uri'] },
      { covered: ['@method', '@target-uri', 'content-type'] },
      { headers: { 'content-digest': digestOf('{}') } },
      { headers: { 'content-digest': `sha=:${hash('sha1', body, 'base64')}:` } },
      { headers: { 'content-digest': `md5=:${hash('md5', body, 'base64')}:` } },
      { headers: { 'content-digest': 'x' } },
      { headers: { 'content-digest': '' } },
    ]
    for (const attempt of attempts)
      is(await attack({ client, body, ...attempt }), 401, 'invalid signature headers')
  })
  test('a member that comes twice is refused, signed or not', async () => {
    const client = auth.createClient()
    const other = auth.createClient()
    const body = bodyFor(client.walletAddress).replace('{', `{"client":"${other.walletAddress}",`)
    assert.equal((await attack({ client, body })).status, 400)
  })
})

describe('algorithms and keys', () => {
  for (const algorithm of ['none', 'hmac-sha256', 'rsa-pss-sha512', 'ecdsa-p256-sha256'])
    test(`a signature that calls itself ${algorithm} is refused`, async () => {
      const client = auth.createClient()
      const body = bodyFor(client.walletAddress)
      is(await attack({ client, body, parameters: `;alg="${algorithm}"` }), 401, 'invalid signature headers')
    })

  const keys: Record<string, object> = {
    RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }),
    EC: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
    Ed448: generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' }),
    X25519: generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }),
    'a symmetric one': { kty: 'oct', k: 'AAAA' },
    'one for encryption': { use: 'enc' },
    'a private one': { d: 'AAAA' },
    '31 bytes': { x: Buffer.alloc(31, 7).toString('base64url') },
    'no x': { x: undefined },
    prototype: { x: undefined, __proto__: { x: 'AAAA' } },
  }
  for (const [name, change] of Object.entries(keys))
    test(`no key of a client: ${name}`, async () => {
      const client = auth.createClient()
      const jwk = { ...client.jwk, ...change, kid: client.jwk.kid }
      const { status, json } = await attack({ client, body: bodyFor({ jwk }) })
      assert.equal(status, 400)
      assert.equal(typeof json.error.description, 'string')
    })

  test('weak keys are refused where a client brings them and where its wallet publishes them', async () => {
    let published: object = {}
    const wallet = await startTestHttpServer(() => ({ body: JSON.stringify({ keys: [published] }) }))
    try {
      for (const [index, x] of WEAK_KEYS.entries()) {
        const client = auth.createClient()
        const jwk = { ...client.jwk, x }
        published = jwk
        for (const as of [{ jwk }, `${wallet.url}/weak-${index}`.replace('http:', 'https:')])
          is(
            await attack({ client, body: bodyFor(as), signature: fitsWeakKeys }),
            400,
            'could not determine client',
          )
      }
      assert.equal(wallet.requests.length, WEAK_KEYS.length)
    } finally {
      await wallet.close()
    }
  })
})

describe('what a client may make us fetch', () => {
  let canary: Canary
  let wallet: TestHttpServer
  let strict: TestAuth
  let answer: { status?: number; headers?: Record<string, string>; body?: string }
  before(async () => {
    canary = await startCanary()
    wallet = await startTestHttpServer(() => answer)
    // Only the name is allowed: the addresses that it stands for are as private as any.
    strict = await start({ EGRESS_ALLOW: 'localhost' })
  })
  after(async () => {
    await strict.close()
    await wallet.close()
    await canary.close()
  })
  const portOf = (server: TestHttpServer) => new URL(server.url).port
  const ask = (address: string) =>
    attack({ client: strict.createClient(), server: strict, body: bodyFor(address) })

  test('no address of ours, however it is written; nothing is connected to', async () => {
    const { port } = canary
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0.0.0.0',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '127.0.0.1.',
      'user@127.0.0.1',
      'localhost@127.0.0.1',
    ])
      for (const scheme of ['https', 'http', 'gopher'])
        is(await ask(`${scheme}://${host}:${port}/alice`), 400, 'could not determine client')
    assert.equal(canary.connections, 0)
  })
  test('not by a detour: a redirect to a private address is not followed', async () => {
    for (const target of [
      `http://127.0.0.1:${canary.port}/alice/jwks.json`,
      `https://127.0.0.1:${canary.port}`,
      'http://169.254.169.254/latest/meta-data/',
      'file:///etc/passwd',
    ]) {
      answer = { status: 302, headers: { location: target } }
      const address = `https://localhost:${portOf(wallet)}/${hash('sha256', target)}`
      is(await ask(address), 400, 'could not determine client')
    }
    assert.equal(wallet.requests.length, 4)
    assert.equal(canary.connections, 0)
  })
  test('nothing but the key set below the address', async () => {
    const before = wallet.requests.length
    for (const tail of ['/x?y', '/x#y', '/x?', '/x#', '/x%00?'])
      is(await ask(`https://localhost:${portOf(wallet)}${tail}`), 400, 'could not determine client')
    assert.equal(wallet.requests.length, before)
  })
  test('what was fetched is not shown, and one request is one fetch', async () => {
    const secret = 'the-page-behind-the-firewall'
    for (const body of [secret, JSON.stringify({ keys: secret }), 'x'.repeat(70_000)]) {
      answer = { body, headers: { 'x-secret': secret } }
      const before = wallet.requests.length
      const refused = await ask(`https://localhost:${portOf(wallet)}/${hash('sha256', body)}`)
      is(refused, 400, 'could not determine client')
      assert.ok(!refused.text.includes(secret))
      assert.equal(wallet.requests.length, before + 1)
    }
  })
  test('not over http, unless the node is told to', async () => {
    const production = await start({ EGRESS_ALLOW_HTTP: 'false' })
    try {
      const client = production.createClient()
      for (const address of [
        client.walletAddress.replace('https:', 'http:'),
        `http://localhost:${canary.port}/alice`,
      ])
        is(
          await attack({ client, server: production, body: bodyFor(address) }),
          400,
          'could not determine client',
        )
      assert.equal(production.keyRequests.length + canary.connections, 0)
    } finally {
      await production.close()
    }
  })
  test('nothing for a request that is wrong without a key, or for a tenant that is not there', async () => {
    const client = strict.createClient()
    const body = bodyFor(client.walletAddress)
    const before = strict.keyRequests.length
    const now = Math.floor(Date.now() / 1000)
    const attempts: Partial<Attack>[] = [
      { created: now - 400 },
      { created: now + 400 },
      { parameters: `;expires=${now - 5}` },
      { parameters: ';alg="none"' },
      { covered: ['@method', '@target-uri'] },
      { covered: ['@target-uri', 'content-digest'] },
      { headers: { 'content-digest': digestOf('{}') } },
      { signature: () => Buffer.alloc(63) },
      { headers: { authorization: 'GNAP x' } },
    ]
    for (const attempt of attempts)
      assert.equal((await attack({ client, server: strict, body, ...attempt })).status, 401)
    const good = forgeSignature({
      method: 'POST',
      url: `${strict.url}/${crypto.randomUUID()}`,
      privateKey: client.privateKey,
      keyId: client.jwk.kid,
      covered: ['@method', '@target-uri', 'content-digest'],
      headers: { 'content-digest': digestOf(body), 'content-type': 'application/json' },
    })
    const unknown = await strict.send({ url: `${strict.url}/${crypto.randomUUID()}`, body, headers: good })
    assert.equal(unknown.status, 404)
    assert.equal((await strict.send({ url: grantUrl(strict), body })).status, 401, 'unsigned')
    assert.equal(strict.keyRequests.length, before)
    assert.equal((await attack({ client, server: strict, body })).status, 200)
    assert.equal(strict.keyRequests.length, before + 1)
  })
})

describe('tokens and continuations', () => {
  const open = async (client = auth.createClient()) => {
    const { json } = await auth.send({ client, url: grantUrl(), body: bodyFor(client.walletAddress) })
    return { client, token: json.access_token, proceed: json.continue }
  }
  test('after a cancellation nothing of the grant can be used', async () => {
    const { client, token, proceed } = await open()
    const another = await open(client)
    const onGrant = (method: string, value = proceed.access_token.value, url = proceed.uri) =>
      auth.send({ client, method, url, token: value })
    is(await onGrant('DELETE', another.proceed.access_token.value), 401, 'invalid grant')
    is(await onGrant('DELETE', proceed.access_token.value, another.proceed.uri), 401, 'invalid grant')
    assert.equal((await onGrant('DELETE')).status, 204)
    for (const method of ['POST', 'DELETE']) is(await onGrant(method), 401, 'invalid grant')
    for (const method of ['POST', 'DELETE'])
      is(await onGrant(method, token.value, token.manage), 401, 'invalid access token')
    assert.deepEqual((await auth.introspect({ access_token: token.value })).json, { active: false })
  })
  test('eight continuations at a time are one, with connections ready for all of them', async () => {
    const token = crypto.randomUUID()
    const asked = () => auth.introspect({ access_token: token })
    for (let round = 0; round < 5; round++) {
      // Connections are opened when they are missed, and a first one may be done before the second is there.
      await Promise.all(Array.from({ length: 20 }, asked))
      const { client, proceed } = await open()
      const statuses = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const poll = { client, url: proceed.uri, token: proceed.access_token.value }
          return (await auth.send(poll)).status
        }),
      )
      assert.deepEqual(statuses.sort(), [200, 401, 401, 401, 401, 401, 401, 401])
    }
  })
  test('neither is kept as it is: the database has hashes', async () => {
    const { token, proceed } = await open()
    const db = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
    try {
      const rows = await db.many(
        (row) => String(row.text),
        sql`select grants::text as text from grants union all select t::text from access_tokens t`,
      )
      assert.ok(rows.length >= 2)
      for (const secret of [token.value, proceed.access_token.value]) {
        // A part of it would be too much already.
        const part = secret.slice(0, 16)
        for (const form of [part, part.toLowerCase(), Buffer.from(part).toString('hex')])
          assert.ok(!rows.some((row) => row.includes(form)))
      }
    } finally {
      await db.close()
    }
  })
})

describe('hosts', () => {
  /** As the bytes stand, which no client library would send. */
  const raw = (server: TestAuth, text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(server.url).port), 'localhost', () => socket.write(text))
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
      socket.on('error', reject)
    })
  const signedFor = (client: TestClient, url: string, body: string) =>
    forgeSignature({
      method: 'POST',
      url,
      privateKey: client.privateKey,
      keyId: client.jwk.kid,
      covered: ['@method', '@target-uri', 'content-digest'],
      headers: { 'content-digest': digestOf(body), 'content-type': 'application/json' },
    })
  const httpText = (target: string, headers: Record<string, string>, body: string) =>
    [
      `POST ${target} HTTP/1.1`,
      ...Object.entries({ ...headers, 'content-length': String(body.length) }).map((pair) => pair.join(': ')),
      'connection: close',
      '',
      body,
    ].join('\r\n')

  test('what was signed for another server is worth nothing here, whatever the Host header says', async () => {
    const client = auth.createClient()
    const body = bodyFor(client.walletAddress)
    const path = `/${auth.tenantId}`
    const evil = 'http://evil.example'
    const headers = signedFor(client, `${evil}${path}`, body)
    const host = new URL(auth.url).host
    for (const more of [
      { host: 'evil.example' },
      { host, 'x-forwarded-host': 'evil.example' },
      { host, forwarded: 'host=evil.example' },
      { host, 'x-original-host': 'evil.example' },
    ])
      is(
        await auth.send({ url: grantUrl(), body, headers: { ...headers, ...more } }),
        401,
        'invalid signature',
      )
    for (const [target, sentHost] of [
      [`${evil}${path}`, host],
      [`${evil}${path}`, 'evil.example'],
      [`${auth.url}${path}`, host],
    ] as const) {
      const answer = await raw(auth, httpText(target, { ...headers, host: sentHost }, body))
      assert.match(answer, /^HTTP\/1\.1 40[0-4] /, target)
    }
    assert.match(
      await raw(auth, httpText(path, { ...signedFor(client, grantUrl(), body), host }, body)),
      /^HTTP\/1\.1 200 /,
    )
  })
  test('forwarded headers count when the node is told to trust its proxy, and then for our hosts only', async () => {
    const behind = await start({
      TRUST_PROXY: 'true',
      PUBLIC_HOSTS: 'auth.bank.example',
    })
    try {
      const client = behind.createClient()
      const body = bodyFor(client.walletAddress)
      const send = (server: TestAuth, publicHost: string) =>
        server.send({
          url: grantUrl(server),
          body,
          headers: {
            ...signedFor(client, `https://${publicHost}/${server.tenantId}`, body),
            'x-forwarded-proto': 'https',
            'x-forwarded-host': publicHost,
          },
        })
      const accepted = await send(behind, 'auth.bank.example')
      assert.equal(accepted.status, 200, accepted.text)
      // Wherever a request came in, what it is told is where the server says that it is.
      assert.ok(accepted.json.continue.uri.startsWith(`${behind.publicUrl}/continue/`))
      assert.ok(accepted.json.access_token.manage.startsWith(`${behind.publicUrl}/token/`))
      is(await send(behind, 'evil.example'), 401, 'invalid signature')
      is(await send(auth, 'auth.bank.example'), 401, 'invalid signature')
    } finally {
      await behind.close()
    }
  })
  test('two lengths for one body are no request', async () => {
    const host = new URL(auth.url).host
    const answer = await raw(
      auth,
      `POST /${auth.tenantId} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /discovery HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
    )
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.ok(!answer.includes('grant_request_endpoint'))
  })
})

describe('exhaustion', () => {
  const client = () => auth.createClient()
  const many = (part: string, count: number) => part.repeat(count)
  const bodies: [string, () => string][] = [
    ['a megabyte of JSON', () => `{"client":"${many('x', 1_000_000)}"}`],
    ['a megabyte of URL', () => bodyFor(`https://localhost/${many('/', 900_000)}`)],
    ['10,000 nested lists', () => `{"client":${many('[', 10_000)}${many(']', 10_000)}}`],
    [
      '100,000 access items',
      () => `{"client":"https://a.example/","access_token":{"access":[${many('{},', 100_000)}{}]}}`,
    ],
    [
      '100,000 actions',
      () => bodyFor('https://a.example/').replace('"read"', many('"read",', 100_000).slice(0, -1)),
    ],
    ['a megabyte of escapes', () => `{"client":"${many('\\u0061', 160_000)}"}`],
  ]
  for (const [name, make] of bodies)
    test(`${name}: refused at once`, async () => {
      const attempt = async () => {
        const request = { client: client(), body: make() }
        const startedAt = performance.now()
        const { status } = await attack(request)
        assert.ok(status >= 400 && status < 500, String(status))
        return performance.now() - startedAt
      }
      const times = [await attempt(), await attempt(), await attempt()]
      assert.ok(Math.min(...times) < 250, `${times.map(Math.round)} ms`)
    })
  test('headers longer than any need are refused', async () => {
    const body = bodyFor('https://a.example/')
    const { status } = await attack({ client: client(), body, keyId: 'k'.repeat(20_000) })
    assert.equal(status, 431)
  })
  test('who has sent too much that proves nothing is told to come later', async () => {
    const limited = await start()
    try {
      let refused: Answer | undefined
      for (let batch = 0; batch < 20 && !refused; batch++) {
        const stranger = limited.createClient()
        const answers = await Promise.all(
          Array.from({ length: 50 }, () =>
            attack({
              client: stranger,
              server: limited,
              body: bodyFor(stranger.walletAddress),
              parameters: ';alg="none"',
            }),
          ),
        )
        refused = answers.find(({ status }) => status === 429)
      }
      assert.ok(refused, 'a thousand requests were all looked at')
      assert.equal(refused.headers['retry-after'], '1')
    } finally {
      await limited.close()
    }
  })
})

describe('what answers say', () => {
  test('grants and tokens are nobody’s to keep', async () => {
    const client = auth.createClient()
    const granted = await auth.send({ client, url: grantUrl(), body: bodyFor(client.walletAddress) })
    const { access_token: token, continue: proceed } = granted.json
    const rotated = await auth.send({ client, url: token.manage, token: token.value })
    const continued = await auth.send({ client, url: proceed.uri, token: proceed.access_token.value })
    for (const { status, headers } of [granted, rotated, continued]) {
      assert.equal(status, 200)
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
    }
  })
  test('errors say what is wrong and nothing of how things are made', async () => {
    const client = auth.createClient()
    const answers = [
      await auth.send({ url: grantUrl(), body: '{' }),
      await auth.send({ url: `${auth.url}/%zz`, body: '{}' }),
      await auth.send({ url: `${auth.url}/${"'or 1=1--"}`, body: bodyFor(client.walletAddress) }),
      await auth.send({
        client,
        url: `${auth.url}/token/${encodeURIComponent("'; drop table grants --")}`,
        token: 'x',
      }),
      await attack({ client, body: bodyFor('https://localhost:1/gone') }),
      await attack({ client, body: bodyFor({ jwk: { ...client.jwk, kid: '\u0001' } }) }),
      await attack({ client, body: bodyFor(`${auth.createClient().walletAddress}/\ud83d`) }),
    ]
    for (const { status, text } of answers) {
      assert.ok(status >= 400 && status < 500, text)
      assert.doesNotMatch(text, /\bat .*\.ts|node_modules|postgres|select |\w+Error:|ECONN|127\.0\.0\.1/i)
    }
  })
})
