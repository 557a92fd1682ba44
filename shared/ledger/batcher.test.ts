import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { type BatcherOptions, createBatcher } from './batcher.ts'

interface Event {
  name: string
  linked?: boolean
}

/** A store whose batches end when told. */
function createStore() {
  const batches: { events: readonly Event[]; end(results?: string[]): void; fail(error: Error): void }[] = []
  const apply = (events: readonly Event[]) =>
    new Promise<string[]>((resolve, reject) => {
      batches.push({
        events,
        end: (results = events.map((event) => event.name)) => resolve(results),
        fail: reject,
      })
    })
  return {
    apply,
    batches,
    names: () => batches.map(({ events }) => events.map((event) => event.name).join('')),
  }
}

function setUp(options: Partial<BatcherOptions<Event, string>> = {}) {
  const store = createStore()
  const batcher = createBatcher<Event, string>({
    apply: store.apply,
    batchSizeMax: 4,
    queueSizeMax: 100,
    waitMsMax: 60_000,
    ...options,
  })
  const submit = (names: string, linkedLast = false) =>
    batcher.submit(
      [...names].map((name, index) => ({ name, linked: linkedLast && index === names.length - 1 })),
    )
  /** The n-th batch, once it is there. */
  const batch = (index: number) => waitFor(() => store.batches[index])
  return { ...store, batch, batcher, submit }
}

/** Long enough for a batch that should not be there to show. */
const moment = () => sleep(10)

test('an idle batcher sends at once; what comes meanwhile goes together, in order', async () => {
  const { submit, batch, names, batcher } = setUp()
  const first = submit('ab')
  const sent = await batch(0)
  assert.deepEqual(names(), ['ab'])
  const others = [submit('c'), submit('de'), submit('f')]
  await moment()
  assert.deepEqual(names(), ['ab'], 'one batch at a time')
  sent.end(['A', 'B'])
  assert.deepEqual(await first, ['A', 'B'])
  const second = await batch(1)
  assert.deepEqual(names(), ['ab', 'cdef'])
  second.end(['C', 'D', 'E', 'F'])
  assert.deepEqual(await Promise.all(others), [['C'], ['D', 'E'], ['F']])
  await batcher.close()
})

test('calls made in one turn share a batch; a call is never split', async () => {
  const { submit, batch, names } = setUp()
  const calls = [submit('abc'), submit('de'), submit('f'), submit('ghij'), submit('')]
  assert.deepEqual(await calls.at(-1), [])
  for (const index of [0, 1, 2]) (await batch(index)).end()
  await Promise.all(calls)
  assert.deepEqual(names(), ['abc', 'def', 'ghij'])
})

test('a call with an open chain travels alone', async () => {
  const { submit, batch, names } = setUp()
  const calls = [submit('a'), submit('b', true), submit('c'), submit('d')]
  for (const index of [0, 1, 2]) (await batch(index)).end()
  await Promise.all(calls)
  assert.deepEqual(names(), ['a', 'b', 'cd'])
})

test('who was answered is waited for, together with who waits, for as long as the batch took', async () => {
  const { submit, batch, names } = setUp({ batchSizeMax: 100, gatherMsMax: 1_000 })
  const first = submit('a')
  const alone = await batch(0)
  const second = submit('bc')
  await sleep(300)
  alone.end()
  await first
  await moment()
  assert.deepEqual(names(), ['a'], 'the second waits for the first to come back')
  const again = submit('d')
  const together = await batch(1)
  assert.deepEqual(names(), ['a', 'bcd'])
  const third = submit('e')
  await sleep(50)
  const startedMs = performance.now()
  together.end()
  await Promise.all([second, again])
  ;(await batch(2)).end()
  const waitedMs = performance.now() - startedMs
  assert.ok(waitedMs > 25, `who does not come back was waited for: ${waitedMs} ms`)
  await third
  assert.deepEqual(names(), ['a', 'bcd', 'e'])
})

test('who comes again before the answer of its batch is seen by the others is not expected twice', async () => {
  const { submit, batch } = setUp({ batchSizeMax: 100, gatherMsMax: 60_000 })
  const again = ['a', 'b'].map((name) => submit(name).then(() => submit(name)))
  const first = await batch(0)
  await sleep(1_000)
  first.end()
  const startedMs = performance.now()
  ;(await batch(1)).end()
  await Promise.all(again)
  assert.ok(performance.now() - startedMs < 500)
})

test('who is alone waits for nobody', async () => {
  const { submit, batch } = setUp({ gatherMsMax: 60_000 })
  const several = submit('abc')
  const slow = await batch(0)
  await sleep(1_000)
  slow.end()
  await several
  const startedMs = performance.now()
  const one = submit('a')
  ;(await batch(1)).end()
  await one
  assert.ok(performance.now() - startedMs < 500)
})

test('calls that are kept apart get batches of their own, in turn with the others', async () => {
  const apart: boolean[] = []
  const store = createStore()
  const batcher = createBatcher<Event, string>({
    apply: (events, isApart) => {
      apart.push(isApart)
      return store.apply(events)
    },
    isApart: (events) => events.some((event) => event.name === 'x'),
    batchSizeMax: 4,
    queueSizeMax: 100,
    waitMsMax: 60_000,
  })
  const calls = ['a', 'x', 'b', 'xy', 'cdef'].map((names) =>
    batcher.submit([...names].map((name) => ({ name }))),
  )
  for (const index of [0, 1, 2]) (await waitFor(() => store.batches[index])).end()
  await Promise.all(calls)
  assert.deepEqual(store.names(), ['ab', 'xxy', 'cdef'])
  assert.deepEqual(apart, [false, true, false])
  await batcher.close()
})

test('what waits is bounded, and the refusal says that it may be repeated', async () => {
  const { submit, batch } = setUp({ queueSizeMax: 3 })
  const sent = submit('ab')
  const first = await batch(0)
  const waiting = submit('cde')
  await assert.rejects(submit('f'), { code: 'ledger_overloaded', retryable: true })
  first.end()
  await sent
  ;(await batch(1)).end()
  await waiting
  const again = submit('f')
  ;(await batch(2)).end()
  assert.deepEqual(await again, ['f'])
})

test('a call that was not sent in time is refused, not sent late', async () => {
  const { submit, batch, names } = setUp({ waitMsMax: 250 })
  const sent = submit('a')
  const first = await batch(0)
  const waiting = submit('b')
  await sleep(300)
  first.end()
  await assert.rejects(waiting, { code: 'ledger_overloaded', retryable: true })
  assert.deepEqual(await sent, ['a'])
  assert.deepEqual(names(), ['a'])
})

test('a fault concerns the whole batch, a bug only the call that has it', async () => {
  const { submit, batch, names } = setUp()
  const lost = Promise.allSettled([submit('a'), submit('b')])
  ;(await batch(0)).fail(new Fault('ledger_outcome_unknown', { retryable: true }))
  for (const result of await lost)
    assert.equal(result.status === 'rejected' && result.reason.code, 'ledger_outcome_unknown')

  const calls = Promise.allSettled([submit('c'), submit('x'), submit('d')])
  ;(await batch(1)).fail(new TypeError('bad event'))
  ;(await batch(2)).end()
  ;(await batch(3)).fail(new TypeError('bad event'))
  ;(await batch(4)).end()
  const [first, bad, last] = await calls
  assert.deepEqual(first, { status: 'fulfilled', value: ['c'] })
  assert.ok(bad?.status === 'rejected' && bad.reason instanceof TypeError)
  assert.deepEqual(last, { status: 'fulfilled', value: ['d'] })
  assert.deepEqual(names(), ['ab', 'cxd', 'c', 'x', 'd'])
})

test('an answer of the wrong length is a bug that nobody takes for theirs', async () => {
  const { submit, batch } = setUp()
  const call = assert.rejects(submit('ab'), /one result per event/)
  ;(await batch(0)).end(['A'])
  await call
})

test('closing waits for what was accepted and refuses the rest', async () => {
  const { submit, batch, batcher } = setUp()
  const calls = [submit('abcd'), submit('e')]
  let isClosed = false
  const closing = batcher.close().then(() => {
    isClosed = true
  })
  await assert.rejects(submit('f'), { code: 'ledger_closed' })
  ;(await batch(0)).end()
  const last = await batch(1)
  assert.equal(isClosed, false)
  last.end()
  await Promise.all([...calls, closing])
})
