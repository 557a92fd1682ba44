import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { request } from 'undici'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { startTestAuth, type TestAuth, type TestClient } from './harness.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)

let database: TestDatabase
let auth: TestAuth
let client: TestClient
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  client = auth.createClient()
})
after(async () => {
  await auth.close()
  await database.drop()
})

interface Issued {
  value: string
  manage: string
  /** The only wallet address that it is good for. */
  identifier: string
}

async function grant(): Promise<Issued> {
  const identifier = `https://bank.example/${randomUUID()}`
  const access = [{ type: 'incoming-payment', actions: ['read'], identifier }]
  const body = { client: client.walletAddress, access_token: { access } }
  const answer = await auth.send({ client, url: `${auth.url}/${auth.tenantId}`, body })
  assert.equal(answer.status, 200, answer.text)
  return { ...answer.json.access_token, identifier }
}

const question = (token: { value: string }, identifier: string, more: object = {}) => ({
  access_token: token.value,
  access: [{ type: 'incoming-payment', actions: ['read'], identifier }],
  ...more,
})

async function askBatch(body: unknown) {
  const answer = await request(`http://localhost:${auth.running.ports.introspection}/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.statusCode, text: await answer.body.text() }
}
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers that they assert about.
const responsesTo = async (requests: unknown[]): Promise<any[]> =>
  JSON.parse((await askBatch({ requests })).text).responses

test('each question is answered as if it had come alone, whatever comes with it', async () => {
  const live = [await grant(), await grant(), await grant()]
  const revoked = await grant()
  await auth.send({ client, method: 'DELETE', url: revoked.manage, token: revoked.value })
  const unknown = { value: 'unknown', identifier: 'https://bank.example/nobody' }
  const tokens = [...live, revoked, unknown]
  const index = fc.nat(tokens.length - 1)
  const asked = fc.record({ token: index, about: index, isOtherTenants: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { maxLength: 30 }), async (batch) => {
      const requests = batch.map(({ token, about, isOtherTenants }) =>
        question(
          tokens[token] as Issued,
          (tokens[about] as Issued).identifier,
          isOtherTenants ? { tenant: randomUUID() } : {},
        ),
      )
      const responses = await responsesTo(requests)
      const active = batch.map(({ token, isOtherTenants }) => token < live.length && !isOtherTenants)
      assert.deepEqual(
        responses.map((response) => response.active),
        active,
      )
      for (const [at, { token, about }] of batch.entries())
        if (active[at]) assert.equal(responses[at].access.length, token === about ? 1 : 0)
      const [first] = requests
      if (first) assert.deepEqual(responses[0], (await auth.introspect(first)).json)
    }),
    { seed, numRuns: 25 },
  )
})

test('a token is inactive from the first call after its revocation, in a batch too', async () => {
  const [kept, revoked] = [await grant(), await grant()]
  const ask = () => responsesTo([kept, revoked].map((token) => question(token, token.identifier)))
  assert.deepEqual(
    (await ask()).map(({ active }) => active),
    [true, true],
  )
  const answer = await auth.send({ client, method: 'DELETE', url: revoked.manage, token: revoked.value })
  assert.equal(answer.status, 204)
  assert.deepEqual(
    (await ask()).map(({ active }) => active),
    [true, false],
  )
})

describe('what is not a batch', () => {
  const bodies: [string, unknown][] = [
    ['a single question', { access_token: 'x' }],
    ['a list', []],
    ['requests as text', { requests: 'x' }],
    ['one that is no question', { requests: [{ access_token: 'x' }, {}] }],
    ['null among them', { requests: [null] }],
    ['too many', { requests: Array.from({ length: 1001 }, () => ({ access_token: 'x' })) }],
  ]
  for (const [name, body] of bodies)
    test(name, async () => assert.deepEqual(await askBatch(body), { status: 400, text: 'Bad Request' }))
})
