import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { type RawAnswer, send, sendSigned, startTestNode, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
})
after(async () => {
  await node.close()
  await database.drop()
})

const signed = { 'signature-input': 'sig1=()', signature: 'sig1=::' }
const json = { ...signed, 'content-type': 'application/json' }
const walletAddress = 'https://bank.example/alice'
const amount = (value: unknown, assetScale: unknown = 2) => ({ value, assetCode: 'USD', assetScale })

interface Case {
  name: string
  path: string
  /** Absent: GET. */
  body?: unknown
  text?: string
  headers?: Record<string, string>
  status: number
  tail: string
}

const post = (name: string, path: string, body: unknown, tail: string): Case => ({
  name,
  path,
  body,
  status: 400,
  tail,
})
const receiver = 'https://bank.example/incoming-payments/1'
const quote = { walletAddress, receiver, method: 'ilp' }

// The table of contracts/open-payments/routes.md §0, as far as it concerns this listener.
const cases: Case[] = [
  {
    name: 'Accept without JSON',
    path: '/incoming-payments',
    body: { walletAddress },
    headers: { ...json, accept: 'text/html' },
    status: 406,
    tail: 'Must accept application/json',
  },
  {
    name: 'text body',
    path: '/incoming-payments',
    text: 'hello',
    headers: { ...signed, 'content-type': 'text/plain' },
    status: 415,
    tail: 'Unsupported Content-Type text/plain',
  },
  {
    name: 'form body',
    path: '/quotes',
    text: 'a=b',
    headers: { ...signed, 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    tail: 'Unsupported Content-Type application/x-www-form-urlencoded',
  },
  {
    name: 'unsigned',
    path: '/incoming-payments',
    body: { walletAddress },
    headers: { 'content-type': 'application/json' },
    status: 400,
    tail: "must have required property 'signature-input'",
  },
  post('empty body', '/incoming-payments', {}, "body must have required property 'walletAddress'"),
  post(
    'unknown member',
    '/incoming-payments',
    { walletAddress, foo: 1 },
    'body must NOT have additional properties: foo',
  ),
  post(
    'no URI',
    '/incoming-payments',
    { walletAddress: 'alice' },
    'body.walletAddress must match format "uri"',
  ),
  ...['-1', '1.5', '1e3', '', ' 5 ', '0x10', '18446744073709551616'].map((value) =>
    post(
      `amount ${value}`,
      '/incoming-payments',
      { walletAddress, incomingAmount: amount(value) },
      'body.incomingAmount.value must match format "uint64"',
    ),
  ),
  post(
    'amount as number',
    '/incoming-payments',
    { walletAddress, incomingAmount: amount(5) },
    'body.incomingAmount.value must be string',
  ),
  post(
    'scale 256',
    '/incoming-payments',
    { walletAddress, incomingAmount: amount('5', 256) },
    'body.incomingAmount.assetScale must be <= 255',
  ),
  post(
    'year as date',
    '/incoming-payments',
    { walletAddress, expiresAt: '2020' },
    'body.expiresAt must match format "date-time"',
  ),
  post('body is a list', '/incoming-payments', [], 'body must be object'),
  post('body is a scalar', '/incoming-payments', 5, 'body must be object'),
  post(
    'another method',
    '/quotes',
    { ...quote, method: 'card' },
    'body.method must be equal to one of the allowed values',
  ),
  post(
    'both amounts',
    '/quotes',
    { ...quote, debitAmount: amount('1'), receiveAmount: amount('1') },
    'body must NOT have additional properties: debitAmount',
  ),
  post(
    'neither variant',
    '/outgoing-payments',
    { walletAddress },
    "body must have required property 'quoteId'",
  ),
  post(
    'both variants',
    '/outgoing-payments',
    { walletAddress, quoteId: receiver, incomingPayment: receiver, debitAmount: amount('1') },
    'body must NOT have additional properties: incomingPayment',
  ),
  ...['/incoming-payments', '/outgoing-payments'].flatMap((path) => {
    const get = (query: string, tail: string): Case => ({
      name: `list${query}`,
      path: `${path}${query}`,
      status: 400,
      tail,
    })
    return [
      get('', "must have required property 'wallet-address'"),
      get(`?wallet-address=${walletAddress}&first=0`, 'first must be >= 1'),
      get(`?wallet-address=${walletAddress}&first=101`, 'first must be <= 100'),
      get(`?wallet-address=${walletAddress}&last=101`, 'last must be <= 100'),
      get(`?wallet-address=${walletAddress}&first=abc`, 'first must be integer'),
      get(`?wallet-address=${walletAddress}&cursor=`, 'cursor must NOT have fewer than 1 characters'),
    ]
  }),
]

const sendCase = ({ path, body, text, headers }: Case, base: string): Promise<RawAnswer> => {
  const content = text ?? (body === undefined ? undefined : JSON.stringify(body))
  return send(`${base}${path}`, {
    method: content === undefined ? 'GET' : 'POST',
    headers: headers ?? (content === undefined ? signed : json),
    ...(content !== undefined && { body: content }),
  })
}

test('a request outside the specification is told what is wrong first, and needs no token for it', async () => {
  for (const item of cases)
    for (const base of [`${node.url}/${node.tenantId}`, node.url]) {
      const { status, body, headers } = await sendCase(item, base)
      assert.equal(status, item.status, item.name)
      assert.deepEqual(
        body,
        {
          error: {
            code: String(item.status),
            description: `Received error validating OpenAPI request: ${item.tail}`,
          },
        },
        item.name,
      )
      assert.equal(headers.get('www-authenticate'), null)
    }
  assert.deepEqual(node.introspected, [])
})

test('a body without a type, malformed or too large', async () => {
  const url = `${node.url}/${node.tenantId}/incoming-payments`
  const bytes = new TextEncoder().encode('{}')
  const untyped = await send(url, { method: 'POST', headers: signed, body: bytes })
  assert.equal(untyped.status, 400)
  assert.deepEqual(untyped.body, {
    error: {
      code: '400',
      description: 'Received error validating OpenAPI request: body media type is not specified',
    },
  })
  const malformed = await send(url, { method: 'POST', headers: json, body: '{"walletAddress":' })
  assert.deepEqual([malformed.status, malformed.body.error?.description], [400, 'Bad Request'])
  const large = await send(url, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ walletAddress, metadata: { text: 'x'.repeat(1024 * 1024) } }),
  })
  assert.deepEqual([large.status, large.body.error?.description], [413, 'request entity too large'])
})

test('what parses but cannot be stored is refused as malformed', async () => {
  const url = `${node.url}/${node.tenantId}/incoming-payments`
  for (const metadata of [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, '"\\u0000"', '"\\ud800"']) {
    const body = `{"walletAddress":"${walletAddress}","metadata":{"a":${metadata}}}`
    const answer = await send(url, { method: 'POST', headers: json, body })
    assert.equal(answer.status, 400, answer.text)
    assert.match(answer.body.error?.description ?? '', /^Bad Request: /)
  }
})

test('ids and tenants that cannot be are absent, never an error of ours', async () => {
  const strange = ['1', 'x', '%00', 'null', "'--", 'ffffffff-ffff-ffff-ffff-fffffffffff', '%F0%9F%92%A9']
  for (const id of [...strange, uuidv7()])
    for (const [method, path] of [
      ['GET', `/incoming-payments/${id}`],
      ['POST', `/incoming-payments/${id}/complete`],
      ['GET', `/quotes/${id}`],
      ['GET', `/outgoing-payments/${id}`],
    ] as const) {
      const { status, body } = await send(`${node.url}/${node.tenantId}${path}`, { method, headers: signed })
      assert.equal(status, 401, `${method} ${path}`)
      assert.equal(body.error?.description, 'Unauthorized')
      assert.deepEqual(Object.keys(body.error?.details ?? {}).sort(), ['description', 'id'])
    }
  for (const tenant of strange) {
    const { status } = await send(`${node.url}/${tenant}/quotes`, {
      method: 'POST',
      headers: json,
      body: '{}',
    })
    assert.equal(status, 404, tenant)
  }
  const unknownTenant = await send(`${node.url}/${uuidv7()}/incoming-payments/${uuidv7()}`)
  assert.equal(unknownTenant.status, 401)
})

test('without a usable token nothing is done, and the answer says where to get one', async () => {
  await node.createWallet('/alice')
  const client = await node.createClient('/client')
  const url = `${node.url}/${node.tenantId}/incoming-payments`
  const body = { walletAddress: `${node.publicUrl}/alice` }
  const refused = (answer: RawAnswer, status: number, description: string) => {
    assert.deepEqual(answer.body, { error: { code: String(status), description } })
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get('www-authenticate'), 'GNAP as_uri=https://auth.example')
  }
  for (const authorization of ['Bearer abc', 'GNAP', 'GNAP a b', 'gnap abc'])
    refused(
      await send(url, {
        method: 'POST',
        headers: { ...json, authorization },
        body: JSON.stringify(body),
      }),
      401,
      'Missing or invalid authorization header value',
    )
  const create = { type: 'incoming-payment', actions: ['create'] }
  const postWith = (token: string) => sendSigned(client, token, { method: 'POST', url, body })

  refused(await postWith('unknown'), 403, 'Inactive Token')
  const readOnly = node.grant(client, [{ ...create, actions: ['read', 'read-all', 'list', 'complete'] }])
  refused(await postWith(readOnly), 403, 'Insufficient Grant')
  const ofBob = node.grant(client, [{ ...create, identifier: `${node.publicUrl}/bob` }])
  refused(await postWith(ofBob), 403, 'Insufficient Grant')
  const ofOtherTenant = node.grant(client, [create], { tenant: uuidv7() })
  refused(await postWith(ofOtherTenant), 403, 'Insufficient Grant')
  node.authIsDown = true
  try {
    refused(await postWith(node.grant(client, [create])), 401, 'Invalid Token')
  } finally {
    node.authIsDown = false
  }
  assert.equal((await postWith(node.grant(client, [create]))).status, 201)
})

test('a signature that proves nothing is refused, with a reason and without a challenge', async () => {
  const client = await node.createClient('/signer')
  const other = await node.createClient('/other-signer')
  const wallet = await node.createWallet('/payee')
  const token = node.grant(client, [{ type: 'incoming-payment', actions: ['create'] }])
  const url = `${node.url}/${node.tenantId}/incoming-payments`
  const body = { walletAddress: wallet.address }
  const request = { method: 'POST', url, body } as const
  const now = Math.floor(Date.now() / 1000)
  const problem = 'Signature validation error: '
  const attempts: [string, Promise<RawAnswer>, string, string][] = [
    [
      "another client's key",
      sendSigned(other, token, request),
      'could not find key in list of client keys',
      'key_unknown',
    ],
    [
      "another client's key under this one's name",
      sendSigned({ ...other, keyId: client.keyId }, token, request),
      'provided signature is invalid',
      'signature_invalid',
    ],
    [
      'too old',
      sendSigned(client, token, { ...request, created: now - 400 }),
      'provided signature is invalid',
      'created_outside_window',
    ],
    [
      'signed for another URL',
      sendSigned(client, token, { ...request, signed: { url: `${url}?x=1` } }),
      'provided signature is invalid',
      'signature_invalid',
    ],
    [
      'signed for another body',
      sendSigned(client, token, {
        ...request,
        body: { walletAddress: `${node.publicUrl}/x` },
        signed: { body: { walletAddress: `${node.publicUrl}/y` } },
      }),
      'provided signature is invalid',
      'content_digest_mismatch',
    ],
    [
      'client that is not there',
      sendSigned(
        client,
        node.grant({ walletAddress: `${node.publicUrl}/ghost` }, [
          { type: 'incoming-payment', actions: ['create'] },
        ]),
        request,
      ),
      'could not retrieve client keys',
      'keys_unavailable',
    ],
  ]
  for (const [name, sent, description, reason] of attempts) {
    const { status, body: answer, headers } = await sent
    assert.equal(status, 401, name)
    assert.equal(answer.error?.description, `${problem}${description}`, name)
    assert.equal(answer.error?.details?.reason, reason, name)
    assert.equal(headers.get('www-authenticate'), null, name)
  }
  // What the official client sends when it repeats a request (contracts/open-payments/client-compat.md §1).
  const repeated = await send(url, {
    method: 'POST',
    headers: {
      authorization: `GNAP ${token}`,
      'content-type': 'application/json',
      signature: 'undefined',
      'signature-input': 'undefined',
    },
    body: JSON.stringify(body),
  })
  assert.equal(repeated.status, 401)
})

test('a wallet address that is not here, or not written as it is stored, takes no requests', async () => {
  const client = await node.createClient('/caller')
  await node.createWallet('/exact')
  const token = node.grant(client, [{ type: 'incoming-payment', actions: ['create', 'list'] }])
  const collection = `${node.url}/${node.tenantId}/incoming-payments`
  for (const named of [
    `${node.publicUrl}/none`,
    `${node.publicUrl}/exact?x=1`,
    `${node.publicUrl}/exact#x`,
    'https://elsewhere.example/exact',
    'urn:x',
  ]) {
    const posted = await sendSigned(client, token, {
      method: 'POST',
      url: collection,
      body: { walletAddress: named },
    })
    const listed = await sendSigned(client, token, {
      method: 'GET',
      url: `${collection}?wallet-address=${encodeURIComponent(named)}`,
    })
    for (const { status, body } of [posted, listed]) {
      assert.equal(status, 400, named)
      assert.equal(body.error?.description, 'Could not get wallet address')
      assert.deepEqual(body.error?.details, { walletAddressUrl: named })
    }
  }
})
