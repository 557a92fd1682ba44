import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestBroker, waitFor } from '../../../testing/index.ts'
import type { Verdict } from '../model.ts'

const LETTERS = 12

test('F37: what is put back and is buried at once is not put back again, without end', async () => {
  const sqs = await startTestBroker('sqs')
  assert.ok(sqs)
  const broker = await sqs.open('webhooks')
  for (let letter = 0; letter < LETTERS; letter++)
    await broker.bury({ id: '', body: `poison ${letter}` }, 'poison')
  await waitFor(async () => (await broker.depth()).dead === LETTERS)
  let deliveries = 0
  const consumer = broker.consume(
    (messages) => {
      deliveries += messages.length
      return messages.map(async (): Promise<Verdict> => ({ status: 'dead', reason: 'poison' }))
    },
    { room: () => 100, visibilitySeconds: 5 },
  )
  try {
    assert.equal(await broker.redrive(300), LETTERS)
    await waitFor(() => deliveries === LETTERS)
  } finally {
    await consumer.close()
    await sqs.stop()
  }
})
