import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../shared/platform/index.ts'
import { waitFor } from '../../shared/testing/index.ts'
import { repeat } from './repeat.ts'

const ctx = { log: silentLogger }

test('runs again and again, one run at a time, also after a run that threw', async () => {
  let runs = 0
  let atOnce = 0
  const repeated = repeat(ctx, {
    name: 'test',
    everyMs: 5,
    run: async () => {
      assert.equal(++atOnce, 1)
      await sleep(2)
      atOnce--
      if (++runs === 2) throw new Error('once')
      return false
    },
  })
  await waitFor(async () => runs >= 5)
  await repeated.close()
  const after = runs
  await sleep(30)
  assert.equal(runs, after)
})

test('goes on at once while there is more', async () => {
  let runs = 0
  const startedAt = performance.now()
  const repeated = repeat(ctx, { name: 'test', everyMs: 500, run: async () => ++runs < 20 })
  await waitFor(async () => runs >= 20)
  assert.ok(performance.now() - startedAt < 1_500)
  await repeated.close()
  assert.equal(runs, 20)
})

test('closing waits for the run under way and cuts the pause short', async () => {
  let isRunning = false
  let isDone = false
  const repeated = repeat(ctx, {
    name: 'test',
    everyMs: 10,
    run: async () => {
      isRunning = true
      await sleep(50)
      isDone = true
      return false
    },
  })
  await waitFor(async () => isRunning)
  await repeated.close()
  assert.ok(isDone)
  const pausing = repeat(ctx, { name: 'test', everyMs: 3_600_000, run: async () => false })
  const closedAt = performance.now()
  await pausing.close()
  assert.ok(performance.now() - closedAt < 500)
})
