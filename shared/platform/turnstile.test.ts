import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../testing/index.ts'
import { createTurnstile, type Turnstile, type TurnstileOptions } from './turnstile.ts'

/** A turnstile through which groups go that end when told. */
function setUp(options: TurnstileOptions = {}) {
  const turnstile = createTurnstile({ patienceMs: 60_000, waitMsMax: 60_000, ...options })
  const gone: string[] = []
  const ends = new Map<string, () => void>()
  const pass = (name: string, size = 1) =>
    turnstile.pass({
      size: () => size,
      go: () =>
        new Promise((resolve) => {
          gone.push(name)
          ends.set(name, resolve)
        }),
    })
  /** Until so many have gone; not one more. */
  const went = async (...expected: string[]) => {
    await waitFor(async () => gone.length >= expected.length)
    await nextTurn()
    assert.deepEqual(gone, expected)
  }
  return { pass, went, end: (name: string) => ends.get(name)?.() }
}

test('a group alone goes at the end of the turn of the event loop, and has passed when it is over', async () => {
  const { pass, went, end } = setUp()
  await went()
  let isOver = false
  const passed = pass('a').then(() => {
    isOver = true
  })
  await went('a')
  assert.equal(isOver, false)
  end('a')
  await passed
  const next = pass('b')
  await went('a', 'b')
  end('b')
  await next
})

test('one goes at a time, the largest first, and of equal ones who came first', async () => {
  const { pass, went, end } = setUp()
  const passed = [pass('first', 3), pass('two', 2), pass('five', 5), pass('another five', 5)]
  await went('five')
  await sleep(5)
  await went('five')
  passed.push(pass('nine', 9))
  end('five')
  await went('five', 'nine')
  end('nine')
  await went('five', 'nine', 'another five')
  end('another five')
  await went('five', 'nine', 'another five', 'first')
  end('first')
  await went('five', 'nine', 'another five', 'first', 'two')
  end('two')
  await Promise.all(passed)
})

test('sizes count as they are when a group could go', async () => {
  const turnstile = createTurnstile()
  const gone: string[] = []
  const sizes = { grows: 1, stays: 2 }
  const pass = (name: keyof typeof sizes) =>
    turnstile.pass({
      size: () => sizes[name],
      go: async () => {
        gone.push(name)
      },
    })
  const passed = [pass('stays'), pass('grows')]
  sizes.grows = 3
  await Promise.all(passed)
  assert.deepEqual(gone, ['grows', 'stays'])
})

test('who has waited for too long goes before larger ones', async () => {
  const { pass, went, end } = setUp({ waitMsMax: 20 })
  const passed = [pass('under way')]
  await went('under way')
  passed.push(pass('small'))
  await sleep(30)
  passed.push(pass('large', 100))
  end('under way')
  await went('under way', 'small')
  end('small')
  await went('under way', 'small', 'large')
  end('large')
  await Promise.all(passed)
})

test('who takes longer than others have patience for holds up nobody, and lets nobody through by ending', async () => {
  const { pass, went, end } = setUp({ patienceMs: 20 })
  const passed = [pass('slow', 9), pass('next', 8)]
  await went('slow')
  await went('slow', 'next')
  passed.push(pass('last'))
  end('slow')
  await nextTurn()
  await went('slow', 'next')
  end('next')
  await went('slow', 'next', 'last')
  end('last')
  await Promise.all(passed)
})

/** Lets many groups of random sizes through, and says how long the smallest waited. */
async function crowd(turnstile: Turnstile): Promise<number> {
  let isOpen = true
  const busy = async () => {
    while (isOpen) await turnstile.pass({ size: () => 100, go: () => sleep(1) })
  }
  const others = Array.from({ length: 4 }, busy)
  await sleep(5)
  const startedAt = performance.now()
  let waitedMs = Number.NaN
  await turnstile.pass({
    size: () => 1,
    go: async () => {
      waitedMs = performance.now() - startedAt
    },
  })
  isOpen = false
  await Promise.all(others)
  return waitedMs
}

test('among larger ones without end a small group waits for as long as is allowed, and not for ever', async () => {
  const waitedMs = await crowd(createTurnstile({ waitMsMax: 50 }))
  assert.ok(waitedMs >= 45, `${waitedMs} ms`)
})
