import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../platform/index.ts'
import { waitFor } from '../testing/index.ts'
import { startTasks, type Task } from './index.ts'

const ctx = { log: silentLogger }
const start = (task: Omit<Task, 'name'>) => startTasks(ctx, [{ name: 'test', ...task }])

test('runs again and again, one run at a time, also after a run that threw', async () => {
  let runs = 0
  let atOnce = 0
  const tasks = start({
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
  await tasks.close()
  const after = runs
  await sleep(30)
  assert.equal(runs, after)
})

test('each by a timer of its own', async () => {
  const runs = { slow: 0, quick: 0 }
  const tasks = startTasks(ctx, [
    {
      name: 'slow',
      everyMs: 5,
      run: async () => {
        await sleep(300)
        return ++runs.slow < 0
      },
    },
    { name: 'quick', everyMs: 5, run: async () => ++runs.quick < 0 },
  ])
  await waitFor(async () => runs.quick >= 5)
  assert.equal(runs.slow, 0)
  await tasks.close()
})

test('goes on at once while there is more', async () => {
  let runs = 0
  const tasks = start({ everyMs: 3_600_000, run: async () => ++runs < 20 })
  await waitFor(async () => runs >= 20)
  await tasks.close()
  assert.equal(runs, 20)
})

test('closing waits for the run under way and cuts the pause short', async () => {
  let isRunning = false
  let isDone = false
  const tasks = start({
    everyMs: 10,
    run: async () => {
      isRunning = true
      await sleep(50)
      isDone = true
      return false
    },
  })
  await waitFor(async () => isRunning)
  await tasks.close()
  assert.ok(isDone)
  const pausing = start({ everyMs: 3_600_000, run: async () => false })
  await pausing.close()
})

test('waking brings the next run forward, but never into the rest', async () => {
  const times: number[] = []
  const run = async () => times.push(performance.now()) < 0
  const tasks = start({ everyMs: 3_600_000, restMs: 100, run })
  tasks.wake('test')
  await waitFor(async () => times.length >= 1)
  for (let index = 0; index < 20; index++) {
    tasks.wake('test')
    tasks.wake('nobody')
  }
  await waitFor(async () => times.length >= 2)
  await sleep(150)
  assert.equal(times.length, 2, 'woken once is run once')
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) > 90)
  await tasks.close()
  const unwakeable = start({ everyMs: 3_600_000, run })
  await waitFor(async () => times.length >= 3)
  unwakeable.wake('test')
  await sleep(20)
  assert.equal(times.length, 3)
  await unwakeable.close()
})
