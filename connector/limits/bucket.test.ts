import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testClock } from '../../shared/testing/index.ts'
import { createOwnLimits } from './bucket.ts'

const limit = { capacity: 60, periodMs: 60_000 }

test('a bucket refills evenly, up to one period’s worth; what is given back counts again', () => {
  const clock = testClock()
  const limits = createOwnLimits(clock)
  const accepted = (count: number) => {
    let passed = 0
    for (let index = 0; index < count; index++) if (limits.take('a', limit, 1)) passed++
    return passed
  }
  assert.equal(accepted(100), 60)
  clock.advance(999)
  assert.equal(accepted(2), 0)
  clock.advance(1)
  assert.equal(accepted(2), 1)
  clock.advance(3_600_000)
  assert.equal(accepted(100), 60)
  // A clock that steps back gives nothing and takes nothing.
  clock.advance(-10_000)
  assert.equal(accepted(1), 0)
  assert.ok(limits.take('another', limit, 60))
})

test('quantities: all or nothing, and never more than there is room for', async () => {
  const clock = testClock()
  const limits = createOwnLimits(clock)
  const taken = await limits.take('a', limit, 50)
  assert.equal(limits.take('a', limit, 11), undefined)
  taken?.giveBack()
  taken?.giveBack()
  assert.ok(limits.take('a', limit, 60))
  assert.equal(limits.take('a', limit, 1), undefined)
  // A limit that was changed holds at once.
  clock.advance(60_000)
  assert.equal(limits.take('a', { ...limit, capacity: 5 }, 6), undefined)
  assert.ok(limits.take('a', { ...limit, capacity: 5 }, 5))
  await limits.close()
})
