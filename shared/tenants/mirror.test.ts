import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuthServiceClient, MirroredTenant } from '../auth-service-client/index.ts'
import {
  createCache,
  createDb,
  createListener,
  createSecretBox,
  type DbPool,
  deriveId,
  Fault,
  type Listener,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../platform/index.ts'
import { type Consumer, consumeJobs } from '../queue/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { TenantRefusal } from './errors.ts'
import { createMirroredTenant, mirrorTenant, untilMirrored } from './mirror.ts'
import { forgetChangedTenants } from './notice.ts'
import { listTenantSettings } from './settings.ts'
import { deleteTenant, ensureOperatorTenant, findTenant, listTenants, updateTenant } from './tenants.ts'

const operatorTenantId = deriveId('operator')
const settings = { operatorTenantId, ilpAddress: 'test.node', adminApiSecret: 'the operator' }

type Row = Omit<MirroredTenant, 'id'> & { deletedAt?: Date }
type Manner = 'well' | 'down' | 'answers lost' | 'hangs'

/** An authorization server that keeps what it is told, and can be away in several manners. */
function createAuth() {
  const rows = new Map<string, Row>()
  const calls: string[] = []
  const state: { manner: Manner; slowMs: number } = { manner: 'well', slowMs: 0 }
  const away = () => new Fault('connection_failed', { retryable: true })
  const call = async (name: string, act: () => boolean): Promise<boolean> => {
    if (state.manner === 'down') throw away()
    await delay(Math.random() * state.slowMs)
    calls.push(name)
    const answer = act()
    while (state.manner === 'hangs') await delay(5)
    if (state.manner === 'answers lost') throw away()
    return answer
  }
  const isThere = (id: string) => rows.has(id) && !rows.get(id)?.deletedAt
  const client: AuthServiceClient = {
    putTenant: ({ id, ...row }) =>
      call('put', () => {
        if (rows.get(id)?.deletedAt) return false
        rows.set(id, row)
        return true
      }),
    patchTenant: (id, change) =>
      call('patch', () => {
        const row = rows.get(id)
        if (!row || row.deletedAt) return false
        rows.set(id, { ...row, ...change })
        return true
      }),
    deleteTenant: (id, deletedAt) =>
      call('delete', () => {
        const row = rows.get(id)
        if (!row || row.deletedAt) return false
        rows.set(id, { ...row, deletedAt })
        return true
      }),
    forgetTenant: (id) => call('forget', () => isThere(id) && rows.delete(id)),
  }
  return { rows, calls, state, client, isThere }
}

describe('a tenant is in both places, or in neither', () => {
  let database: TestDatabase
  let db: DbPool
  let listener: Listener
  let auth: ReturnType<typeof createAuth>
  let consumer: Consumer
  const contextOn = () => ({
    db,
    clock: systemClock,
    settings,
    secretBox: createSecretBox('node secret'),
    cache: createCache({ clock: systemClock, lifeMs: 60_000 }),
  })
  const ctx = contextOn
  const work = () =>
    consumeJobs(
      { db, listener, clock: systemClock, log: silentLogger },
      {
        queue: 'tenant-mirror',
        handler: (job) => mirrorTenant({ ...ctx(), auth: auth.client }, job),
        concurrency: 8,
        idleMs: 200,
        leaseSeconds: 5,
      },
    )
  const refusal = (code: string) => (error: unknown) => error instanceof TenantRefusal && error.code === code
  const unavailable = (error: unknown) => error instanceof Fault && error.code === 'auth_unavailable'
  const soon = { openingMsMax: 150 }
  const rowsOf = (id: string) =>
    db.execute(
      sql`select id::text from tenants where id = ${id} union all select key from tenant_settings where tenant_id = ${id}`,
    )
  const settled = (id: string) => untilMirrored({ db }, id, { mirroringMsMax: 5_000 })

  before(async () => {
    database = await createTestDatabase('resources')
    db = createDb({ connectionString: database.connectionString })
    listener = createListener({ connectionString: database.connectionString, log: silentLogger })
    await ensureOperatorTenant(ctx(), { id: operatorTenantId, apiSecret: settings.adminApiSecret })
  })
  after(async () => {
    await listener.close()
    await db.close()
    await database.drop()
  })
  beforeEach(() => {
    auth = createAuth()
    consumer = work()
  })
  afterEach(async () => {
    auth.state.manner = 'well'
    await consumer.close()
    await db.execute(sql`delete from jobs`)
  })

  it('is created in both, with what the authorization server needs', async () => {
    const tenant = await createMirroredTenant(ctx(), {
      apiSecret: 's',
      idpConsentUrl: 'https://idp.example/',
      idpSecret: 'idp',
    })
    assert.deepEqual(auth.rows.get(tenant.id), {
      apiSecret: 's',
      previousApiSecret: null,
      idpConsentUrl: 'https://idp.example/',
      idpSecret: 'idp',
    })
    assert.equal((await findTenant(ctx(), tenant.id))?.apiSecret, 's')
    assert.deepEqual(auth.calls, ['put'])
  })

  it('is nobody’s while the authorization server has not answered', async () => {
    auth.state.manner = 'hangs'
    const id = uuidv7()
    const creation = createMirroredTenant(ctx(), { id, apiSecret: 's' })
    await waitFor(async () => auth.isThere(id))
    assert.equal(await findTenant(ctx(), id), undefined)
    assert.ok(!(await listTenants(ctx(), { first: 100 })).items.some((tenant) => tenant.id === id))
    await assert.rejects(updateTenant(ctx(), id, { apiSecret: 'x' }), refusal('unknown_tenant'))
    await assert.rejects(deleteTenant(ctx(), id), refusal('unknown_tenant'))
    await assert.rejects(createMirroredTenant(ctx(), { id, apiSecret: 't' }), refusal('duplicate_tenant'))
    auth.state.manner = 'well'
    assert.equal((await creation).apiSecret, 's')
    assert.equal((await findTenant(ctx(), id))?.apiSecret, 's')
  })

  for (const [manner, name] of [
    ['down', 'leaves nothing when the authorization server is down, and can be created again'],
    ['answers lost', 'leaves nothing when what was heard is not known, and can be created again'],
    ['hangs', 'leaves nothing when the authorization server hangs, and can be created again'],
  ] as const)
    it(name, async () => {
      auth.state.manner = manner
      const id = uuidv7()
      await assert.rejects(createMirroredTenant(ctx(), { id, apiSecret: 's' }, soon), unavailable)
      assert.equal(await rowsOf(id), 0)
      auth.state.manner = 'well'
      assert.ok(await settled(id))
      assert.ok(!auth.rows.has(id), 'taken back there too')
      const tenant = await createMirroredTenant(ctx(), { id, apiSecret: 'again' })
      assert.deepEqual([tenant.apiSecret, auth.rows.get(id)?.apiSecret], ['again', 'again'])
    })

  it('is created again at once, while what was begun before is still being taken back', async () => {
    auth.state.manner = 'answers lost'
    const id = uuidv7()
    await assert.rejects(createMirroredTenant(ctx(), { id, apiSecret: 'first' }, soon), unavailable)
    const creation = createMirroredTenant(ctx(), { id, apiSecret: 'second' })
    await delay(50)
    auth.state.manner = 'well'
    await creation
    assert.ok(await settled(id))
    assert.equal(auth.rows.get(id)?.apiSecret, 'second')
  })

  it('is opened by another worker when its creator and the first worker die', async () => {
    await consumer.close()
    const id = uuidv7()
    const abandoned = createMirroredTenant(ctx(), { id, apiSecret: 's' }, { openingMsMax: 5_000 })
    await waitFor(async () => (await rowsOf(id)) > 0)
    // The first worker told the authorization server, and died before it wrote that down.
    await auth.client.putTenant(
      { id, apiSecret: 's', previousApiSecret: null, idpConsentUrl: null, idpSecret: null },
      new Date(),
    )
    assert.equal(await findTenant(ctx(), id), undefined)
    consumer = work()
    await waitFor(() => findTenant(ctx(), id))
    await abandoned
    assert.ok(auth.isThere(id))
  })

  it('is worked on by who waits for it where nobody else does, for as long as it waits', async () => {
    await consumer.close()
    const asked: number[] = []
    const workOnMirror = async (withinMs: number) => asked.push(withinMs)
    const creation = createMirroredTenant({ ...ctx(), workOnMirror }, { apiSecret: 's' }, soon)
    await assert.rejects(creation, unavailable)
    assert.deepEqual(asked, [soon.openingMsMax])
  })

  it('is refused for an id that was deleted there, and leaves nothing', async () => {
    const id = uuidv7()
    auth.rows.set(id, {
      apiSecret: 'old',
      previousApiSecret: null,
      idpConsentUrl: null,
      idpSecret: null,
      deletedAt: new Date(),
    })
    await assert.rejects(createMirroredTenant(ctx(), { id, apiSecret: 's' }), refusal('duplicate_tenant'))
    assert.equal(await rowsOf(id), 0)
  })

  it('is not begun with a bad setting, a bad URL, no secret or the operator’s', async () => {
    const id = uuidv7()
    for (const [bad, code] of [
      [{ settings: [{ key: 'WEBHOOK_TIMEOUT', value: '0' }] }, 'invalid_setting'],
      [{ idpConsentUrl: 'nowhere' }, 'invalid_tenant'],
      [{ idpConsentUrl: 'javascript:alert(1)' }, 'invalid_tenant'],
      [{ apiSecret: '' }, 'invalid_tenant'],
      [{ apiSecret: settings.adminApiSecret }, 'invalid_tenant'],
    ] as const)
      await assert.rejects(
        createMirroredTenant(ctx(), { id, apiSecret: 's', ...bad } as Parameters<
          typeof createMirroredTenant
        >[1]),
        refusal(code),
      )
    assert.equal(await rowsOf(id), 0)
    assert.deepEqual(auth.calls, [])
  })

  it('exists once when many create it at the same time', async () => {
    auth.state.slowMs = 20
    const id = uuidv7()
    const tries = Array.from({ length: 10 }, (_, index) =>
      createMirroredTenant(ctx(), { id, apiSecret: `secret ${index}` }),
    )
    const ended = await Promise.allSettled(tries)
    const won = ended.filter((one) => one.status === 'fulfilled')
    const lost = ended.filter((one) => one.status === 'rejected')
    assert.deepEqual([won.length, lost.length], [1, 9])
    assert.ok(lost.every(({ reason }) => refusal('duplicate_tenant')(reason)))
    assert.equal(auth.rows.get(id)?.apiSecret, won[0]?.value.apiSecret)
  })

  it('follows each change, and what is cleared is cleared there', async () => {
    const { id } = await createMirroredTenant(ctx(), {
      apiSecret: 's',
      idpConsentUrl: 'https://idp.example/',
      idpSecret: 'idp',
    })
    await updateTenant(ctx(), id, { idpConsentUrl: null, apiSecret: 't' })
    assert.ok(await settled(id))
    assert.deepEqual(auth.rows.get(id), {
      apiSecret: 't',
      previousApiSecret: null,
      idpConsentUrl: null,
      idpSecret: 'idp',
    })
    await updateTenant(ctx(), id, { idpSecret: null })
    assert.ok(await settled(id))
    assert.equal(auth.rows.get(id)?.idpSecret, null)
    const calls = auth.calls.length
    const changed = await updateTenant(ctx(), id, { email: 'a@b.example', publicName: 'Bank' })
    assert.deepEqual([changed.email, changed.publicName], ['a@b.example', 'Bank'])
    const cleared = await updateTenant(ctx(), id, { email: null })
    assert.deepEqual([cleared.email, cleared.publicName], [undefined, 'Bank'])
    assert.ok(await settled(id))
    assert.equal(auth.calls.length, calls, 'names are not its business')
  })

  it('catches up with changes made while the authorization server was down', async () => {
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 's' })
    auth.state.manner = 'down'
    await updateTenant(ctx(), id, { apiSecret: 't' })
    await updateTenant(ctx(), id, { idpSecret: 'idp' })
    assert.equal(await untilMirrored({ db }, id, { mirroringMsMax: 100 }), false)
    assert.equal(auth.rows.get(id)?.apiSecret, 's')
    auth.state.manner = 'well'
    assert.ok(await settled(id))
    assert.deepEqual([auth.rows.get(id)?.apiSecret, auth.rows.get(id)?.idpSecret], ['t', 'idp'])
  })

  it('ends with the last of changes that come together, over a slow authorization server', async () => {
    auth.state.slowMs = 15
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 's' })
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        await delay(Math.random() * 50)
        await updateTenant(ctx(), id, { apiSecret: `secret ${index}` })
      }),
    )
    assert.ok(await settled(id))
    assert.equal(auth.rows.get(id)?.apiSecret, (await findTenant(ctx(), id))?.apiSecret)
  })

  it('is deleted in both, whatever is changed at the same time', async () => {
    auth.state.slowMs = 10
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 's' })
    const changes = Array.from({ length: 10 }, (_, index) =>
      updateTenant(ctx(), id, { apiSecret: `secret ${index}` }),
    )
    const deletions = Array.from({ length: 3 }, () => deleteTenant(ctx(), id))
    const ended = await Promise.allSettled([...changes, ...deletions])
    for (const one of ended)
      if (one.status === 'rejected') assert.ok(refusal('unknown_tenant')(one.reason), String(one.reason))
    assert.equal(ended.slice(10).filter(({ status }) => status === 'fulfilled').length, 1)
    assert.ok(await settled(id))
    assert.ok(auth.rows.get(id)?.deletedAt)
    assert.equal(await findTenant(ctx(), id), undefined)
    assert.deepEqual(await listTenantSettings(ctx(), id), [])
  })

  it('the operator follows only in what was written here: its row there begins with that server’s environment', async () => {
    const there = {
      apiSecret: 'the operator',
      previousApiSecret: null,
      idpConsentUrl: 'https://env.example/',
      idpSecret: 'env',
    }
    auth.rows.set(operatorTenantId, there)
    await updateTenant(ctx(), operatorTenantId, { idpSecret: 'new' })
    assert.ok(await settled(operatorTenantId))
    assert.deepEqual(auth.rows.get(operatorTenantId), { ...there, idpSecret: 'new' })
    await updateTenant(ctx(), operatorTenantId, { idpConsentUrl: null })
    assert.ok(await settled(operatorTenantId))
    assert.deepEqual(auth.rows.get(operatorTenantId), { ...there, idpSecret: 'new', idpConsentUrl: null })
    await assert.rejects(
      updateTenant(ctx(), operatorTenantId, { apiSecret: 'x' }),
      refusal('operator_tenant'),
    )
    await assert.rejects(deleteTenant(ctx(), operatorTenantId), refusal('operator_tenant'))
  })

  it('a secret that stays good for a while does so there too, and no longer', async () => {
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 'first' })
    await updateTenant(ctx(), id, { apiSecret: 'second', apiSecretOverlapSeconds: 60 })
    assert.ok(await settled(id))
    const { until } = (await findTenant(ctx(), id))?.previousApiSecret ?? {}
    assert.ok(until)
    const previousApiSecret = { secret: 'first', until: until.toISOString() }
    assert.deepEqual(auth.rows.get(id)?.previousApiSecret, previousApiSecret)
    await updateTenant(ctx(), id, { idpSecret: 'other' })
    assert.ok(await settled(id))
    assert.deepEqual(auth.rows.get(id)?.previousApiSecret, previousApiSecret)
    await updateTenant(ctx(), id, { apiSecret: 'second' })
    assert.ok(await settled(id))
    assert.equal(auth.rows.get(id)?.previousApiSecret, null)
  })

  it('a tenant cannot change its secret to the operator’s', async () => {
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 's' })
    await assert.rejects(
      updateTenant(ctx(), id, { apiSecret: settings.adminApiSecret }),
      refusal('invalid_tenant'),
    )
    assert.equal((await findTenant(ctx(), id))?.apiSecret, 's')
  })

  it('another process forgets a deleted tenant and a rotated secret at once, not when its cache ends', async () => {
    const there = contextOn()
    forgetChangedTenants({ listener, cache: there.cache })
    const { id } = await createMirroredTenant(ctx(), { apiSecret: 's' })
    assert.equal((await findTenant(there, id))?.apiSecret, 's')
    await updateTenant(ctx(), id, { apiSecret: 't' })
    await waitFor(async () => (await findTenant(there, id))?.apiSecret === 't')
    await deleteTenant(ctx(), id)
    await waitFor(async () => (await findTenant(there, id)) === undefined)
  })
})
