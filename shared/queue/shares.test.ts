import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTenantShares, type OtherSide, type Shares } from './shares.ts'

const limits = { own: 4, most: 16, common: 20, promptMs: 1_000 }
const sharesOf = (shares: Shares = limits) => createTenantShares({ concurrency: 1_000, shares })
const placesOf = (shares: ReturnType<typeof sharesOf>, tenantId: string) => {
  const { tenants, idle } = shares.free()
  return (tenants.get(tenantId) ?? idle).places
}
const run = (
  shares: ReturnType<typeof sharesOf>,
  otherSide: OtherSide | undefined,
  { ms = 10, count = 1 } = {},
) => {
  for (let index = 0; index < count; index++) {
    shares.start('a')
    shares.end('a', { otherSide, ms })
  }
}
/** Something of the tenant's is always in flight, so that it is not forgotten. */
const busy = () => {
  const shares = sharesOf()
  shares.start('a')
  return shares
}

test('without shares, whoever comes first has all places', () => {
  const shares = createTenantShares({ concurrency: 3 })
  shares.start('a')
  assert.deepEqual(shares.free().idle, { own: 0, places: 3 })
  assert.deepEqual(shares.free().tenants.get('a'), { own: 0, places: 2 })
  assert.equal(shares.free().common, 2)
})

test('a tenant begins with its own places and earns more by prompt answers, up to the most', () => {
  const shares = busy()
  assert.equal(placesOf(shares, 'a'), 3)
  run(shares, 'answered')
  assert.equal(placesOf(shares, 'a'), 4)
  run(shares, 'answered', { count: 100 })
  assert.equal(placesOf(shares, 'a'), 15)
  run(shares, undefined, { count: 100, ms: 60_000 })
  assert.equal(placesOf(shares, 'a'), 15, 'what says nothing changes nothing')
})

test('slow answers take back what prompt ones earned, and nothing below the own places', () => {
  const shares = busy()
  run(shares, 'answered', { count: 3 })
  run(shares, 'answered', { ms: 1_001 })
  assert.equal(placesOf(shares, 'a'), 5)
  run(shares, 'answered', { ms: 1_001, count: 100 })
  assert.equal(placesOf(shares, 'a'), 3)
})

test('silence halves the share, down to one, and is remembered until somebody answers', () => {
  const shares = busy()
  run(shares, 'answered', { count: 100 })
  run(shares, 'silent')
  assert.equal(placesOf(shares, 'a'), 7)
  run(shares, 'silent', { count: 100 })
  assert.equal(placesOf(shares, 'a'), 0)
  shares.end('a', { otherSide: 'silent', ms: 2_000 })
  assert.equal(placesOf(shares, 'a'), 1, 'also while nothing is in flight')
  run(shares, 'answered', { ms: 5_000 })
  assert.equal(placesOf(shares, 'a'), 2)
  run(shares, 'answered', { count: 2 })
  assert.equal(shares.free().tenants.size, 0, 'and then forgotten')
})

test('whatever tenants do, own places are free, and what is beyond them never passes the common places', () => {
  const step = fc.record({
    tenant: fc.integer({ min: 0, max: 9 }),
    ends: fc.boolean(),
    otherSide: fc.constantFrom('answered' as const, 'silent' as const, undefined),
    ms: fc.constantFrom(1, 5_000),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const shares = sharesOf()
      const inFlight = new Map<string, number>()
      for (const { tenant, ends, otherSide, ms } of steps) {
        const id = `${tenant}`
        const count = inFlight.get(id) ?? 0
        const { tenants, idle, common } = shares.free()
        const { own, places } = tenants.get(id) ?? idle
        if (ends && count > 0) {
          shares.end(id, { otherSide, ms })
          inFlight.set(id, count - 1)
        } else if (!ends && places > 0 && (own > 0 || common > 0)) {
          shares.start(id)
          inFlight.set(id, count + 1)
        }
        const counts = [...inFlight.values()]
        assert.equal(
          shares.total(),
          counts.reduce((sum, each) => sum + each, 0),
        )
        assert.ok(counts.every((each) => each <= limits.most))
        assert.ok(counts.reduce((sum, each) => sum + Math.max(each - limits.own, 0), 0) <= limits.common)
        // A tenant that has not been silent and has nothing in flight can always start.
        for (const [key, each] of inFlight) assert.ok(each > 0 || placesOf(shares, key) > 0)
        assert.ok(shares.free().idle.own === limits.own)
      }
    }),
  )
})
