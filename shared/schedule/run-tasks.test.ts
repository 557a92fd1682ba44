import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../platform/index.ts'
import { runTasks, TasksFailed, UnknownTask } from './index.ts'

const ctx = { log: silentLogger }

function world() {
  const ran: string[] = []
  let left = 3
  const task = (name: string, run: () => Promise<boolean>) => ({
    name,
    everyMs: 1_000,
    run: () => {
      ran.push(name)
      return run()
    },
  })
  const tasks = [
    task('plain', async () => false),
    task('broken', () => Promise.reject(new Error('the database is away'))),
    task('long', async () => --left > 0),
    task('endless', async () => true),
  ]
  return { ran, tasks }
}

test('runs what is named, in order, and again while there is more', async () => {
  const { ran, tasks } = world()
  await runTasks(ctx, tasks, ['long', 'plain'])
  assert.deepEqual(ran, ['long', 'long', 'long', 'plain'])
})

test('one that fails does not keep the others from running, and is reported', async () => {
  const { ran, tasks } = world()
  await assert.rejects(runTasks(ctx, tasks, ['broken', 'plain']), (error) => {
    assert.ok(error instanceof TasksFailed && error.retryable)
    assert.match(error.message, /broken: the database is away/)
    return true
  })
  assert.deepEqual(ran, ['broken', 'plain'])
})

test('ends in time although there is more', async () => {
  const { ran, tasks } = world()
  await runTasks(ctx, tasks, ['endless', 'plain'], 0)
  assert.deepEqual(ran, ['endless', 'plain'])
})

test('what is unknown is refused before anything runs', async () => {
  const { ran, tasks } = world()
  await assert.rejects(runTasks(ctx, tasks, ['plain', 'sweeep']), (error) => {
    assert.ok(error instanceof UnknownTask)
    assert.match(error.message, /unknown task sweeep; there are: plain, broken/)
    return true
  })
  await assert.rejects(runTasks(ctx, tasks, []), UnknownTask)
  assert.deepEqual(ran, [])
})
