import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool, signHmac, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, testClock } from '../../shared/testing/index.ts'
import { startTestAdmin, type TestAdmin } from './harness.ts'
import { createSignatureClaims, sweepSignatures } from './used-signatures.ts'

describe('used signatures', () => {
  let db: DbPool
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  before(async () => {
    database = await createTestDatabase('resources')
    db = createDb({ connectionString: database.connectionString, poolSizeMax: 20 })
  })
  after(async () => {
    await db.close()
    await database.drop()
  })

  it('exactly one of 100 parallel replays is let through, in one process', async () => {
    const claim = createSignatureClaims({ db })
    const signature = { digest: randomBytes(32), expiresAt: new Date() }
    const claims = await Promise.all(Array.from({ length: 100 }, () => claim(signature)))
    assert.equal(claims.filter(Boolean).length, 1)
  })

  it('exactly one of each is let through, when many processes are sent the same ones in different orders', async () => {
    const expiresAt = new Date()
    const signatures = Array.from({ length: 50 }, () => ({ digest: randomBytes(32), expiresAt }))
    const claims = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const own = createDb({ connectionString: database.connectionString, poolSizeMax: 2 })
        const claim = createSignatureClaims({ db: own })
        const turned = [...signatures.slice(index * 6), ...signatures.slice(0, index * 6)]
        const sent = await Promise.all(
          turned.map(async (signature) => ({ signature, isFirst: await claim(signature) })),
        )
        await own.close()
        return sent.filter(({ isFirst }) => isFirst).map(({ signature }) => signature)
      }),
    )
    assert.equal(claims.flat().length, signatures.length)
    assert.equal(new Set(claims.flat()).size, signatures.length)
  })

  it('are forgotten once they are stale, and not before', async () => {
    const now = new Date()
    const clock = testClock(now)
    const signature = { digest: randomBytes(32), expiresAt: now }
    const claim = createSignatureClaims({ db })
    assert.equal(await claim(signature), true)
    await sweepSignatures({ db, clock })
    assert.equal(await claim(signature), false)
    clock.advance(1)
    await sweepSignatures({ db, clock })
    assert.equal(await claim(signature), true)
  })
})

describe('replays of mutations with an idempotency key', () => {
  let admin: TestAdmin
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
  })
  after(() => admin.close())

  /** The same request, signature and all, as often as it is asked for. */
  const signed = (query: string, timestampMs: number) => {
    const { tenantId, apiSecret } = admin.operator
    const body = { query }
    const headers = {
      'content-type': 'application/json',
      'tenant-id': tenantId,
      signature: signHmac({ secret: apiSecret, version: 1, timestampMs, body }),
    }
    return async () => {
      const response = await fetch(admin.url, { method: 'POST', headers, body: JSON.stringify(body) })
      return { status: response.status, text: await response.text() }
    }
  }
  const asset = (code: string, key: string) =>
    `createAsset(input: { code: "${code}", scale: 2, idempotencyKey: "${key}" }) { asset { id } }`
  const countOf = (table: 'assets' | 'idempotency_keys') =>
    table === 'assets'
      ? admin.node.db.execute(sql`select from assets`)
      : admin.node.db.execute(sql`select from idempotency_keys`)

  it('change nothing at all, not even keys, whether the first was carried out, refused or is forgotten', async () => {
    const made = signed(`mutation { ${asset('USD', 'made')} }`, Date.now())
    const answers = await Promise.all(Array.from({ length: 20 }, made))
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [200, ...Array.from({ length: 19 }, () => 401)],
    )
    const refused = signed(`mutation { ${asset('USD', 'refused')} }`, Date.now() + 1)
    assert.match((await refused()).text, /DUPLICATE/)
    const both = signed(
      `mutation { a: ${asset('EUR', 'one of two')} b: ${asset('GBP', 'other of two')} }`,
      Date.now() + 2,
    )
    assert.equal((await both()).status, 200)
    assert.deepEqual([await countOf('assets'), await countOf('idempotency_keys')], [3, 3])
    await admin.node.db.execute(sql`delete from idempotency_keys`)
    await admin.node.db.execute(sql`delete from assets where code = 'GBP'`)
    for (const replay of [made, refused, both])
      assert.deepEqual(await replay(), { status: 401, text: 'Unauthorized' })
    assert.deepEqual([await countOf('assets'), await countOf('idempotency_keys')], [2, 0])
  })
})
