import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createDb, createSecretBox, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { consentsAt, finishUri, isRefusal, outgoing, subject, withoutFinish } from './consent-harness.ts'
import { ADMIN_SECRET, IDP_SECRET, startTestAuth, type TestAuth } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
let db: DbPool
let consents: ReturnType<typeof consentsAt>
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  consents = consentsAt(auth)
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await auth.close()
  await db.close()
  await database.drop()
})

const stateOf = async (path: string) => (await auth.idp('GET', `/grant${path}`)).json.state
async function createTenant(idpSecret: string): Promise<string> {
  const id = randomUUID()
  const tenant = { id, apiSecret: 's', idpConsentUrl: 'https://idp.example/', idpSecret }
  assert.equal((await auth.service('POST', '/tenant', tenant)).status, 204)
  return id
}

describe('details', () => {
  test('what somebody is asked for, and by whom', async () => {
    const client = auth.createClient('erin', 'Erin')
    const limits = {
      debitAmount: { value: '500', assetCode: 'USD', assetScale: 2 },
      interval: 'R/2026-01-01T00:00:00Z/P1M',
    }
    const access = [
      { ...outgoing, limits },
      { type: 'quote', actions: ['create'] },
    ]
    const grant = await consents.open({ access_token: { access }, subject }, { client })
    const { status, json, headers } = await auth.idp('GET', `/grant${grant.path}`)
    assert.equal(status, 200)
    assert.equal(headers['cache-control'], 'no-store')
    assert.deepEqual(json, {
      grantId: json.grantId,
      access,
      subject,
      state: 'PENDING',
      client: { name: 'Erin', uri: client.walletAddress },
      finish: { uri: finishUri },
    })
    const known = await db.maybe((row) => row.state, sql`select state from grants where id = ${json.grantId}`)
    assert.equal(known, 'PENDING')
  })
  test('of a subject alone', async () => {
    const grant = await consents.open({ subject })
    const { json } = await auth.idp('GET', `/grant${grant.path}`)
    assert.deepEqual([json.access, json.subject], [[], subject])
  })
  test('of a client that polls name nowhere to go', async () => {
    const grant = await consents.open({ interact: withoutFinish })
    assert.ok(!('finish' in (await auth.idp('GET', `/grant${grant.path}`)).json))
  })
  test('follow the decision, and outlive the interaction', async () => {
    const accepted = await consents.open()
    await consents.consider(accepted, 'accept')
    const rejected = await consents.open()
    await consents.consider(rejected, 'reject')
    assert.deepEqual([await stateOf(accepted.path), await stateOf(rejected.path)], ['APPROVED', 'DENIED'])
    await db.execute(sql`update interactions set expires_at = now() where id = ${accepted.id}`)
    assert.equal(await stateOf(accepted.path), 'APPROVED')
  })
})

describe('who may ask', () => {
  const calls = [
    ['GET', '', 'invalid_request'],
    ['POST', '/accept', 'invalid_interaction'],
    ['POST', '/reject', 'invalid_interaction'],
  ] as const
  test('trap 10: nobody without a secret; a guess tells nothing, of whatever length it is, about whatever', async () => {
    const grant = await consents.open()
    const secrets = [null, IDP_SECRET.slice(1), `${IDP_SECRET} x`, IDP_SECRET.toUpperCase()]
    const paths = [grant.path, `/${randomUUID()}/${grant.finish}`, `/${grant.id}/x`, '/x/y']
    for (const [method, choice, code] of calls)
      for (const path of paths)
        for (const secret of secrets)
          isRefusal(
            await auth.idp(method, `/grant${path}${choice}`, secret),
            401,
            code,
            'invalid x-idp-secret',
          )
    assert.equal(await stateOf(grant.path), 'PENDING')
  })
  test('every length from nothing to a thousand is 401', async () => {
    const grant = await consents.open()
    for (let first = 0; first <= 1000; first += 50) {
      const lengths = Array.from({ length: Math.min(50, 1001 - first) }, (_, index) => first + index)
      const statuses = await Promise.all(
        lengths.map(
          async (length) => (await auth.idp('GET', `/grant${grant.path}`, 'x'.repeat(length))).status,
        ),
      )
      assert.ok(
        statuses.every((status) => status === 401),
        `${first}: ${statuses}`,
      )
    }
  })
  test("each identity provider knows its own tenant's people only", async () => {
    const tenantId = await createTenant('secret of another')
    const ours = await consents.open()
    const theirs = await consents.open({}, { tenantId })
    for (const [method, choice] of calls)
      for (const [path, secret] of [
        [ours.path, 'secret of another'],
        [theirs.path, IDP_SECRET],
        [`/${randomUUID()}/x`, IDP_SECRET],
        ['/x/y', IDP_SECRET],
        [`/${ours.id}/${theirs.finish}`, IDP_SECRET],
      ] as const)
        isRefusal(
          await auth.idp(method, `/grant${path}${choice}`, secret),
          404,
          'unknown_interaction',
          'unknown interaction',
        )
    assert.equal((await auth.idp('GET', `/grant${theirs.path}`, 'secret of another')).status, 200)
    assert.equal((await auth.idp('POST', `/grant${theirs.path}/accept`, 'secret of another')).status, 202)
    assert.equal(await stateOf(ours.path), 'PENDING')
  })
  test('two tenants with one identity provider, and so one secret', async () => {
    const tenants = [await createTenant('shared'), await createTenant('shared')]
    for (const tenantId of tenants) {
      const grant = await consents.open({}, { tenantId })
      assert.equal((await auth.idp('GET', `/grant${grant.path}`, 'shared')).status, 200)
    }
  })
  test('a changed secret counts at once, that of a deleted tenant no more', async () => {
    const tenantId = await createTenant('old')
    const grant = await consents.open({}, { tenantId })
    const ask = async (secret: string) => (await auth.idp('GET', `/grant${grant.path}`, secret)).status
    assert.equal(await ask('old'), 200)
    await auth.service('PATCH', `/tenant/${tenantId}`, { idpSecret: 'new' })
    assert.deepEqual([await ask('old'), await ask('new')], [401, 200])
    await auth.service('DELETE', `/tenant/${tenantId}`, { deletedAt: new Date().toISOString() })
    assert.equal(await ask('new'), 401)
    assert.equal((await auth.idp('POST', `/grant${grant.path}/accept`, 'new')).status, 401)
  })
  test('a secret that cannot be read locks nobody else out', async () => {
    const tenantId = await createTenant('unreadable')
    await db.execute(sql`update tenants set idp_secret_sealed = 'v1.AAAA' where id = ${tenantId}`)
    const grant = await consents.open()
    assert.equal((await auth.idp('GET', `/grant${grant.path}`)).status, 200)
    assert.equal((await auth.idp('GET', `/grant${grant.path}`, 'unreadable')).status, 401)
  })
})

describe('secrets of identity providers', () => {
  test('are looked up by an index, not opened one by one', async () => {
    const plan = await db.tx(async (tx) => {
      // Tables of tests are so small that reading them whole may be cheaper.
      await tx.execute(sql`set local enable_seqscan = off`)
      return tx.many(
        (row) => row['QUERY PLAN'] as string,
        sql`explain select id from tenants where idp_secret_hash = ${Buffer.alloc(32)} and deleted_at is null`,
      )
    })
    assert.match(plan.join('\n'), /tenants_idp_secret/)
  })
  test('cannot be guessed from what is kept: who has no key cannot make it', async () => {
    const id = await createTenant('guessable')
    const kept = await db.maybe(
      (row) => row.idp_secret_hash as Buffer,
      sql`select idp_secret_hash from tenants where id = ${id}`,
    )
    const made = (key: string) => createSecretBox(key).fingerprint('guessable', 'auth-tenants:idp-secret')
    assert.deepEqual(kept, made(ADMIN_SECRET))
    assert.notDeepEqual(kept, made('another key'))
  })
  test('that older code wrote are found after the next start; that it replaced are nobody’s at once', async () => {
    const secretBox = createSecretBox(ADMIN_SECRET)
    const [before, changed] = [await createTenant('written before'), await createTenant('replaced')]
    await db.execute(sql`update tenants set idp_secret_hash = null where id = ${before}`)
    const sealed = secretBox.seal('replacement', `auth-tenant:${changed}:idp-secret`)
    await db.execute(sql`update tenants set idp_secret_sealed = ${sealed} where id = ${changed}`)
    const grants = {
      before: await consents.open({}, { tenantId: before }),
      changed: await consents.open({}, { tenantId: changed }),
    }
    const ask = async (name: keyof typeof grants, secret: string) =>
      (await auth.idp('GET', `/grant${grants[name].path}`, secret)).status
    assert.equal(await ask('changed', 'replaced'), 401)
    await (await startTestAuth(database.connectionString)).close()
    assert.deepEqual(
      [
        await ask('before', 'written before'),
        await ask('changed', 'replacement'),
        await ask('changed', 'replaced'),
      ],
      [200, 200, 401],
    )
  })
})

describe('a decision', () => {
  const choose = (path: string, choice: string) => auth.idp('POST', `/grant${path}/${choice}`)
  test('counts once', async () => {
    for (const first of ['accept', 'reject'] as const)
      for (const second of ['accept', 'reject'] as const) {
        const grant = await consents.open()
        assert.equal((await choose(grant.path, first)).status, 202)
        isRefusal(await choose(grant.path, second), 400, 'invalid_interaction', 'invalid interaction')
        assert.equal(await stateOf(grant.path), first === 'accept' ? 'APPROVED' : 'DENIED')
      }
  })
  test('eight at a time: one', async () => {
    for (let round = 0; round < 3; round++) {
      const grant = await consents.open()
      const choices = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? 'accept' : 'reject'))
      const answers = await Promise.all(choices.map((choice) => choose(grant.path, choice)))
      const won = answers.findIndex(({ status }) => status === 202)
      for (const [index, answer] of answers.entries())
        if (index !== won) isRefusal(answer, 400, 'invalid_interaction', 'invalid interaction')
      assert.equal(await stateOf(grant.path), choices[won] === 'accept' ? 'APPROVED' : 'DENIED')
    }
  })
  test('counts in time', async () => {
    const grant = await consents.open()
    await db.execute(sql`update interactions set expires_at = now() where id = ${grant.id}`)
    for (const choice of ['accept', 'reject'])
      isRefusal(await choose(grant.path, choice), 400, 'invalid_interaction', 'invalid interaction')
    assert.equal(await stateOf(grant.path), 'PENDING')
  })
  test('counts for nothing once the grant is rejected or revoked', async () => {
    const rejected = await consents.open()
    await consents.finish(rejected, await consents.consider(rejected, 'reject'))
    const revoked = await consents.open()
    assert.equal((await consents.proceed(revoked, undefined, 'DELETE')).status, 204)
    for (const grant of [rejected, revoked])
      for (const choice of ['accept', 'reject'])
        isRefusal(await choose(grant.path, choice), 401, 'user_denied', 'user denied interaction')
  })
  test('reaches the grant only when the browser is back', async () => {
    const grant = await consents.open({ interact: withoutFinish })
    const browser = await consents.consider(grant, 'accept')
    const pending = await consents.proceed(grant)
    assert.deepEqual([pending.status, pending.json.access_token], [200, undefined])
    await consents.finish(grant, browser)
    assert.ok((await consents.proceed(grant)).json.access_token)
  })
  test('is one of two, and said in a way of its own', async () => {
    const grant = await consents.open()
    for (const choice of ['approve', 'ACCEPT', 'x']) {
      const answer = await choose(grant.path, choice)
      assert.equal(answer.status, 400)
      assert.deepEqual(answer.json, {
        error: {
          description:
            'Received error validating OpenAPI request: path.choice must be equal to one of the allowed values',
        },
      })
    }
    for (const [method, path] of [
      ['GET', `/grant${grant.path}/accept`],
      ['POST', `/grant${grant.path}`],
      ['GET', `/interact${grant.path}`],
    ] as const)
      assert.equal((await auth.idp(method, path)).status, 404)
    assert.equal(await stateOf(grant.path), 'PENDING')
  })
})
