import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { createClaimPace } from './claim-pace.ts'

/** A worker whose clock stands still unless it is moved. */
function worker() {
  mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 1_000
  const jobs = { inFlight: 0 }
  const pace = createClaimPace(
    () => jobs.inFlight,
    () => nowMs,
  )
  return {
    jobs,
    pace,
    async pass(ms: number) {
      nowMs += ms
      mock.timers.tick(ms)
      await Promise.resolve()
    },
    async end() {
      jobs.inFlight--
      pace.ended()
      await Promise.resolve()
    },
    /** Whether the next claim may begin. */
    begin(isUrgent = () => false) {
      const state = { mayClaim: false }
      void pace.gather(isUrgent).then(() => {
        state.mayClaim = true
      })
      return state
    },
    async settled() {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    },
  }
}

test('claims are apart by 2 ms for each job in flight, 20 ms at most', async (t) => {
  t.after(() => mock.timers.reset())
  for (const { inFlight, ms } of [
    { inFlight: 3, ms: 6 },
    { inFlight: 10, ms: 20 },
    { inFlight: 1_000, ms: 20 },
  ]) {
    mock.timers.reset()
    const { jobs, pace, pass, begin, settled } = worker()
    pace.claimed()
    jobs.inFlight = inFlight
    const claim = begin()
    await pass(ms - 1)
    await settled()
    assert.equal(claim.mayClaim, false, `${inFlight} in flight, a moment before`)
    await pass(1)
    await settled()
    assert.equal(claim.mayClaim, true, `${inFlight} in flight`)
  }
})

test('jobs that end while a claim waits let it begin: a worker with nothing in flight claims at once', async (t) => {
  t.after(() => mock.timers.reset())
  const { jobs, pace, pass, end, begin, settled } = worker()
  pace.claimed()
  jobs.inFlight = 20
  const claim = begin()
  await pass(1)
  while (jobs.inFlight > 1) await end()
  await settled()
  assert.equal(claim.mayClaim, false, 'one is still in flight')
  await end()
  await settled()
  assert.equal(claim.mayClaim, true)
})

test('what is urgent waits for nothing', async (t) => {
  t.after(() => mock.timers.reset())
  const { jobs, pace, begin, settled } = worker()
  pace.claimed()
  jobs.inFlight = 1_000
  const claim = begin(() => true)
  await settled()
  assert.equal(claim.mayClaim, true)
})
