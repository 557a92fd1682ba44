import assert from 'node:assert/strict'
import { generateKeyPairSync, hash, sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createAuthenticatedClient, isFinalizedGrantWithAccessToken } from '@interledger/open-payments'
import { signRequest } from '../../shared/http-signatures/index.ts'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import { type Answer, startTestAuth, type TestAuth, type TestClient } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
let db: DbPool
/** A tenant without an identity provider. */
const bareTenant = crypto.randomUUID()
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  assert.equal((await auth.service('POST', '/tenant', { id: bareTenant, apiSecret: 's' })).status, 204)
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await auth.close()
  await db.close()
  await database.drop()
})

const incoming = { type: 'incoming-payment', actions: ['create', 'read', 'list', 'complete'] }
const grantBody = (client: TestClient, access: object[] = [incoming], more: object = {}) => ({
  access_token: { access },
  client: client.walletAddress,
  ...more,
})
const grantUrl = () => `${auth.url}/${auth.tenantId}`
const requestGrant = (client: TestClient, body: unknown = grantBody(client)) =>
  auth.send({ client, url: grantUrl(), body })
const is = (answer: Answer, status: number, code: string, description: string) => {
  assert.equal(answer.status, status, answer.text)
  const { error } = answer.json
  assert.deepEqual({ code: error.code, description: error.description }, { code, description })
}
const isActive = async (value: string) =>
  (await auth.introspect({ access_token: value, access: [{ type: 'incoming-payment', actions: ['read'] }] }))
    .json.active as boolean

describe('the official client', () => {
  const start = async (client: TestClient) =>
    createAuthenticatedClient({
      walletAddressUrl: client.walletAddress,
      privateKey: client.privateKey,
      keyId: client.jwk.kid,
      useHttp: true,
      logLevel: 'silent',
    })
  const url = () => `${auth.publicUrl}/${auth.tenantId}`

  for (const form of ['wallet address', 'key'] as const)
    test(`known by its ${form}: grant, rotation, revocation, continuation, cancellation`, async () => {
      const client = auth.createClient()
      const official = await start(client)
      const access = [
        { type: 'incoming-payment', actions: ['create', 'read-all'], identifier: 'https://bank.example/bob' },
        { type: 'quote', actions: ['create', 'read'] },
      ] as const
      const request = {
        access_token: { access: access.map((item) => ({ ...item, actions: [...item.actions] })) },
      }
      const grant = await official.grant.request(
        { url: url() },
        // biome-ignore lint/suspicious/noExplicitAny: the client's union of access items does not take a mixed list.
        request as any,
        form === 'key' ? { jwk: client.jwk } : undefined,
      )
      assert.ok(isFinalizedGrantWithAccessToken(grant))
      assert.deepEqual(grant.access_token.access, access)
      assert.equal(grant.access_token.expires_in, 600)
      assert.match(grant.access_token.value, /^[0-9A-F]{40}$/)
      assert.ok(grant.access_token.manage.startsWith(`${auth.publicUrl}/token/`))
      assert.ok(await isActive(grant.access_token.value))

      const { access_token: rotated } = await official.token.rotate({
        url: grant.access_token.manage,
        accessToken: grant.access_token.value,
      })
      assert.notEqual(rotated.value, grant.access_token.value)
      assert.deepEqual(rotated.access, access)
      assert.equal(await isActive(grant.access_token.value), false)
      assert.ok(await isActive(rotated.value))
      await assert.rejects(
        official.token.rotate({ url: grant.access_token.manage, accessToken: grant.access_token.value }),
        { status: 401, code: 'invalid_client', description: 'invalid access token' },
      )

      await official.token.revoke({ url: rotated.manage, accessToken: rotated.value })
      assert.equal(await isActive(rotated.value), false)

      const continued = await official.grant.continue({
        url: grant.continue.uri,
        accessToken: grant.continue.access_token.value,
      })
      assert.ok(isFinalizedGrantWithAccessToken(continued))
      assert.ok(await isActive(continued.access_token.value))
      await assert.rejects(
        official.grant.continue({ url: grant.continue.uri, accessToken: grant.continue.access_token.value }),
        { status: 401, code: 'request_denied' },
      )

      await official.grant.cancel({ url: grant.continue.uri, accessToken: grant.continue.access_token.value })
      assert.equal(await isActive(continued.access_token.value), false)
      await assert.rejects(
        official.grant.cancel({ url: grant.continue.uri, accessToken: grant.continue.access_token.value }),
        { status: 401, code: 'invalid_continuation' },
      )
      await assert.rejects(
        official.token.rotate({
          url: continued.access_token.manage,
          accessToken: continued.access_token.value,
        }),
        { status: 401, code: 'invalid_client' },
      )
    })
  test('is told why a grant that needs consent is refused', async () => {
    const official = await start(auth.createClient())
    await assert.rejects(
      official.grant.request(
        { url: `${auth.publicUrl}/${bareTenant}` },
        {
          access_token: {
            access: [
              { type: 'outgoing-payment', actions: ['create'], identifier: 'https://bank.example/alice' },
            ],
          },
          interact: { start: ['redirect'] },
        },
      ),
      { status: 400, code: 'invalid_request', description: 'invalid tenant' },
    )
  })
})

describe('a grant request', () => {
  test('is not cached, and admits everybody', async () => {
    const answer = await requestGrant(auth.createClient())
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.equal(answer.headers['access-control-allow-origin'], '*')
  })
  test('all three forms of client', async () => {
    const client = auth.createClient()
    for (const form of [client.walletAddress, { walletAddress: client.walletAddress }, { jwk: client.jwk }])
      assert.equal((await requestGrant(client, grantBody(client, [incoming], { client: form }))).status, 200)
  })

  const outgoing = { type: 'outgoing-payment', actions: ['create'], identifier: 'https://bank.example/alice' }
  const interact = { start: ['redirect'] }
  const amount = { value: '1', assetCode: 'USD', assetScale: 2 }
  const subject = (id: string) => ({ sub_ids: [{ id, format: 'uri' }] })
  const refusals: [string, object[] | undefined, object, string, string][] = [
    ['no access', [], {}, 'invalid_request', 'subject or access_token required'],
    ['outgoing', [outgoing], { interact }, 'invalid_request', 'invalid tenant'],
    [
      'outgoing without interact',
      [outgoing],
      {},
      'invalid_request',
      "missing required request field 'interact'",
    ],
    [
      'outgoing by a key',
      [outgoing],
      { interact, jwk: true },
      'invalid_client',
      'JWK client identifier cannot be used for interactive grants',
    ],
    [
      'both amounts',
      [{ ...outgoing, limits: { debitAmount: amount, receiveAmount: amount } }],
      { interact },
      'invalid_request',
      'only one access amount allowed',
    ],
    [
      'list-all',
      [{ ...incoming, actions: ['list-all'] }],
      { interact },
      'invalid_request',
      'access identifier required',
    ],
    [
      'list-all of one',
      [{ ...incoming, actions: ['list-all'], identifier: outgoing.identifier }],
      { interact },
      'invalid_request',
      'invalid tenant',
    ],
    [
      'limits on incoming',
      [{ ...incoming, limits: {} }],
      { interact },
      'invalid_request',
      'access identifier required',
    ],
    [
      'subject',
      undefined,
      { interact, subject: subject('https://bank.example/alice') },
      'invalid_request',
      'invalid tenant',
    ],
    [
      'subject and access',
      [incoming],
      { interact, subject: subject('https://bank.example/alice') },
      'invalid_request',
      'invalid tenant',
    ],
    [
      'subject over http',
      undefined,
      { interact, subject: subject('http://bank.example/alice') },
      'invalid_request',
      'subject id must be a valid https url',
    ],
  ]
  for (const [name, access, more, code, description] of refusals)
    test(`${name}: ${description}`, async () => {
      const client = auth.createClient()
      const { jwk, ...rest } = more as { jwk?: boolean }
      const body = {
        client: jwk ? { jwk: client.jwk } : client.walletAddress,
        ...(access && { access_token: { access } }),
        ...rest,
      }
      const tenant = description === 'invalid tenant' ? bareTenant : auth.tenantId
      is(await auth.send({ client, url: `${auth.url}/${tenant}`, body }), 400, code, description)
    })

  test('trap 8: grants are asked for right below the domain, by tenant; without one there is nothing', async () => {
    const client = auth.createClient()
    const at = async (url: string) => {
      const { status, text } = await auth.send({ client, url, body: grantBody(client) })
      return status === 200 ? status : [status, text]
    }
    assert.equal(await at(`${new URL(auth.url).origin}/${auth.tenantId}`), 200)
    assert.deepEqual(await at(`${new URL(auth.url).origin}/`), [404, 'Not Found'])
  })
  test('an unknown, a malformed and a deleted tenant are not found, and nothing is fetched for them', async () => {
    const client = auth.createClient()
    const deleted = crypto.randomUUID()
    await auth.service('POST', '/tenant', { id: deleted, apiSecret: 's' })
    const ask = (tenant: string) =>
      auth.send({ client, url: `${auth.url}/${tenant}`, body: grantBody(client) })
    assert.equal((await ask(deleted)).status, 200)
    assert.equal((await ask(deleted.toUpperCase())).status, 200)
    await auth.service('DELETE', `/tenant/${deleted}`, { deletedAt: new Date().toISOString() })
    const stranger = auth.createClient()
    const before = auth.keyRequests.length
    for (const tenant of [deleted, crypto.randomUUID(), 'nobody', '%00'])
      is(
        await auth.send({ client: stranger, url: `${auth.url}/${tenant}`, body: grantBody(stranger) }),
        404,
        'invalid_request',
        'Not Found',
      )
    assert.equal(auth.keyRequests.length, before)
  })

  test('who does not prove its key gets nothing', async () => {
    const client = auth.createClient()
    const other = auth.createClient()
    const body = grantBody(client)
    const unsigned = await auth.send({ url: grantUrl(), body })
    is(unsigned, 401, 'invalid_client', 'invalid signature headers')
    assert.equal(unsigned.json.error.details.reason, 'signature_missing')
    is(
      await auth.send({
        url: grantUrl(),
        body,
        headers: { signature: 'undefined', 'signature-input': 'undefined' },
      }),
      401,
      'invalid_client',
      'invalid signature headers',
    )
    is(
      await auth.send({ client: other, url: grantUrl(), body }),
      400,
      'invalid_client',
      'could not determine client',
    )
    const impostor = { ...other, jwk: client.jwk }
    is(
      await auth.send({ client: impostor, url: grantUrl(), body }),
      401,
      'invalid_client',
      'invalid signature',
    )
    const named = { ...body, client: { jwk: other.jwk } }
    is(await auth.send({ client, url: grantUrl(), body: named }), 401, 'invalid_client', 'invalid signature')
    is(
      await auth.send({ client, url: `${grantUrl()}?x`, body, headers: { host: 'localhost:1' } }),
      401,
      'invalid_client',
      'invalid signature',
    )
  })
  for (const client of [
    'https://10.0.0.1/alice',
    'https://169.254.169.254/x',
    'https://localhost:1/gone',
    'ftp://localhost/x',
    'https://localhost/x?y',
    'https://localhost/x#y',
    'mailto:a@b.example',
  ])
    test(`could not determine client: ${client}`, async () => {
      const signer = auth.createClient()
      is(
        await requestGrant(signer, grantBody(signer, [incoming], { client })),
        400,
        'invalid_client',
        'could not determine client',
      )
    })
  test('weak and foreign keys', async () => {
    const signer = auth.createClient()
    const small = { ...signer.jwk, x: Buffer.from('01'.padEnd(64, '0'), 'hex').toString('base64url') }
    is(
      await requestGrant(signer, grantBody(signer, [incoming], { client: { jwk: small } })),
      400,
      'invalid_client',
      'could not determine client',
    )
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
    const answer = await requestGrant(
      signer,
      grantBody(signer, [incoming], { client: { jwk: { ...rsa, kid: 'x' } } }),
    )
    assert.equal(answer.status, 400)
    assert.equal(answer.json.error.code, undefined, 'the schema refuses it')
  })
  test('a captured request is worthless elsewhere: other tenant, other body', async () => {
    const client = auth.createClient()
    const { privateKey, jwk } = client
    const body = JSON.stringify(grantBody(client, [{ type: 'incoming-payment', actions: ['read'] }]))
    const headers = signRequest({
      method: 'POST',
      url: grantUrl(),
      body,
      privateKey,
      keyId: jwk.kid,
    })
    const send = (url: string, text: string) => auth.send({ url, body: text, headers })
    assert.equal((await send(grantUrl(), body)).status, 200)
    const second = crypto.randomUUID()
    await auth.service('POST', '/tenant', { id: second, apiSecret: 's' })
    is(await send(`${auth.url}/${second}`, body), 401, 'invalid_client', 'invalid signature')
    is(
      await send(grantUrl(), body.replace('read', 'list')),
      401,
      'invalid_client',
      'invalid signature headers',
    )
  })
  test('a signature with a nonce is good once, one of another minute never', async () => {
    const client = auth.createClient()
    const body = JSON.stringify(grantBody(client))
    const digest = `sha-256=:${hash('sha256', body, 'base64')}:`
    const at = async (created: number, extra: string) => {
      const params = `("@method" "@target-uri" "content-digest");keyid="${client.jwk.kid}";created=${created}${extra}`
      const base = `"@method": POST\n"@target-uri": ${grantUrl()}\n"content-digest": ${digest}\n"@signature-params": ${params}`
      const signature = sign(null, Buffer.from(base), client.privateKey).toString('base64')
      return auth.send({
        url: grantUrl(),
        body,
        headers: {
          'content-digest': digest,
          'signature-input': `sig1=${params}`,
          signature: `sig1=:${signature}:`,
        },
      })
    }
    const now = Math.floor(Date.now() / 1000)
    const parallel = await Promise.all(Array.from({ length: 8 }, () => at(now, ';nonce="once"')))
    assert.deepEqual(parallel.map(({ status }) => status).sort(), [200, 401, 401, 401, 401, 401, 401, 401])
    assert.equal((await at(now, '')).status, 200)
    assert.equal((await at(now, '')).status, 200)
    is(await at(now - 400, ''), 401, 'invalid_client', 'invalid signature headers')
  })
})

describe('tokens', () => {
  const issue = async () => {
    const client = auth.createClient()
    const { access_token: token } = (await requestGrant(client)).json
    return { client, token }
  }
  test('eight parallel rotations have one winner, and one token is alive', async () => {
    const { client, token } = await issue()
    // The token's row is held until several stand before it: they have all read it as alive.
    const answering = await db.tx(async (inner) => {
      await inner.execute(
        sql`select id from access_tokens where id = ${token.manage.split('/').pop()} for update`,
      )
      const all = Array.from({ length: 8 }, () =>
        auth.send({ client, url: token.manage, token: token.value }),
      )
      await waitFor(() =>
        db.one(
          (row) => Number(row.count) >= 2,
          sql`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        ),
      )
      return all
    })
    const answers = await Promise.all(answering)
    const won = answers.filter(({ status }) => status === 200)
    assert.equal(won.length, 1)
    for (const lost of answers.filter(({ status }) => status !== 200))
      assert.ok(
        (lost.status === 404 && lost.json.error.code === 'invalid_rotation') ||
          (lost.status === 401 && lost.json.error.code === 'invalid_client'),
        lost.text,
      )
    const alive = await db.many(
      (row) => row.id as string,
      sql`select t.id from access_tokens t join access_tokens old on old.grant_id = t.grant_id
          where old.id = ${token.manage.split('/').pop()} and t.revoked_at is null`,
    )
    assert.equal(alive.length, 1)
    assert.ok(won[0]?.json.access_token.manage.endsWith(alive[0]))
  })
  test('an expired token is inactive and may be rotated', async () => {
    const { client, token } = await issue()
    await db.execute(
      sql`update access_tokens set expires_at = now() - interval '1 hour' where id = ${token.manage.split('/').pop()}`,
    )
    assert.equal(await isActive(token.value), false)
    const rotated = await auth.send({ client, url: token.manage, token: token.value })
    assert.equal(rotated.status, 200)
    assert.ok(await isActive(rotated.json.access_token.value))
  })
  test('the management URL alone is not enough: right token, right key', async () => {
    const { client, token } = await issue()
    const other = await issue()
    for (const method of ['POST', 'DELETE']) {
      const send = (input: { client?: TestClient; token?: string; url?: string }) =>
        auth.send({ client, url: token.manage, method, token: token.value, ...input })
      is(
        await auth.send({ client, url: token.manage, method }),
        401,
        'invalid_client',
        'invalid signature headers',
      )
      is(await send({ token: other.token.value }), 401, 'invalid_client', 'invalid access token')
      is(await send({ token: 'x' }), 401, 'invalid_client', 'invalid access token')
      is(await send({ client: other.client }), 400, 'invalid_client', 'could not determine client')
      is(await send({ url: `${auth.url}/token/not-a-uuid` }), 401, 'invalid_client', 'invalid access token')
      is(
        await send({ url: `${auth.url}/token/${crypto.randomUUID()}` }),
        401,
        'invalid_client',
        'invalid access token',
      )
      const bare = await auth.send({ url: token.manage, method, token: token.value })
      is(bare, 401, 'invalid_client', 'invalid signature headers')
    }
    assert.ok(await isActive(token.value))
  })
  test('authorization must be covered by the signature', async () => {
    const { client, token } = await issue()
    const answer = await auth.send({
      client,
      url: token.manage,
      headers: { authorization: `GNAP ${token.value}` },
    })
    is(answer, 401, 'invalid_client', 'invalid signature headers')
    assert.equal(answer.json.error.details.reason, 'component_not_covered')
  })
  test('are kept as hashes', async () => {
    const { token } = await issue()
    const rows = await db.many(
      (row) => JSON.stringify(row),
      sql`select t.*, g.* from access_tokens t join grants g on g.id = t.grant_id`,
    )
    assert.ok(rows.length > 0)
    assert.ok(rows.every((row) => !row.includes(token.value)))
  })
})

describe('continuation', () => {
  const open = async (server = auth) => {
    const client = server.createClient()
    const answer = await server.send({
      client,
      url: `${server.url}/${server.tenantId}`,
      body: grantBody(client),
    })
    return { client, grant: answer.json, proceed: answer.json.continue }
  }
  test('eight parallel polls issue one token', async () => {
    const { client, proceed } = await open()
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        auth.send({ client, url: proceed.uri, token: proceed.access_token.value, body: {} }),
      ),
    )
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    for (const lost of answers.filter(({ status }) => status !== 200))
      is(lost, 401, 'request_denied', 'grant cannot be continued')
  })
  test('cancelling while tokens rotate leaves none alive', async () => {
    const { client, grant, proceed } = await open()
    let { value, manage } = grant.access_token
    const values = [value]
    const rotating = (async () => {
      for (let round = 0; round < 20; round++) {
        const rotated = await auth.send({ client, url: manage, token: value })
        if (rotated.status !== 200) return
        ;({ value, manage } = rotated.json.access_token)
        values.push(value)
      }
    })()
    const cancelled = await auth.send({
      client,
      method: 'DELETE',
      url: proceed.uri,
      token: proceed.access_token.value,
    })
    assert.equal(cancelled.status, 204)
    await rotating
    for (const each of values) assert.equal(await isActive(each), false)
  })
  test('id and token belong together', async () => {
    const first = await open()
    const second = await open()
    const { client, proceed } = first
    const send = (input: object) =>
      auth.send({ client, url: proceed.uri, token: proceed.access_token.value, ...input })
    for (const method of ['POST', 'DELETE']) {
      is(
        await send({ method, token: second.proceed.access_token.value }),
        401,
        'invalid_continuation',
        'invalid grant',
      )
      is(
        await send({ method, token: first.grant.access_token.value }),
        401,
        'invalid_continuation',
        'invalid grant',
      )
      is(await send({ method, url: `${auth.url}/continue/x` }), 401, 'invalid_continuation', 'invalid grant')
      is(await send({ method, client: second.client }), 400, 'invalid_client', 'could not determine client')
    }
    assert.ok(await isActive(first.grant.access_token.value))
  })
  test('a reference that no interaction gave is not found', async () => {
    const { client, proceed } = await open()
    const send = (body: object) =>
      auth.send({ client, url: proceed.uri, token: proceed.access_token.value, body })
    is(await send({ interact_ref: crypto.randomUUID() }), 404, 'invalid_continuation', 'grant not found')
    is(await send({ other: 1 }), 401, 'invalid_request', 'missing interaction reference')
  })
  test('polls wait', async () => {
    const slow = await startTestAuth(database.connectionString, { WAIT_SECONDS: '60' })
    try {
      const { client, proceed } = await open(slow)
      const answer = await slow.send({ client, url: proceed.uri, token: proceed.access_token.value })
      is(answer, 400, 'too_fast', 'polled grant faster than "wait" period')
    } finally {
      await slow.close()
    }
  })
})

describe('malformed requests', () => {
  const cases: [
    string,
    { method?: string; path: () => string; body?: string; headers?: Record<string, string | undefined> },
    number,
  ][] = [
    ['broken JSON', { path: grantUrl, body: '{' }, 400],
    ['JSON scalar', { path: grantUrl, body: '5' }, 400],
    ['null', { path: grantUrl, body: 'null' }, 400],
    ['array', { path: grantUrl, body: '[]' }, 400],
    ['empty object', { path: grantUrl, body: '{}' }, 400],
    ['not UTF-8', { path: grantUrl, body: '\u0000\ufffd' }, 400],
    ['deep nesting', { path: grantUrl, body: `${'['.repeat(10_000)}${']'.repeat(10_000)}` }, 400],
    [
      'deep nesting in client',
      {
        path: grantUrl,
        body: `{"access_token":{"access":[]},"client":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
      },
      400,
    ],
    [
      'prototype',
      { path: grantUrl, body: '{"__proto__":{"client":"https://a.example/"},"access_token":{"access":[]}}' },
      400,
    ],
    ['over a megabyte', { path: grantUrl, body: `{"a":"${'x'.repeat(1_100_000)}"}` }, 413],
    ['text', { path: grantUrl, body: 'x', headers: { 'content-type': 'text/plain' } }, 415],
    [
      'form',
      { path: grantUrl, body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
    ],
    ['no content type', { path: grantUrl, body: '{}', headers: { 'content-type': undefined } }, 400],
    ['html wanted', { path: grantUrl, body: '{}', headers: { accept: 'text/html' } }, 406],
    [
      'unknown type',
      {
        path: grantUrl,
        body: '{"client":"https://a.example/","access_token":{"access":[{"type":"gold","actions":[]}]}}',
      },
      400,
    ],
    ['unsigned continuation', { path: () => `${auth.url}/continue/x` }, 401],
    ['continuation with a list', { path: () => `${auth.url}/continue/x`, body: '[]' }, 400],
    ['unsigned rotation', { path: () => `${auth.url}/token/x` }, 401],
    [
      'other scheme',
      {
        path: () => `${auth.url}/token/x`,
        headers: { authorization: 'Bearer x', signature: 's', 'signature-input': 's' },
      },
      401,
    ],
  ]
  for (const [name, { path, ...rest }, status] of cases)
    test(`${name}: ${status} in JSON`, async () => {
      const answer = await auth.send({ url: path(), ...rest })
      assert.equal(answer.status, status, answer.text)
      assert.equal(typeof answer.json?.error?.description, 'string', answer.text)
    })
  test('a path that cannot be decoded is 400', async () => {
    assert.equal((await auth.send({ url: `${auth.url}/%zz`, body: '{}' })).status, 400)
  })
  test('the words of the specification', async () => {
    const client = auth.createClient()
    const { json } = await requestGrant(client, {
      client: client.walletAddress,
      access_token: { access: [{ type: 'gold', actions: [] }] },
    })
    assert.deepEqual(json, {
      error: {
        description:
          'Received error validating OpenAPI request: body.access_token.access.0.type must be equal to one of the allowed values',
      },
    })
  })
  test('unknown paths and methods are text', async () => {
    for (const [method, path] of [
      ['GET', `/${auth.tenantId}`],
      ['POST', '/'],
      ['GET', '/x/y'],
      ['PUT', '/token/x'],
    ] as const) {
      const answer = await auth.send({ method, url: `${auth.url}${path}` })
      assert.equal(answer.status, 404)
      assert.equal(answer.text, 'Not Found')
    }
  })
  test('discovery and health', async () => {
    assert.deepEqual((await auth.send({ method: 'GET', url: `${auth.url}/discovery` })).json, {
      grant_request_endpoint: '/',
      interaction_start_modes_supported: ['redirect'],
      interaction_finish_modes_supported: ['redirect'],
    })
    for (const port of Object.values(auth.running.ports))
      for (const path of ['/healthz', '/livez', '/readyz'])
        assert.equal((await fetch(`http://localhost:${port}${path}`)).status, 200)
  })
})

test('unproven requests from one address are limited, proven ones are not', async () => {
  const limited = await startTestAuth(database.connectionString)
  try {
    const client = limited.createClient()
    const url = `${limited.url}/${limited.tenantId}`
    const good = () => limited.send({ client, url, body: grantBody(client) })
    assert.equal((await good()).status, 200)
    const impostor = { ...limited.createClient(), jwk: client.jwk }
    const statuses = new Map<number, number>()
    for (let batch = 0; batch < 10; batch++)
      for (const { status } of await Promise.all(
        Array.from({ length: 50 }, () => limited.send({ client: impostor, url, body: grantBody(client) })),
      ))
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
    assert.ok((statuses.get(401) ?? 0) >= 190, JSON.stringify([...statuses]))
    // The bucket refills while the flood lasts: a slow machine gets more of it through, never all.
    assert.ok((statuses.get(429) ?? 0) >= 5, JSON.stringify([...statuses]))
    assert.equal((await good()).status, 200)
    assert.ok(limited.keyRequests.length <= 3)
  } finally {
    await limited.close()
  }
})
