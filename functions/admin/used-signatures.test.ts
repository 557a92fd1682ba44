import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool } from '../../shared/platform/index.ts'
import { createTestDatabase, testClock } from '../../shared/testing/index.ts'
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
