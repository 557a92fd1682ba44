import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { consentsAt, isRefusal, type OpenGrant, withoutFinish } from './consent-harness.ts'
import { recordPoll } from './grants/store.ts'
import { startTestAuth, type TestAuth } from './harness.ts'

let database: TestDatabase
/** Lets nobody wait; and one where the wait is longer than a test. */
let auth: TestAuth
let slow: TestAuth
let db: DbPool
let consents: ReturnType<typeof consentsAt>
let patient: ReturnType<typeof consentsAt>
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  slow = await startTestAuth(database.connectionString, { WAIT_SECONDS: '60' })
  consents = consentsAt(auth)
  patient = consentsAt(slow)
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await auth.close()
  await slow.close()
  await db.close()
  await database.drop()
})

/** As if this much time had passed since the last word of the client. */
const wait = (grant: OpenGrant, seconds: number) =>
  db.execute(
    sql`update grants set continued_at = continued_at - make_interval(secs => ${seconds})
        from interactions i where i.grant_id = grants.id and i.id = ${grant.id}`,
  )
const notApproved = [401, 'request_denied', 'grant interaction not approved'] as const
const notFound = [404, 'invalid_continuation', 'grant not found'] as const

describe('polls', () => {
  test('each row of the table', async () => {
    const pending = await consents.open({ interact: withoutFinish })
    const next = { access_token: { value: pending.token }, uri: pending.uri }
    assert.deepEqual((await consents.proceed(pending, {})).json, { continue: { ...next, wait: 0 } })
    assert.deepEqual((await consents.proceed(pending)).json, { continue: { ...next, wait: 0 } })

    const { grant: finishing } = await consents.consent()
    isRefusal(await consents.proceed(finishing), 401, 'request_denied', 'grant cannot be polled')
    isRefusal(await consents.proceed(await consents.open()), 401, 'request_denied', 'grant cannot be polled')

    const rejected = await consents.open({ interact: withoutFinish })
    await consents.finish(rejected, await consents.consider(rejected, 'reject'))
    isRefusal(await consents.proceed(rejected), 401, 'request_denied', 'grant cannot be continued')

    const { grant: approved } = await consents.consent({ interact: withoutFinish })
    assert.ok((await consents.proceed(approved)).json.access_token)
    isRefusal(await consents.proceed(approved), 401, 'request_denied', 'grant cannot be continued')
    assert.equal((await consents.proceed(approved, undefined, 'DELETE')).status, 204)
    isRefusal(await consents.proceed(approved), 401, 'invalid_continuation', 'invalid grant')
  })
  test('wait, and each poll that is answered starts the wait again', async () => {
    const tooFast = [400, 'too_fast', 'polled grant faster than "wait" period'] as const
    const grant = await patient.open({ interact: withoutFinish })
    isRefusal(await patient.proceed(grant), ...tooFast)
    await wait(grant, 59)
    isRefusal(await patient.proceed(grant), ...tooFast)
    await wait(grant, 2)
    const answer = await patient.proceed(grant)
    assert.deepEqual([answer.status, answer.json.continue.wait], [200, 60])
    isRefusal(await patient.proceed(grant), ...tooFast)
    await wait(grant, 61)
    const parallel = await Promise.all(Array.from({ length: 8 }, () => patient.proceed(grant)))
    assert.equal(parallel.filter(({ status }) => status === 200).length, 1)
    for (const lost of parallel.filter(({ status }) => status !== 200)) isRefusal(lost, ...tooFast)
    // The wait comes first, whatever the grant is.
    isRefusal(await patient.proceed(await patient.open()), ...tooFast)
  })
  test('of two that saw the same wait one is answered', async () => {
    const { id } = await consents.open({ interact: withoutFinish })
    const grantId = await db.one(
      (row) => row.grant_id as string,
      sql`select grant_id from interactions where id = ${id}`,
    )
    const now = new Date(Date.now() + 60_000)
    const lastBefore = new Date(now.getTime() - 5_000)
    assert.equal(await recordPoll(db, grantId, now, lastBefore), true)
    assert.equal(await recordPoll(db, grantId, now, lastBefore), false)
    assert.equal(await recordPoll(db, grantId, now, now), true)
  })
  test('eight at a time after consent: one token', async () => {
    const { grant } = await consents.consent({ interact: withoutFinish })
    const answers = await Promise.all(Array.from({ length: 8 }, () => consents.proceed(grant)))
    assert.equal(answers.filter(({ json }) => json.access_token).length, 1)
    for (const lost of answers.filter(({ status }) => status !== 200))
      isRefusal(lost, 401, 'request_denied', 'grant cannot be continued')
  })
  test('a pending grant whose time is over stays pending', async () => {
    const grant = await consents.open({ interact: withoutFinish })
    await db.execute(sql`update interactions set expires_at = now() where id = ${grant.id}`)
    const { status, json } = await consents.proceed(grant)
    assert.deepEqual([status, json.access_token], [200, undefined])
  })
})

describe('references', () => {
  test('each row of the table', async () => {
    const { grant, reference } = await consents.consent()
    const other = await consents.consent()
    isRefusal(
      await consents.proceed(grant, { other: 1 }),
      401,
      'invalid_request',
      'missing interaction reference',
    )
    for (const wrong of [other.reference, randomUUID(), '', reference.toLowerCase(), grant.finish])
      isRefusal(await consents.proceed(grant, { interact_ref: wrong }), ...notFound)
    assert.equal((await consents.proceed(grant, { interact_ref: 5 })).status, 400, 'the schema refuses it')
    assert.ok((await consents.proceed(grant, { interact_ref: reference })).json.access_token)
    isRefusal(await consents.proceed(grant, { interact_ref: reference }), ...notApproved)
    assert.ok((await consents.proceed(other.grant, { interact_ref: other.reference })).json.access_token)
  })
  test('wait too', async () => {
    const grant = await patient.open()
    const browser = await patient.consider(grant, 'accept')
    const location = new URL(String((await patient.finish(grant, browser)).headers.location))
    const body = { interact_ref: location.searchParams.get('interact_ref') }
    const tooFast = [400, 'too_fast', 'continued grant faster than "wait" period'] as const
    isRefusal(await patient.proceed(grant, body), ...tooFast)
    isRefusal(await patient.proceed(grant, { interact_ref: 'x' }), ...notFound)
    await wait(grant, 61)
    assert.ok((await patient.proceed(grant, body)).json.access_token)
  })
  test('are known to nobody before the browser is back, and worth nothing then', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    await db.execute(sql`
      update grants set interact_ref_hash = sha256('known') from interactions i
      where i.grant_id = grants.id and i.id = ${grant.id}`)
    isRefusal(await consents.proceed(grant, { interact_ref: 'known' }), ...notApproved)
    await consents.finish(grant, browser)
    assert.ok((await consents.proceed(grant, { interact_ref: 'known' })).json.access_token)
  })
  test('of a rejected grant, and of one that needed nobody, do not exist', async () => {
    const rejected = await consents.open()
    await consents.finish(rejected, await consents.consider(rejected, 'reject'))
    await db.execute(sql`
      update grants set interact_ref_hash = sha256('known') from interactions i
      where i.grant_id = grants.id and i.id = ${rejected.id}`)
    isRefusal(await consents.proceed(rejected, { interact_ref: 'known' }), ...notFound)
    const client = auth.createClient()
    const { json } = await auth.send({
      client,
      url: `${auth.url}/${auth.tenantId}`,
      body: {
        client: client.walletAddress,
        access_token: { access: [{ type: 'quote', actions: ['create'] }] },
      },
    })
    const { uri, access_token: token } = json.continue
    isRefusal(
      await auth.send({ client, url: uri, token: token.value, body: { interact_ref: 'x' } }),
      ...notFound,
    )
  })
  test('bring nothing to whom the grant does not belong', async () => {
    const { grant, reference } = await consents.consent()
    const other = await consents.consent()
    const body = { interact_ref: reference }
    for (const stolen of [
      { ...grant, client: other.grant.client },
      { ...grant, token: other.grant.token },
      { ...other.grant, uri: grant.uri },
    ])
      assert.ok([400, 401].includes((await consents.proceed(stolen, body)).status))
    isRefusal(await consents.proceed(other.grant, body), ...notFound)
    assert.ok((await consents.proceed(grant, body)).json.access_token)
  })
})

describe('cancelling', () => {
  test('ends the token and all that could come, at any time', async () => {
    const { grant, browser, reference } = await consents.consent()
    const issued = await consents.proceed(grant, { interact_ref: reference })
    assert.equal((await consents.proceed(grant, undefined, 'DELETE')).status, 204)
    assert.equal(await consents.isActive(issued.json.access_token.value), false)
    isRefusal(
      await consents.proceed(grant, undefined, 'DELETE'),
      401,
      'invalid_continuation',
      'invalid grant',
    )
    isRefusal(
      await consents.proceed(grant, { interact_ref: reference }),
      401,
      'invalid_continuation',
      'invalid grant',
    )
    assert.equal(
      new URL(String((await consents.finish(grant, browser)).headers.location)).searchParams.get('result'),
      'unknown_interaction',
    )

    const pending = await consents.open()
    const considering = await consents.consider(pending, 'accept')
    assert.equal((await consents.proceed(pending, undefined, 'DELETE')).status, 204)
    await consents.finish(pending, considering)
    isRefusal(await consents.proceed(pending, {}), 401, 'invalid_continuation', 'invalid grant')
  })
  test('against finish, continuation and rotation at once: no token lives on', async () => {
    for (let round = 0; round < 5; round++) {
      const { grant, browser, reference } = await consents.consent()
      const [, ...continued] = await Promise.all([
        consents.proceed(grant, undefined, 'DELETE'),
        consents.proceed(grant, { interact_ref: reference }),
        consents.finish(grant, browser),
      ])
      const value = continued[0].json?.access_token?.value
      if (value !== undefined) assert.equal(await consents.isActive(value), false)
    }
  })
})
