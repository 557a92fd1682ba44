import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testClock, waitFor } from './index.ts'

test('a test clock stands still until told', () => {
  const clock = testClock(new Date(1_000))
  assert.equal(clock.nowMs(), 1_000)
  clock.advance(500)
  assert.deepEqual(clock.now(), new Date(1_500))
  assert.deepEqual(clock.fromNow(1), new Date(1_501))
  clock.set(new Date(7))
  assert.equal(clock.nowMs(), 7)
})

test('waiting gives what was found, and fails with the reason when nothing is', async () => {
  let asked = 0
  assert.equal(await waitFor(() => (++asked < 3 ? undefined : 'found')), 'found')
  assert.equal(await waitFor(async () => 0), 0)
  await assert.rejects(
    waitFor(() => false, 20),
    /waited 20 ms/,
  )
  await assert.rejects(
    waitFor(() => {
      throw new Error('not yet')
    }, 20),
    /not yet/,
  )
})
