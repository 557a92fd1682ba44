import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { readDocument } from '../../shared/openapi/index.ts'
import { createOutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createQuote } from '../../shared/quotes/index.ts'
import { createTestDatabase, forgeSignature, type TestDatabase } from '../../shared/testing/index.ts'
import { routes } from './app.ts'
import { type RawAnswer, send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'
import type { GrantedAccess } from './introspection.ts'

// Every route that the specification has, against everything that must not open it. A route that is missing here fails the first test.

type RouteName = keyof typeof cases

interface RouteCase {
  access: readonly [type: string, action: string]
  /** Behind the tenant; what it names exists, and the client made it. */
  path: () => string | Promise<string>
  body?: () => unknown
  /** Without an Authorization header: what is shown to everybody. */
  isPublic?: true
}

let database: TestDatabase
let node: TestNode
let client: TestClient
let stranger: TestClient
let alice: string
let walletAddressId: string
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
  client = await node.createClient('/client')
  stranger = await node.createClient('/stranger')
  const wallet = await node.createWallet('/alice')
  alice = wallet.address
  walletAddressId = wallet.id
})
after(async () => {
  await node.close()
  await database.drop()
})

const made = () => ({ tenantId: node.tenantId, client: client.walletAddress })
async function incomingPayment(): Promise<string> {
  const incomingAmount = { value: 5n, assetCode: 'USD', assetScale: 2 }
  const initiatedBy = 'OPEN_PAYMENTS'
  const metadata = { secret: 'only for those who may read it' }
  const payment = { ...made(), walletAddressId, incomingAmount, initiatedBy, metadata } as const
  return (await createIncomingPayment(node.node, payment)).id
}
const urlOf = (id: string) => `${node.publicUrl}/${node.tenantId}/incoming-payments/${id}`
const quote = async () =>
  (await createQuote(node.node, { ...made(), walletAddressId, receiver: urlOf(await incomingPayment()) })).id
const outgoingPayment = async () => {
  const payment = {
    ...made(),
    walletAddressId,
    quoteId: await quote(),
    initiatedBy: 'OPEN_PAYMENTS',
  } as const
  return (await createOutgoingPayment(node.node, payment)).id
}
const listPath = (collection: string) => `/${collection}?wallet-address=${encodeURIComponent(alice)}`

const cases = {
  'POST /incoming-payments': {
    access: ['incoming-payment', 'create'],
    path: () => '/incoming-payments',
    body: () => ({ walletAddress: alice }),
  },
  'GET /incoming-payments': {
    access: ['incoming-payment', 'list'],
    path: () => listPath('incoming-payments'),
  },
  'GET /incoming-payments/{id}': {
    access: ['incoming-payment', 'read'],
    path: async () => `/incoming-payments/${await incomingPayment()}`,
    isPublic: true,
  },
  'POST /incoming-payments/{id}/complete': {
    access: ['incoming-payment', 'complete'],
    path: async () => `/incoming-payments/${await incomingPayment()}/complete`,
  },
  'POST /quotes': {
    access: ['quote', 'create'],
    path: () => '/quotes',
    body: async () => ({ walletAddress: alice, receiver: urlOf(await incomingPayment()), method: 'ilp' }),
  },
  'GET /quotes/{id}': { access: ['quote', 'read'], path: async () => `/quotes/${await quote()}` },
  'POST /outgoing-payments': {
    access: ['outgoing-payment', 'create'],
    path: () => '/outgoing-payments',
    body: async () => ({ walletAddress: alice, quoteId: `${node.publicUrl}/quotes/${await quote()}` }),
  },
  'GET /outgoing-payments': {
    access: ['outgoing-payment', 'list'],
    path: () => listPath('outgoing-payments'),
  },
  'GET /outgoing-payments/{id}': {
    access: ['outgoing-payment', 'read'],
    path: async () => `/outgoing-payments/${await outgoingPayment()}`,
  },
  'GET /outgoing-payment-grant': {
    access: ['outgoing-payment', 'create'],
    path: () => '/outgoing-payment-grant',
  },
} as const satisfies Record<string, RouteCase>

const names = Object.keys(cases) as RouteName[]
const specified = Object.entries(readDocument('resource-server').paths).flatMap(([path, item]) =>
  ['get', 'post', 'put', 'patch', 'delete']
    .filter((method) => method in item)
    .map((method) => `${method.toUpperCase()} ${path}`),
)

test('every route of the specification, and every route of ours, is in the table', () => {
  assert.deepEqual(specified.sort(), [...names].sort())
  assert.deepEqual(
    routes.map(({ operation }) => `${operation.method} ${operation.path}`).sort(),
    [...names].sort(),
  )
})

const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  'incoming-payment': ['create', 'complete', 'read', 'read-all', 'list', 'list-all'],
  'outgoing-payment': ['create', 'read', 'read-all', 'list', 'list-all'],
  quote: ['create', 'read', 'read-all'],
}
const item = (type: string, actions: readonly string[], identifier = alice): GrantedAccess => ({
  type,
  actions: [...actions],
  identifier,
})
/** Everything that may be granted, but this action and what includes it. */
const everythingElse = ([type, action]: readonly [string, string]): GrantedAccess[] =>
  Object.entries(ACTIONS).map(([each, actions]) =>
    item(
      each,
      actions.filter((one) => each !== type || (one !== action && one !== `${action}-all`)),
    ),
  )

describe('every route', () => {
  for (const name of names) {
    const route: RouteCase = cases[name]
    const method = name.split(' ')[0] as 'GET' | 'POST'
    const [type, action] = route.access

    /** One request, by the operator's own path too, because both spellings are routes. */
    async function attempt(
      ask: (request: { method: 'GET' | 'POST'; url: string; body?: unknown }) => Promise<RawAnswer>,
      judge: (answer: RawAnswer) => void,
    ): Promise<void> {
      for (const base of [`${node.url}/${node.tenantId}`, node.url]) {
        const body = await route.body?.()
        const url = `${base}${await route.path()}`
        judge(await ask({ method, url, ...(body !== undefined && { body }) }))
      }
    }
    const refuses = (status: number, reason?: string) => (answer: RawAnswer) => {
      assert.equal(answer.status, status, answer.text)
      if (reason !== undefined) assert.equal(answer.body.error?.details?.reason, reason)
    }
    const unsigned =
      (headers: Record<string, string>) => (request: { method: string; url: string; body?: unknown }) =>
        send(request.url, {
          method: request.method,
          headers: { ...(request.body !== undefined && { 'content-type': 'application/json' }), ...headers },
          ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
        })
    const goodToken = () => node.grant(client, [item(type, [action])])

    test(`${name} opens for a token and its key`, () =>
      attempt(
        (request) => sendSigned(client, goodToken(), request),
        ({ status, text }) => assert.ok(status === 200 || status === 201, `${status} ${text}`),
      ))

    test(`${name} demands a token`, async () => {
      const isRefused = (answer: RawAnswer) => {
        if (!route.isPublic) return assert.ok(answer.status === 400 || answer.status === 401, answer.text)
        assert.deepEqual(Object.keys(answer.body).sort(), ['authServer', 'receivedAmount'])
        return undefined
      }
      await attempt(unsigned({}), isRefused)
      await attempt(unsigned({ 'signature-input': 'sig1=()', signature: 'sig1=::' }), isRefused)
      for (const authorization of ['Bearer x', 'GNAP', '', `gnap ${goodToken()}`])
        await attempt(
          unsigned({ authorization, 'signature-input': 'sig1=()', signature: 'sig1=::' }),
          ({ status }) => assert.ok(status === 401 || status === 400),
        )
    })

    test(`${name} demands proof of the token's key`, async () => {
      const token = goodToken()
      const authorization = `GNAP ${token}`
      // The token alone, as any bearer of it could send it.
      await attempt(unsigned({ authorization }), ({ status }) => assert.ok(status === 400 || status === 401))
      await attempt(
        unsigned({ authorization, 'signature-input': 'sig1=()', signature: 'sig1=::' }),
        refuses(401, 'signature_malformed'),
      )
      await attempt((request) => sendSigned(stranger, token, request), refuses(401, 'key_unknown'))
      await attempt(
        (request) => sendSigned({ ...stranger, keyId: client.keyId }, token, request),
        refuses(401, 'signature_invalid'),
      )
      await attempt(
        (request) => {
          const headers = { authorization, 'content-type': 'application/json' }
          const { privateKey, keyId } = client
          return unsigned(forgeSignature({ ...request, privateKey, keyId, headers }))(request)
        },
        refuses(401, 'component_not_covered'),
      )
      await attempt(
        (request) => sendSigned(client, token, { ...request, signed: { url: `${request.url}#` } }),
        refuses(401, 'signature_invalid'),
      )
    })

    test(`${name} demands the right token`, async () => {
      const tokens = {
        'that nobody gave': ['unknown', 'Inactive Token'],
        'of another tenant': [
          node.grant(client, [item(type, [action])], { tenant: uuidv7() }),
          'Insufficient Grant',
        ],
        'for everything else': [node.grant(client, everythingElse(route.access)), 'Insufficient Grant'],
      } as const
      for (const [what, [token, description]] of Object.entries(tokens))
        await attempt(
          (request) => sendSigned(client, token, request),
          (answer) => {
            assert.equal(answer.status, 403, what)
            assert.equal(answer.body.error?.description, description, what)
          },
        )
      // A grant's own spending concerns no wallet address.
      if (name === 'GET /outgoing-payment-grant') return
      for (const identifier of [`${node.publicUrl}/bob`, `${alice}/`, alice.toUpperCase(), `${alice}?`, '']) {
        const token = node.grant(client, [item(type, [action], identifier)])
        await attempt((request) => sendSigned(client, token, request), refuses(403))
      }
    })
  }
})
