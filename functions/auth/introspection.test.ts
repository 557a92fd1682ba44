import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { jwkThumbprint } from '../../shared/http-signatures/index.ts'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { type AccessItem, covers, type WantedAccess } from './access/index.ts'
import { type Answer, startTestAuth, type TestAuth, type TestClient } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
let db: DbPool
let client: TestClient
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  db = createDb({ connectionString: database.connectionString })
  client = auth.createClient()
})
after(async () => {
  await auth.close()
  await db.close()
  await database.drop()
})

const bob = 'https://bank.example/bob'
const granted = [
  { type: 'incoming-payment', actions: ['create', 'read-all'], identifier: bob },
  { type: 'quote', actions: ['create'] },
]
const grant = async (by: unknown = client.walletAddress): Promise<{ value: string; manage: string }> => {
  const body = { client: by, access_token: { access: granted } }
  const answer = await auth.send({ client, url: `${auth.url}/${auth.tenantId}`, body })
  assert.equal(answer.status, 200, answer.text)
  return answer.json.access_token
}
const ask = (value: string, access?: unknown, more: object = {}) =>
  auth.introspect({ access_token: value, ...(access !== undefined && { access }), ...more })

test('an active token: grant, tenant, matching items, client', async () => {
  const { value } = await grant()
  const { status, json } = await ask(value, [
    { type: 'incoming-payment', actions: ['read'], identifier: bob },
  ])
  const { grant: grantId, ...rest } = json
  assert.equal(status, 200)
  assert.match(grantId, /^[0-9a-f-]{36}$/)
  assert.deepEqual(rest, {
    active: true,
    tenant: auth.tenantId,
    access: [granted[0]],
    client: { walletAddress: client.walletAddress },
  })
})
test('all tokens of a grant name the same grant', async () => {
  const { value, manage } = await grant()
  const first = (await ask(value)).json
  const rotated = (await auth.send({ client, url: manage, token: value })).json.access_token
  assert.equal((await ask(rotated.value)).json.grant, first.grant)
})
test('a client known by its key is told by it', async () => {
  const { value } = await grant({ jwk: client.jwk })
  const { json } = await ask(value)
  assert.deepEqual(json.client, { jwk: client.jwk })
  assert.equal(jwkThumbprint(json.client.jwk), jwkThumbprint(client.jwk))
})
test('nothing asked or nothing matching: active without access', async () => {
  const { value } = await grant()
  for (const access of [
    undefined,
    [],
    [{ type: 'incoming-payment', actions: ['list'], identifier: bob }],
    [{ type: 'incoming-payment', actions: ['read'], identifier: 'https://bank.example/alice' }],
    [{ type: 'outgoing-payment', actions: ['create'] }],
    [{ type: 'incoming-payment', actions: ['read'], limits: {} }],
  ])
    assert.deepEqual((await ask(value, access)).json.access, [], JSON.stringify(access))
})
test('another tenant asks in vain', async () => {
  const { value } = await grant()
  assert.equal((await ask(value, [], { tenant: auth.tenantId })).json.active, true)
  assert.deepEqual((await ask(value, [], { tenant: crypto.randomUUID() })).json, { active: false })
})
test('unknown, expired and revoked tokens and those of revoked grants are inactive, and say nothing more', async () => {
  const idOf = ({ manage }: { manage: string }) => manage.split('/').pop()
  const expired = await grant()
  await db.execute(
    sql`update access_tokens set expires_at = now() - interval '1 ms' where id = ${idOf(expired)}`,
  )
  const revoked = await grant()
  assert.equal(
    (await auth.send({ client, method: 'DELETE', url: revoked.manage, token: revoked.value })).status,
    204,
  )
  const orphaned = await grant()
  await db.execute(
    sql`update grants set state = 'FINALIZED', finalization_reason = 'REVOKED'
        where id = (select grant_id from access_tokens where id = ${idOf(orphaned)})`,
  )
  for (const value of ['', 'x', expired.value, revoked.value, orphaned.value, expired.value.toLowerCase()])
    assert.deepEqual((await ask(value, [])).json, { active: false })
})
test('is one look-up by index', async () => {
  const plan = await db.tx(async (tx) => {
    // Tables of tests are so small that reading them whole may be cheaper.
    await tx.execute(sql`set local enable_seqscan = off`)
    return tx.many(
      (row) => row['QUERY PLAN'] as string,
      sql`explain select g.id from access_tokens t join grants g on g.id = t.grant_id where t.token_hash = ${Buffer.alloc(32)}`,
    )
  })
  assert.match(plan.join('\n'), /access_tokens_token_hash_key/)
})

describe('what is not a question', () => {
  const bodies: [string, unknown][] = [
    ['nothing', ''],
    ['broken', '{'],
    ['a list', []],
    ['no token', {}],
    ['token as number', { access_token: 5 }],
    ['access as text', { access_token: 'x', access: 'all' }],
    ['access of text', { access_token: 'x', access: ['all'] }],
    ['access without actions', { access_token: 'x', access: [{ type: 'quote' }] }],
    ['actions as number', { access_token: 'x', access: [{ type: 'quote', actions: [5] }] }],
    ['identifier as number', { access_token: 'x', access: [{ type: 'quote', actions: [], identifier: 5 }] }],
    ['tenant as number', { access_token: 'x', tenant: 5 }],
  ]
  for (const [name, body] of bodies)
    test(name, async () => {
      const answer: Answer = await auth.introspect(body)
      assert.deepEqual([answer.status, answer.text], [400, 'Bad Request'])
    })
})

describe('covering', () => {
  const item: AccessItem = { type: 'incoming-payment', actions: ['create', 'read', 'list-all'] }
  const cases: [string, Partial<AccessItem>, Partial<WantedAccess>, boolean][] = [
    ['the same', {}, { actions: ['create', 'read', 'list-all'] }, true],
    ['less', {}, { actions: ['read'] }, true],
    ['list from list-all', {}, { actions: ['list'] }, true],
    ['read-all not from read', {}, { actions: ['read-all'] }, false],
    ['one too many', {}, { actions: ['read', 'complete'] }, false],
    ['another type', {}, { type: 'quote', actions: ['read'] }, false],
    ['prototype names', {}, { actions: ['constructor'] }, false],
    ['identifier only granted', { identifier: bob }, { actions: ['read'] }, true],
    ['identifier only wanted', {}, { actions: ['read'], identifier: bob }, true],
    ['same identifier', { identifier: bob }, { actions: ['read'], identifier: bob }, true],
    ['identifier with a slash', { identifier: bob }, { actions: ['read'], identifier: `${bob}/` }, false],
    [
      'identifier in upper case',
      { identifier: bob },
      { actions: ['read'], identifier: bob.toUpperCase() },
      false,
    ],
    ['same limits', { limits: { a: { b: 1 } } }, { actions: ['read'], limits: { a: { b: 1 } } }, true],
    ['other limits', { limits: { a: 1 } }, { actions: ['read'], limits: { a: 2 } }, false],
    ['limits not asked about', { limits: { a: 1 } }, { actions: ['read'] }, true],
  ]
  for (const [name, has, wants, expected] of cases)
    test(`${name}: ${expected}`, () =>
      assert.equal(
        covers({ ...item, ...has }, { type: 'incoming-payment', actions: [], ...wants }),
        expected,
      ))
})
