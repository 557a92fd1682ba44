import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { uuidv7 } from '../../shared/platform/index.ts'
import { startTestBroker, type TestBroker, testNodeEnvironment, waitFor } from '../../shared/testing/index.ts'
import { parseQueueOrder, runQueueCommand } from './queue-command.ts'

test('orders are words and numbers, and nothing else', () => {
  assert.deepEqual(parseQueueOrder(['status']), {
    verb: 'status',
    queues: ['webhooks', 'payments'],
    limit: 100,
  })
  assert.deepEqual(parseQueueOrder(['redrive', 'payments', '5']), {
    verb: 'redrive',
    queues: ['payments'],
    limit: 5,
  })
  assert.deepEqual(parseQueueOrder(['dead', '7'])?.limit, 7)
  for (const args of [
    [],
    ['drop'],
    ['dead', 'webhook'],
    ['redrive', '0'],
    ['redrive', '1.5'],
    ['dead', '10001'],
    ['dead', 'webhooks', '1', '2'],
    ['status', '3'],
  ])
    assert.equal(parseQueueOrder(args), undefined, args.join(' '))
})

for (const kind of ['redis', 'sqs'] as const)
  describe(`dead letters of ${kind}`, () => {
    let broker: TestBroker | undefined
    before(async () => {
      broker = await startTestBroker(kind)
    })
    after(async () => {
      await broker?.stop()
    })

    const run = async (...args: string[]): Promise<Record<string, unknown>[]> => {
      const lines: string[] = []
      const environment = {
        ...testNodeEnvironment('postgresql://nobody@localhost:1/nothing'),
        ...broker?.environment,
      }
      await runQueueCommand(environment, args, (line) => lines.push(line))
      assert.equal(process.exitCode, undefined)
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    }

    test('are counted, shown with their reasons, and put back', async (t) => {
      if (!broker) return t.skip('redis-server is not installed')
      const payments = await broker.open('payments')
      const body = JSON.stringify({ queue: 'outgoing-payments', key: uuidv7() })
      await payments.bury({ id: 'one', body }, 'nobody could read it')
      await waitFor(async () => (await payments.depth()).dead === 1)
      const [webhooksStatus, paymentsStatus] = await run('status')
      assert.deepEqual([webhooksStatus?.queue, webhooksStatus?.dead], ['webhooks', 0])
      assert.deepEqual(paymentsStatus, { queue: 'payments', waiting: 0, inFlight: 0, dead: 1 })
      const letters = await run('dead', 'payments')
      assert.deepEqual(
        letters.map((letter) => [letter.queue, letter.body, letter.reason]),
        [['payments', body, 'nobody could read it']],
      )
      // Of SQS what was looked at is hidden for a moment.
      await waitFor(async () => (await run('redrive', 'payments'))[0]?.redriven === 1, 10_000)
      const [after] = await run('status').then((lines) => lines.slice(1))
      assert.deepEqual([after?.waiting, after?.dead], [1, 0])
    })
  })

test('says what is wrong, and fails', async () => {
  const said: unknown[] = []
  const { error } = console
  console.error = (text: unknown) => said.push(text)
  try {
    await runQueueCommand({}, ['status'])
    await runQueueCommand({}, ['empty'])
  } finally {
    console.error = error
  }
  assert.equal(process.exitCode, 1)
  process.exitCode = undefined
  assert.match(String(said[0]), /QUEUE_DRIVER must be redis or sqs|OPEN_PAYMENTS_URL is required/)
  assert.match(String(said[1]), /^usage: status/)
})
