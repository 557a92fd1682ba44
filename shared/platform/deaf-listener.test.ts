import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { createDeafListener } from './deaf-listener.ts'
import { silentLogger } from './silent-log.ts'

test('everybody is told that all may have been missed, once a second at most, and is waited for', async () => {
  let nowMs = 0
  const listener = createDeafListener({ log: silentLogger, isTimed: false, now: () => nowMs })
  const heard: unknown[] = []
  listener.listen('a', async (payload) => {
    await new Promise(setImmediate)
    heard.push(['a', payload])
  })
  listener.listen('b', () => {
    throw new Error('not now')
  })
  listener.listen('c', (payload) => heard.push(['c', payload]))
  await listener.catchUp()
  assert.deepEqual(heard, [], 'what was opened a moment ago has missed nothing')
  nowMs = 1_000
  await Promise.all([listener.catchUp(), listener.catchUp()])
  assert.deepEqual(heard, [
    ['c', undefined],
    ['a', undefined],
  ])
  nowMs = 1_999
  await listener.catchUp()
  assert.equal(heard.length, 2)
  nowMs = 2_000
  await listener.catchUp()
  assert.equal(heard.length, 4)
  await listener.close()
})

test('where time passes a timer tells them', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  try {
    let nowMs = 0
    const listener = createDeafListener({ log: silentLogger, isTimed: true, now: () => nowMs })
    let heard = 0
    listener.listen('a', () => heard++)
    for (nowMs = 1_000; nowMs <= 3_000; nowMs += 1_000) {
      mock.timers.tick(1_000)
      await listener.catchUp()
    }
    assert.equal(heard, 3)
    await listener.close()
    nowMs = 9_000
    mock.timers.tick(5_000)
    assert.equal(heard, 3)
  } finally {
    mock.timers.reset()
  }
})

test('of a sandbox that stood still only the clock on the wall knows for how long, also one that was set back', async () => {
  mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  const monotonic = mock.method(performance, 'now', () => 5)
  try {
    const listener = createDeafListener({ log: silentLogger, isTimed: false })
    let heard = 0
    listener.listen('a', () => heard++)
    mock.timers.setTime(1_060_000)
    await listener.catchUp()
    assert.equal(heard, 1)
    mock.timers.setTime(1_000_000)
    await listener.catchUp()
    assert.equal(heard, 2)
    await listener.close()
  } finally {
    monotonic.mock.restore()
    mock.timers.reset()
  }
})

test('a timer that comes a moment early is no reason to wait for the next', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  try {
    let nowMs = 0
    const listener = createDeafListener({ log: silentLogger, isTimed: true, now: () => nowMs })
    let heard = 0
    listener.listen('a', () => heard++)
    for (let tick = 1; tick <= 3; tick++) {
      nowMs += 999.6
      mock.timers.tick(1_000)
      await new Promise(setImmediate)
    }
    assert.equal(heard, 3)
    await listener.close()
  } finally {
    mock.timers.reset()
  }
})
