import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPlaces } from './places.ts'
import { createTenantShares } from './shares.ts'

const placesOf = (waitingMax = 100) => {
  const terms = { concurrency: 4, shares: { own: 1, most: 2, common: 2 } }
  return createPlaces({ ...terms, shares: createTenantShares(terms), waitingMax })
}
/** What was given, in order. */
const taker = (places: ReturnType<typeof placesOf>) => {
  const given: string[] = []
  const take = (tenant: string) =>
    places.take(tenant).then((hasPlace) => given.push(hasPlace ? tenant : `not ${tenant}`))
  return { given, take, settle: () => new Promise(setImmediate) }
}

test('who has no place holds up nobody who has one, and gets the next of its own', async () => {
  const places = placesOf()
  const { given, take, settle } = taker(places)
  for (const tenant of ['a', 'a', 'a', 'a', 'b', 'b']) void take(tenant)
  await settle()
  assert.deepEqual(given, ['a', 'a', 'b', 'b'])
  assert.equal(places.free(), 0)
  // It waits behind those of a.
  void take('c')
  await settle()
  places.giveBack('b', { ms: 1 })
  await settle()
  assert.deepEqual(given, ['a', 'a', 'b', 'b', 'c'])
  places.giveBack('a', { ms: 1 })
  await settle()
  assert.deepEqual(given, ['a', 'a', 'b', 'b', 'c', 'a'])
})

test('of those that wait each tenant gets one after the other', async () => {
  const terms = { concurrency: 2, shares: { own: 0, most: 2, common: 2 } }
  const places = createPlaces({ ...terms, shares: createTenantShares(terms), waitingMax: 100 })
  const { given, take, settle } = taker(places)
  for (const tenant of ['a', 'a', 'a', 'a', 'b', 'b']) void take(tenant)
  await settle()
  places.giveBack('a', { ms: 1 })
  places.giveBack('a', { ms: 1 })
  await settle()
  assert.deepEqual(given.slice(0, 2), ['a', 'a'])
  assert.ok(given.slice(2).includes('b'))
})

test('beyond so many that wait, and after closing, nobody waits', async () => {
  const places = placesOf(1)
  const { given, take, settle } = taker(places)
  for (const tenant of ['a', 'a', 'a', 'a']) void take(tenant)
  await settle()
  assert.deepEqual(given, ['a', 'a', 'not a'])
  places.close()
  void take('b')
  await settle()
  assert.deepEqual(given.slice(3).sort(), ['not a', 'not b'])
  assert.equal(places.free(), 0)
})
