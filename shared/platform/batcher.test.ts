import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../testing/index.ts'
import { createBatcher } from './batcher.ts'
import { Fault } from './errors.ts'
import { createTurnstile, type Turnstile } from './turnstile.ts'

/** Batches that end when told. */
function held(
  options: {
    sizeMax?: number
    turnstile?: Turnstile
    patienceMs?: number
    batchesMax?: number
    waitingMax?: number
  } = {},
) {
  const batches: { items: readonly string[]; end(error?: Error): void }[] = []
  const batcher = createBatcher<string, string>({
    sizeMax: 10,
    patienceMs: 60_000,
    ...options,
    ask: (items) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(items.map((item) => `${item}!`)))
        batches.push({ items, end })
      }),
  })
  const sizes = () => batches.map(({ items }) => items.length)
  /** Until so many batches have been sent; not one more. */
  const sent = async (expected: readonly number[]) => {
    await waitFor(async () => batches.length >= expected.length)
    assert.deepEqual(sizes(), expected)
  }
  return { batcher, batches, sizes, sent }
}

test('what is asked in one turn goes together, and when idle nobody waits for company', async () => {
  const { batcher, batches, sent } = held()
  const [a, b] = [batcher.submit('a'), batcher.submit('b')]
  await sent([2])
  batches[0]?.end()
  assert.deepEqual(await Promise.all([a, b]), ['a!', 'b!'])
  const c = batcher.submit('c')
  await sent([2, 1])
  batches[1]?.end()
  assert.equal(await c, 'c!')
})

test('what comes while a batch is in flight goes with the next, at most sizeMax at a time', async () => {
  const { batcher, batches, sizes, sent } = held({ sizeMax: 2 })
  const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map((item) => batcher.submit(item)))
  await sent([2])
  await sleep(10)
  assert.deepEqual(sizes(), [2], 'while it is under way nothing else is')
  for (const [index, expected] of [[2], [2, 2], [2, 2, 1]].entries()) {
    await sent(expected)
    batches[index]?.end()
  }
  assert.deepEqual(await all, ['a!', 'b!', 'c!', 'd!', 'e!'])
})

test('a batch that waits for its turn takes along whoever comes meanwhile, as many as it may have', async () => {
  const turnstile = createTurnstile({ patienceMs: 60_000, waitMsMax: 60_000 })
  const { batcher, batches, sizes, sent } = held({ sizeMax: 3, turnstile })
  const other = Promise.withResolvers<void>()
  const inFront = turnstile.pass({ size: () => 1, go: () => other.promise })
  await sleep(5)
  const all = ['a', 'b', 'c', 'd'].map((item) => batcher.submit(item))
  await sleep(5)
  assert.deepEqual(sizes(), [], 'another is on its way')
  let sizeOfOther = 0
  const behind = turnstile.pass({
    size: () => 3,
    go: async () => {
      sizeOfOther = batches.length
    },
  })
  other.resolve()
  await inFront
  await sent([3])
  batches[0]?.end()
  await behind
  assert.equal(sizeOfOther, 1, 'four wait, but three go, and another three came later')
  await sent([3, 1])
  batches[1]?.end()
  assert.deepEqual(await Promise.all(all), ['a!', 'b!', 'c!', 'd!'])
})

test('an item that fails gives its turn back, and so does a batch that fails', async () => {
  const turnstile = createTurnstile({ patienceMs: 60_000, waitMsMax: 60_000 })
  const { batcher, batches, sent } = held({ turnstile })
  for (const error of [new Fault('away', { retryable: true }), new TypeError('bad item')]) {
    const before = batches.length
    const refused = assert.rejects(batcher.submit('a'), error)
    await waitFor(() => batches.length > before)
    batches.at(-1)?.end(error)
    await refused
  }
  const next = batcher.submit('b')
  await sent([1, 1, 1])
  batches[2]?.end()
  assert.equal(await next, 'b!')
})

test('a batch past its patience holds up nobody, but only so many run at once', async () => {
  const { batcher, batches, sizes, sent } = held({ patienceMs: 5, batchesMax: 2 })
  const a = batcher.submit('a')
  await sent([1])
  const b = batcher.submit('b')
  await sent([1, 1])
  const c = batcher.submit('c')
  await sleep(20)
  assert.deepEqual(sizes(), [1, 1], 'two run')
  batches[1]?.end()
  assert.equal(await b, 'b!')
  await sent([1, 1, 1])
  batches[2]?.end()
  batches[0]?.end()
  assert.deepEqual(await Promise.all([a, c]), ['a!', 'c!'])
})

test('a dependency that is away fails everybody who waited for it, and nobody later', async () => {
  const { batcher, batches, sent } = held()
  const outcomes = Promise.allSettled([batcher.submit('a'), batcher.submit('b')])
  await sent([2])
  const away = new Fault('away', { retryable: true })
  batches[0]?.end(away)
  for (const outcome of await outcomes) assert.equal((outcome as PromiseRejectedResult).reason, away)
  const later = batcher.submit('c')
  await sent([2, 1])
  batches[1]?.end()
  assert.equal(await later, 'c!')
})

test('an error that may be one item’s is asked about item by item', async () => {
  const asked: (readonly string[])[] = []
  const batcher = createBatcher<string, string>({
    sizeMax: 10,
    ask: async (items) => {
      asked.push(items)
      if (items.includes('bad')) throw new TypeError('bad item')
      return items
    },
  })
  const outcomes = await Promise.allSettled(['a', 'bad', 'c'].map((item) => batcher.submit(item)))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(asked, [['a', 'bad', 'c'], ['a'], ['bad'], ['c']])
})

test('an answer of the wrong length is nobody’s answer', async () => {
  const batcher = createBatcher<string, string>({
    sizeMax: 10,
    ask: async (items) => (items.length > 1 ? items.slice(1) : items),
  })
  assert.deepEqual(await Promise.all(['a', 'b'].map((item) => batcher.submit(item))), ['a', 'b'])
})

test('more than may wait is refused, and what was taken is answered', async () => {
  const { batcher, batches, sent } = held({ waitingMax: 2 })
  const taken = [batcher.submit('a'), batcher.submit('b')]
  await assert.rejects(
    batcher.submit('c'),
    (error) => error instanceof Fault && error.retryable && error.code === 'overloaded',
  )
  await sent([2])
  batches[0]?.end()
  assert.deepEqual(await Promise.all(taken), ['a!', 'b!'])
})
