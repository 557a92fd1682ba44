import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testClock } from '../testing/index.ts'
import { createCache } from './cache.ts'

function counted(clock = testClock(), options: { lifeMs?: number; entriesMax?: number } = {}) {
  const cache = createCache({ clock, lifeMs: 100, ...options })
  let loads = 0
  const get = (key: string, value: unknown = key) =>
    cache.get(key, async () => {
      loads++
      if (value instanceof Error) throw value
      return value
    })
  return { cache, clock, get, loads: () => loads }
}

test('a value is loaded once in its life, then again', async () => {
  const { clock, get, loads } = counted()
  await get('a')
  clock.advance(99)
  await get('a')
  assert.equal(loads(), 1)
  clock.advance(1)
  await get('a')
  assert.equal(loads(), 2)
})

test('callers at the same time share one load, also with no life at all', async () => {
  const { get, loads } = counted(testClock(), { lifeMs: 0 })
  await Promise.all([get('a'), get('a'), get('a')])
  assert.equal(loads(), 1)
  await get('a')
  assert.equal(loads(), 2)
})

test('neither "nothing" nor a failure is kept', async () => {
  const { cache, get, loads } = counted()
  await cache.get('a', async () => undefined)
  assert.equal(await get('a'), 'a')
  await assert.rejects(get('b', new Error('down')), /down/)
  assert.equal(await get('b'), 'b')
  assert.equal(loads(), 3)
})

test('a deleted entry is loaded again, and a load that was under way does not bring it back', async () => {
  const { cache, get } = counted()
  let release = (_value: string) => {}
  const slow = cache.get('a', () => new Promise<string>((resolve) => (release = resolve)))
  cache.delete('a')
  assert.equal(await get('a', 'new'), 'new')
  release('old')
  assert.equal(await slow, 'old')
  assert.equal(await get('a', 'newer'), 'new')
})

test('the oldest entries make room', async () => {
  const { get, loads } = counted(testClock(), { entriesMax: 2 })
  for (const key of ['a', 'b', 'c']) await get(key)
  await get('c')
  await get('b')
  assert.equal(loads(), 3)
  await get('a')
  assert.equal(loads(), 4)
})

test('at hand is what get would give without a load', async () => {
  const { cache, clock, get } = counted()
  assert.equal(cache.atHand('a'), undefined)
  const load = get('a')
  assert.equal(cache.atHand('a'), undefined, 'on its way')
  await load
  assert.equal(cache.atHand('a'), 'a')
  clock.advance(100)
  assert.equal(cache.atHand('a'), undefined, 'too old')
  await get('a', 'b')
  assert.equal(cache.atHand('a'), 'b')
  cache.delete('a')
  assert.equal(cache.atHand('a'), undefined)
})
