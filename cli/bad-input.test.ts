import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { request } from 'undici'
import { startConnector } from '../connector/wiring.ts'
import { startAdmin } from '../functions/admin/wiring.ts'
import { startAuth } from '../functions/auth/wiring.ts'
import { startOpenPayments } from '../functions/open-payments/wiring.ts'
import { startPayments } from '../functions/payments/wiring.ts'
import { startWebhooks } from '../functions/webhooks/wiring.ts'
import { ConfigError, signHmac, uuidv7 } from '../shared/platform/index.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

interface Answer {
  status: number
  body: string
}

async function send(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<Answer> {
  const response = await request(url, {
    method: (options.method ?? 'POST') as 'POST',
    headers: options.headers ?? {},
    ...(options.body !== undefined && { body: options.body }),
  })
  return { status: response.statusCode, body: await response.body.text() }
}

describe('bad input', () => {
  let banks: TestBanks
  before(async () => {
    banks = await startTestBanks()
  })
  after(async () => {
    await banks.audit()
    await banks.close()
  })

  const adminUrl = () => `http://localhost:${banks.a.settings.ports.admin}/graphql`

  function signed(body: unknown, overrides: { secret?: string; tenantId?: string } = {}): Promise<Answer> {
    const { adminApiSecret, operatorTenantId } = banks.a.settings
    const signature = signHmac({
      secret: overrides.secret ?? adminApiSecret,
      version: 1,
      timestampMs: Date.now(),
      body,
    })
    return send(adminUrl(), {
      headers: {
        'content-type': 'application/json',
        'tenant-id': overrides.tenantId ?? operatorTenantId,
        signature,
      },
      body: JSON.stringify(body),
    })
  }

  const firstError = (answer: Answer) =>
    (
      JSON.parse(answer.body) as {
        errors: { message: string; extensions: { code: string; reason?: string } }[]
      }
    ).errors[0]

  describe('to the Admin API', () => {
    const documents: [string, unknown, number, string][] = [
      ['a syntax error', { query: 'query {' }, 400, 'GRAPHQL_PARSE_FAILED'],
      ['an unknown field', { query: '{ whoami { nonsense } }' }, 400, 'GRAPHQL_VALIDATION_FAILED'],
      [
        'a negative UInt64',
        {
          query:
            'mutation($input: DepositAssetLiquidityInput!) { depositAssetLiquidity(input: $input) { success } }',
          variables: { input: { assetId: uuidv7(), id: uuidv7(), amount: '-1', idempotencyKey: 'k' } },
        },
        400,
        'BAD_USER_INPUT',
      ],
      [
        'a UInt64 beyond 2^64',
        {
          query:
            'mutation($input: DepositAssetLiquidityInput!) { depositAssetLiquidity(input: $input) { success } }',
          variables: {
            input: { assetId: uuidv7(), id: uuidv7(), amount: '18446744073709551616', idempotencyKey: 'k' },
          },
        },
        400,
        'BAD_USER_INPUT',
      ],
      [
        'an id that is no UUID',
        { query: '{ asset(id: "1; drop table assets") { id } }' },
        200,
        'BAD_USER_INPUT',
      ],
      ['an unknown id', { query: `{ asset(id: "${uuidv7()}") { id } }` }, 200, 'NOT_FOUND'],
      ['a page of 101', { query: '{ assets(first: 101) { edges { cursor } } }' }, 200, 'BAD_USER_INPUT'],
      [
        'a cursor that is none',
        { query: '{ assets(after: "x") { edges { cursor } } }' },
        200,
        'BAD_USER_INPUT',
      ],
      ['last without before', { query: '{ assets(last: 5) { edges { cursor } } }' }, 200, 'BAD_USER_INPUT'],
      [
        'too deep a query',
        { query: `{ ${'a { '.repeat(11)} b ${'} '.repeat(11)} }` },
        400,
        'GRAPHQL_VALIDATION_FAILED',
      ],
      [
        'sixteen aliases',
        { query: `{ ${Array.from({ length: 16 }, (_, index) => `a${index}: whoami { id }`).join(' ')} }` },
        400,
        'GRAPHQL_VALIDATION_FAILED',
      ],
      ['no query at all', { variables: {} }, 400, 'BAD_REQUEST'],
      ['a batch', [{ query: '{ whoami { id } }' }], 400, 'BAD_REQUEST'],
    ]
    for (const [name, body, status, code] of documents)
      it(`answers ${name} with ${status} ${code}`, async () => {
        const answer = await signed(body)
        assert.equal(answer.status, status, answer.body)
        assert.equal(firstError(answer)?.extensions.code, code, answer.body)
      })

    it('hides suggestions', async () => {
      const answer = await signed({ query: '{ whoam { id } }' })
      assert.doesNotMatch(answer.body, /whoami/)
    })

    it('refuses what is not signed, wrongly signed, or signed by nobody', async () => {
      const query = { query: '{ whoami { id } }' }
      assert.equal(
        (
          await send(adminUrl(), {
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(query),
          })
        ).status,
        401,
      )
      assert.equal((await signed(query, { secret: 'guess' })).status, 401)
      assert.equal((await signed(query, { tenantId: uuidv7() })).status, 401)
      assert.equal((await signed(query, { tenantId: 'x' })).status, 401)
    })

    it('takes a signed mutation once', async () => {
      const { adminApiSecret, operatorTenantId } = banks.a.settings
      const body = {
        query: 'mutation($input: CreateAssetInput!) { createAsset(input: $input) { asset { id } } }',
        variables: { input: { code: 'KES', scale: 2 } },
      }
      const signature = signHmac({ secret: adminApiSecret, version: 1, timestampMs: Date.now(), body })
      const once = () =>
        send(adminUrl(), {
          headers: { 'content-type': 'application/json', 'tenant-id': operatorTenantId, signature },
          body: JSON.stringify(body),
        })
      const statuses = (await Promise.all(Array.from({ length: 8 }, once))).map((answer) => answer.status)
      assert.deepEqual(statuses.sort(), [200, 401, 401, 401, 401, 401, 401, 401])
    })

    it('refuses malformed JSON, GET and other paths', async () => {
      const headers = { 'content-type': 'application/json' }
      assert.equal((await send(adminUrl(), { headers, body: '{' })).status, 400)
      assert.equal((await send(adminUrl(), { method: 'GET' })).status, 404)
      assert.equal((await send(adminUrl().replace('graphql', 'other'), { headers, body: '{}' })).status, 404)
      assert.equal(
        (await send(adminUrl(), { headers, body: JSON.stringify({ query: 'x'.repeat(1_100_000) }) })).status,
        413,
      )
    })
  })

  it('never gets a 500 from any listener for garbage', async () => {
    const { ports, operatorTenantId } = banks.a.settings
    const garbage: (string | Buffer)[] = [
      '',
      '{',
      '[]',
      'null',
      '"x"',
      '{"a":1e999}',
      randomBytes(300),
      '\u0000',
    ]
    const targets = [
      `http://localhost:${ports.admin}/graphql`,
      `http://localhost:${ports.connector}/`,
      `http://localhost:${ports.connectorRpc}/rpc/send`,
      `http://localhost:${ports.auth}/${operatorTenantId}`,
      `http://localhost:${ports.auth}/not-a-uuid`,
      `http://localhost:${ports.auth}/continue/not-a-uuid`,
      `http://localhost:${ports.auth}/token/not-a-uuid`,
      `http://localhost:${ports.introspection}/`,
      `http://localhost:${ports.authService}/tenant`,
      `http://localhost:${ports.openPayments}/${operatorTenantId}/incoming-payments`,
      `http://localhost:${ports.openPayments}/${operatorTenantId}/quotes`,
      `http://localhost:${ports.openPayments}/${operatorTenantId}/outgoing-payments`,
      `http://localhost:${ports.openPayments}/not-a-uuid/incoming-payments/not-a-uuid`,
      `http://localhost:${ports.wallet}/webhooks`,
    ]
    const headerSets: Record<string, string>[] = [
      { 'content-type': 'application/json' },
      { 'content-type': 'application/octet-stream', authorization: 'Bearer x' },
      {
        'content-type': 'application/json',
        authorization: 'GNAP x',
        signature: 'undefined',
        'signature-input': 'undefined',
      },
      {
        'content-type': 'text/plain',
        signature: 'sig1=:AAAA:',
        'signature-input': 'sig1=("@method");created=1;keyid="x"',
      },
    ]
    for (const target of targets)
      for (const headers of headerSets)
        for (const body of garbage) {
          const answer = await send(target, { headers, body })
          assert.ok(
            answer.status < 500,
            `${target} ${JSON.stringify(headers)}: ${answer.status} ${answer.body}`,
          )
          assert.ok(answer.status >= 400, `${target} accepted garbage: ${answer.status} ${answer.body}`)
        }
    for (const target of targets) {
      const answer = await send(target.replace(/[^/]*$/, '%00%ff..%2f'), { method: 'GET' })
      assert.ok(answer.status < 500, `GET ${target}: ${answer.status}`)
    }
  })

  it('gives refused packets an answer that the sender can read', async () => {
    const url = `http://localhost:${banks.b.settings.ports.connector}/`
    const token = banks.b.settings.peerTokens.USD
    const withToken = (body: Buffer, contentType = 'application/octet-stream') =>
      send(url, { headers: { authorization: `Bearer ${token}`, 'content-type': contentType }, body })
    const garbage = await withToken(randomBytes(200))
    assert.ok(garbage.status === 400 || garbage.status === 200, String(garbage.status))
    assert.equal((await withToken(Buffer.from('{}'), 'application/json')).status, 400)
    assert.equal((await withToken(Buffer.alloc(70_000))).status, 413)
  })
})

describe('bad configuration', () => {
  const starts = { startAdmin, startAuth, startConnector, startOpenPayments, startPayments, startWebhooks }
  for (const [name, start] of Object.entries(starts)) {
    it(`${name} reports everything that is missing at once`, async () => {
      await assert.rejects(start({}), (error) => {
        assert.ok(error instanceof ConfigError, String(error))
        assert.ok(error.problems.length > 1, error.message)
        return true
      })
    })
    it(`${name} reports everything that is malformed at once, and no secret`, async () => {
      const secret = 'postgresql-but-not-a-url'
      await assert.rejects(
        start({
          LOG_LEVEL: 'loud',
          DATABASE_URL: secret,
          AUTH_DATABASE_URL: secret,
          USE_TIGERBEETLE: 'maybe',
        }),
        (error) => {
          assert.ok(error instanceof ConfigError, String(error))
          assert.match(error.message, /LOG_LEVEL must be one of/)
          assert.doesNotMatch(error.message, new RegExp(secret))
          return true
        },
      )
    })
  }
})
