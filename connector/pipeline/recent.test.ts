import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecent } from './recent.ts'

test('the last so many are remembered, and never more than twice as many', () => {
  const recent = createRecent<number>(100)
  const known = (from: number, to: number) => {
    let count = 0
    for (let key = from; key < to; key++) if (recent.get(String(key)) === key) count++
    return count
  }
  for (let key = 0; key < 1000; key++) {
    recent.set(String(key), key)
    assert.equal(known(Math.max(0, key - 99), key + 1), Math.min(key + 1, 100))
    assert.ok(known(0, key + 1) <= 200)
  }
})

test('what is set again counts as new', () => {
  const recent = createRecent<string>(2)
  recent.set('a', 'first')
  recent.set('b', 'x')
  recent.set('a', 'second')
  recent.set('c', 'x')
  assert.equal(recent.get('a'), 'second')
})
