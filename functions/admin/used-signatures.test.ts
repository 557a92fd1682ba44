import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool } from '../../shared/platform/index.ts'
import { createTestDatabase, testClock } from '../../shared/testing/index.ts'
import { claimSignature, sweepSignatures } from './used-signatures.ts'

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

  it('exactly one of 100 parallel replays is let through', async () => {
    const signature = { digest: randomBytes(32), expiresAt: new Date() }
    const claims = await Promise.all(Array.from({ length: 100 }, () => claimSignature({ db }, signature)))
    assert.equal(claims.filter(Boolean).length, 1)
  })

  it('are forgotten once they are stale, and not before', async () => {
    const now = new Date()
    const clock = testClock(now)
    const signature = { digest: randomBytes(32), expiresAt: now }
    assert.equal(await claimSignature({ db }, signature), true)
    await sweepSignatures({ db, clock })
    assert.equal(await claimSignature({ db }, signature), false)
    clock.advance(1)
    await sweepSignatures({ db, clock })
    assert.equal(await claimSignature({ db }, signature), true)
  })
})
