import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../../platform/index.ts'
import { startTestBroker, waitFor } from '../../../testing/index.ts'
import type { Verdict } from '../model.ts'
import { createSqsBroker } from './broker.ts'

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

test('of many messages about one job that SQS gave up one is put back, and none stays among the dead', async () => {
  const sqs = await startTestBroker('sqs')
  assert.ok(sqs)
  const {
    sqsWebhooksDeadLetterQueueUrl: dead = '',
    awsRegion: region = '',
    awsEndpointUrl: endpoint = '',
  } = sqs.settings
  // As SQS moves them: the messages that the relay sent, with nothing said about why.
  const deadLetters = await createSqsBroker({ queueUrl: dead, region, endpoint, log: silentLogger })
  const broker = await sqs.open('webhooks')
  try {
    const sent = ['one', 'two', 'one', 'one', 'two'].map((body) => ({ key: body, body }))
    assert.deepEqual((await deadLetters.send(sent)).filter(Boolean), [])
    await broker.bury({ id: '', body: 'poison' }, 'not JSON')
    assert.equal(await broker.redrive(300), 3)
    const { waiting, dead: left } = await broker.depth()
    assert.deepEqual({ waiting, left }, { waiting: 3, left: 0 })
  } finally {
    await deadLetters.close()
    await sqs.stop()
  }
})
