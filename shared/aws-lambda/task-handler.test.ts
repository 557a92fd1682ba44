import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from 'aws-lambda'
import { silentLogger } from '../platform/index.ts'
import { TasksFailed, UnknownTask } from '../schedule/index.ts'
import { createTaskHandler, EventRefused } from './index.ts'

const contextOf = (remainingMs: number) =>
  ({ getRemainingTimeInMillis: () => remainingMs }) as unknown as Context

function world() {
  const said: string[] = []
  const tasks = [
    { name: 'one', everyMs: 1_000, run: async () => said.push('one') < 0 },
    { name: 'endless', everyMs: 1_000, run: async () => said.push('endless') > 0 },
    { name: 'broken', everyMs: 1_000, run: () => Promise.reject(new Error('away')) },
  ]
  const invocation = {
    begin: async () => void said.push('begin'),
    end: async () => void said.push('end'),
  }
  let opens = 0
  const handler = createTaskHandler(
    async () => {
      opens++
      return { ctx: { log: silentLogger }, tasks, invocation }
    },
    { opensLater: true },
  )
  return { handler, said, opens: () => opens }
}

test('runs what the event names, between the beginning and the end of the invocation', async () => {
  const { handler, said, opens } = world()
  assert.deepEqual(await handler({ tasks: ['one'] }, contextOf(60_000)), { ran: ['one'] })
  assert.deepEqual(await handler({ tasks: ['one'] }, contextOf(60_000)), { ran: ['one'] })
  assert.deepEqual(said, ['begin', 'one', 'end', 'begin', 'one', 'end'])
  assert.equal(opens(), 1)
})

test('ends before the function’s time does', async () => {
  const { handler, said } = world()
  await handler({ tasks: ['endless', 'one'] }, contextOf(5_000))
  assert.deepEqual(said, ['begin', 'endless', 'one', 'end'])
})

test('fails when a task does, when there is no such task, and when none is named', async () => {
  const { handler, said } = world()
  await assert.rejects(handler({ tasks: ['broken', 'one'] }, contextOf(60_000)), TasksFailed)
  await assert.rejects(handler({ tasks: ['two'] }, contextOf(60_000)), UnknownTask)
  for (const event of [{}, undefined, { tasks: [] }, { tasks: [1] }, { tasks: 'one' }])
    await assert.rejects(handler(event, contextOf(60_000)), EventRefused)
  assert.equal(said.filter((word) => word === 'one').length, 1)
  assert.equal(said.filter((word) => word === 'begin').length, said.filter((word) => word === 'end').length)
})
