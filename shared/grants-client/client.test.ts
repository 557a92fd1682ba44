import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { jwkOf, verifyRequest } from '../http-signatures/index.ts'
import {
  createDb,
  createSecretBox,
  type DbPool,
  Fault,
  type HttpClient,
  type HttpRequest,
  silentLogger,
  sql,
} from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../testing/index.ts'
import { createGrantsClient } from './client.ts'
import { RemoteRefusal, type RemoteRefusalCode } from './errors.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const keyId = 'node-key'
const jwk = jwkOf(privateKey, keyId)
const clientWalletAddress = 'https://bank-a.example/.well-known/pay'
const authServer = 'https://auth.example/tenant'
const resource = 'https://bank-b.example/t/incoming-payments/1'
const EVERYDAY = ['complete', 'create', 'list', 'read', 'read-all']

let database: TestDatabase
let db: DbPool
let tenantId: string
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await db.close()
  await database.drop()
})
beforeEach(async () => {
  tenantId = randomUUID()
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'x')`)
})

interface Answer {
  status: number
  body?: unknown
}

/** An authorization server and a resource server in one, that know which tokens are alive and check every signature. */
function setUp(
  options: { expiresIn?: number | null; grant?: (actions: string[]) => Answer | undefined } = {},
) {
  const clock = testClock()
  const alive = new Map<string, string>()
  const calls: string[] = []
  let count = 0
  const override: { next?: (request: HttpRequest) => Answer | Error | undefined } = {}
  const issue = (access: unknown): Answer => {
    const value = `token-${++count}`
    alive.set(value, `https://auth.example/token/${count}`)
    const { expiresIn = 600 } = options
    return {
      status: 200,
      body: {
        access_token: {
          value,
          manage: alive.get(value),
          access,
          ...(expiresIn !== null && { expires_in: expiresIn }),
        },
        continue: { access_token: { value: 'c' }, uri: 'https://auth.example/continue/1' },
      },
    }
  }
  const answer = (request: HttpRequest): Answer => {
    const { pathname } = new URL(request.url)
    const token = request.headers?.Authorization?.slice('GNAP '.length) ?? ''
    if (pathname === '/tenant') {
      const body = JSON.parse(String(request.body))
      assert.equal(body.client, clientWalletAddress)
      const [access] = body.access_token.access
      calls.push(`grant ${access.actions}`)
      return options.grant?.(access.actions) ?? issue([access])
    }
    if (pathname.startsWith('/token/')) {
      calls.push('rotate')
      if (alive.get(token) !== request.url)
        return { status: 401, body: { error: { code: 'invalid_client' } } }
      alive.delete(token)
      return issue([])
    }
    calls.push(`${request.method} ${token}`)
    return alive.has(token) ? { status: 200, body: { paid: true } } : { status: 401 }
  }
  const http: HttpClient = {
    async request(request) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      const isPublic = request.method === 'GET' && request.headers?.Signature === undefined
      if (!isPublic)
        verifyRequest({
          method: request.method,
          targetUri: request.url,
          headers: Object.fromEntries(
            Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
          ),
          rawBody: Buffer.from(request.body ?? ''),
          jwk,
          now: clock.now(),
          windowSeconds: 1,
        })
      const given = override.next?.(request) ?? answer(request)
      if (given instanceof Error) throw given
      return { status: given.status, headers: {}, body: Buffer.from(JSON.stringify(given.body ?? {})) }
    },
    effectiveUrl: (url) => url,
    close: async () => undefined,
  }
  const create = () =>
    createGrantsClient({
      db,
      http,
      clock,
      log: silentLogger,
      secretBox: createSecretBox('secret'),
      key: () => ({ privateKey, keyId }),
      clientWalletAddress,
    })
  return { clock, calls, alive, override, create, client: create() }
}

const read = { type: 'incoming-payment' as const, actions: ['read-all'] }
const requestBy = (client: ReturnType<typeof setUp>['client'], more: object = {}) =>
  client.request({ tenantId, authServer, access: read, method: 'GET', url: resource, ...more })
const rows = () =>
  db.many((row) => row, sql`select * from remote_grants where tenant_id = ${tenantId} order by actions`)
const refusedWith = (code: RemoteRefusalCode) => (error: unknown) => {
  assert.ok(error instanceof RemoteRefusal, String(error))
  assert.equal(error.code, code)
  return true
}

describe('tokens', () => {
  test('one grant serves everything that payments do, from memory', async () => {
    const { client, calls } = setUp()
    for (const actions of [['read-all'], ['create', 'read-all'], ['complete'], ['read']])
      assert.equal((await requestBy(client, { access: { ...read, actions } })).status, 200)
    await requestBy(client, { method: 'POST', body: '{"walletAddress":"x"}' })
    assert.deepEqual(calls, [
      `grant ${EVERYDAY}`,
      'GET token-1',
      'GET token-1',
      'GET token-1',
      'GET token-1',
      'POST token-1',
    ])
  })
  test('are sealed in the database, and another process uses them', async () => {
    const { client, calls, create } = setUp()
    await requestBy(client)
    const [row] = await rows()
    assert.equal(row?.actions, EVERYDAY.join(','))
    assert.ok(!JSON.stringify(row).includes('token-1"'))
    await requestBy(create())
    assert.deepEqual(calls, [`grant ${EVERYDAY}`, 'GET token-1', 'GET token-1'])
  })
  test('first contact by many at once is one grant per process, and nobody fails', async () => {
    const { calls, create } = setUp()
    const processes = [create(), create(), create()]
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => requestBy(processes[index % 3] as (typeof processes)[0])),
    )
    assert.ok(answers.every(({ status }) => status === 200))
    assert.ok(calls.filter((call) => call.startsWith('grant')).length <= 3)
    assert.equal((await rows()).length, 1)
  })
  test('are rotated before they expire, once for all who wait', async () => {
    const { client, calls, clock } = setUp()
    await requestBy(client)
    clock.advance(589_000)
    await requestBy(client)
    assert.equal(calls.includes('rotate'), false)
    clock.advance(1_000)
    await Promise.all(Array.from({ length: 10 }, () => requestBy(client)))
    assert.equal(calls.filter((call) => call === 'rotate').length, 1)
    assert.equal(calls.filter((call) => call.startsWith('grant')).length, 1)
    assert.equal(calls.at(-1), 'GET token-2')
  })
  test('when two processes rotate the same token, both go on', async () => {
    const { create, clock, calls } = setUp()
    const one = create()
    const two = create()
    await requestBy(one)
    await requestBy(two)
    clock.advance(600_000)
    const answers = await Promise.all([requestBy(one), requestBy(two)])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    )
    assert.ok(calls.filter((call) => call.startsWith('grant')).length <= 2)
  })
  test('without a known end are used until they fail', async () => {
    const { client, calls, clock } = setUp({ expiresIn: null })
    await requestBy(client)
    clock.advance(10 ** 9)
    await requestBy(client)
    assert.deepEqual(calls, [`grant ${EVERYDAY}`, 'GET token-1', 'GET token-1'])
  })
  for (const gone of ['revoked', 'replaced meanwhile'])
    test(`a token that was ${gone} is replaced and the request sent once more`, async () => {
      const { client, calls, alive } = setUp()
      await requestBy(client)
      if (gone === 'revoked') alive.clear()
      else {
        alive.delete('token-1')
        alive.set('token-1b', 'x')
      }
      assert.equal((await requestBy(client)).status, 200)
      assert.deepEqual(calls.slice(2), ['GET token-1', 'rotate', `grant ${EVERYDAY}`, 'GET token-2'])
    })
  test('a refusal that a fresh token does not cure is the answer', async () => {
    const { client, override, calls } = setUp()
    override.next = (request) => (request.url === resource ? { status: 403, body: { no: 1 } } : undefined)
    assert.equal((await requestBy(client)).status, 403)
    assert.deepEqual(calls, [`grant ${EVERYDAY}`, 'rotate'])
  })
  test('tenants do not share grants', async () => {
    const { client, calls } = setUp()
    await requestBy(client)
    const other = randomUUID()
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${other}, 'x')`)
    await requestBy(client, { tenantId: other })
    assert.equal(calls.filter((call) => call.startsWith('grant')).length, 2)
  })
  test('a row sealed for one place does not open in another', async () => {
    const { client, create } = setUp()
    await requestBy(client)
    await db.execute(
      sql`update remote_grants set auth_server = 'https://evil.example/' where tenant_id = ${tenantId}`,
    )
    await assert.rejects(
      requestBy(create(), { authServer: 'https://evil.example/' }),
      (error: Fault) => error.code === 'secret_unreadable',
    )
  })
})

describe('an authorization server', () => {
  test('that refuses the wide grant is asked for the narrow one, and only for that from then on', async () => {
    const wide = EVERYDAY.join(',')
    const { client, calls } = setUp({
      grant: (actions) => (actions.join(',') === wide ? { status: 400, body: {} } : undefined),
    })
    assert.equal((await requestBy(client)).status, 200)
    await requestBy(client, { access: { ...read, actions: ['create', 'read-all'] } })
    assert.deepEqual(calls, [
      `grant ${EVERYDAY}`,
      'grant read-all',
      'GET token-1',
      'grant create,read-all',
      'GET token-2',
    ])
  })
  test('that wants an interaction is no use', async () => {
    const { client } = setUp({ grant: () => ({ status: 200, body: { interact: {}, continue: {} } }) })
    await assert.rejects(requestBy(client), refusedWith('grant_needs_interaction'))
  })
  for (const body of [
    {},
    { access_token: {} },
    { access_token: { value: 'x' } },
    { access_token: { value: 5, manage: 'https://x.example' } },
    { access_token: { value: 'x', manage: 'no' } },
    { access_token: { value: 'x', manage: 'https://x.example/\0' } },
    { access_token: { value: 'x', manage: `https://x.example/${'x'.repeat(2048)}` } },
  ])
    test(`that answers ${JSON.stringify(body).slice(0, 80)} is not understood`, async () => {
      const { client } = setUp({ grant: () => ({ status: 200, body }) })
      await assert.rejects(requestBy(client), refusedWith('grant_answer_invalid'))
    })
  for (const status of [500, 503, 429])
    test(`that answers ${status} may be asked later`, async () => {
      const { client, override, calls } = setUp()
      override.next = () => ({ status })
      await assert.rejects(
        requestBy(client),
        (error: Fault) => error.retryable && error.code === 'remote_unavailable',
      )
      override.next = () => undefined
      assert.equal((await requestBy(client)).status, 200)
      assert.equal(calls.length, 2)
    })
  test('that is away does not cost the token that is there', async () => {
    const { client, override, clock, calls } = setUp()
    await requestBy(client)
    clock.advance(600_000)
    override.next = () => new Fault('connection_failed', { retryable: true })
    await assert.rejects(requestBy(client), (error: Fault) => error.code === 'connection_failed')
    override.next = () => undefined
    assert.equal((await requestBy(client)).status, 200)
    assert.deepEqual(calls.slice(2), ['rotate', 'GET token-2'])
  })
  test('whose management URL may not be fetched is asked for a new grant', async () => {
    const { client, override, clock } = setUp()
    await requestBy(client)
    clock.advance(600_000)
    override.next = ({ url }) =>
      url.includes('/token/') ? new Fault('egress_denied', { retryable: false }) : undefined
    assert.equal((await requestBy(client)).status, 200)
  })
})

describe('wallet addresses', () => {
  const document = {
    id: 'https://bank-b.example/bob',
    publicName: 'Bob',
    assetCode: 'EUR',
    assetScale: 2,
    authServer,
    resourceServer: 'https://bank-b.example/t',
  }
  test('are read unsigned, with redirects, and kept a minute', async () => {
    const { client, override, clock } = setUp()
    const seen: HttpRequest[] = []
    override.next = (request) => {
      seen.push(request)
      return { status: 200, body: { ...document, extra: 1 } }
    }
    const ask = () => client.getWalletAddress(document.id)
    assert.deepEqual(await ask(), document)
    await Promise.all([ask(), ask()])
    assert.equal(seen.length, 1)
    assert.equal(seen[0]?.redirectsMax, 3)
    clock.advance(60_000)
    await ask()
    assert.equal(seen.length, 2)
  })
  test('that are unknown are asked for again next time', async () => {
    const { client, override } = setUp()
    override.next = () => ({ status: 404 })
    await assert.rejects(client.getWalletAddress(document.id), refusedWith('wallet_address_unknown'))
    override.next = () => ({ status: 200, body: document })
    assert.deepEqual(await client.getWalletAddress(document.id), document)
  })
  const broken = [
    { id: 5 },
    { id: 'x' },
    { assetScale: 256 },
    { assetScale: '2' },
    { assetCode: null },
    { authServer: 'x' },
    { authServer: `https://auth.example/${'x'.repeat(2048)}` },
    { authServer: 'https://auth.example/\0' },
    { publicName: '\0' },
    { resourceServer: undefined },
  ]
  for (const change of broken)
    test(`no document: ${JSON.stringify(change).slice(0, 80)}`, async () => {
      const { client, override } = setUp()
      override.next = () => ({ status: 200, body: { ...document, ...change } })
      await assert.rejects(client.getWalletAddress(document.id), refusedWith('wallet_address_invalid'))
    })
})
