import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../platform/index.ts'
import { type BrokerSettings, brokerProblems, openBroker, regionOf } from './open-broker.ts'

const settings = (more: Partial<BrokerSettings>): BrokerSettings => ({
  queueDriver: 'postgres',
  redisUrl: 'redis://127.0.0.1:6379',
  redisCaFile: undefined,
  redisKeyFile: undefined,
  redisCertFile: undefined,
  awsRegion: undefined,
  awsEndpointUrl: undefined,
  ...more,
})
const WEBHOOKS = 'https://sqs.eu-west-1.amazonaws.com/1/webhooks'

test('without a broker nothing is opened, and nothing of brokers is judged', async () => {
  const bad = settings({ redisUrl: 'none', sqsWebhooksQueueUrl: 'no URL' })
  assert.deepEqual(brokerProblems(bad, ['webhooks', 'payments']), [])
  assert.equal(await openBroker({ log: silentLogger }, bad, 'webhooks'), undefined)
})

test('Redis must be there for messages', () => {
  assert.deepEqual(brokerProblems(settings({ queueDriver: 'redis' }), ['webhooks']), [])
  assert.match(
    brokerProblems(settings({ queueDriver: 'redis', redisUrl: 'none' }), ['webhooks']).join(),
    /REDIS_URL/,
  )
})

test('SQS needs the URLs of the queues that a deployable uses, and a region', () => {
  const sqs = (more: Partial<BrokerSettings>) => settings({ queueDriver: 'sqs', ...more })
  assert.deepEqual(brokerProblems(sqs({ sqsWebhooksQueueUrl: WEBHOOKS }), ['webhooks']), [])
  assert.match(
    brokerProblems(sqs({ sqsWebhooksQueueUrl: WEBHOOKS }), ['webhooks', 'payments']).join(),
    /^QUEUE_DRIVER=sqs needs SQS_PAYMENTS_QUEUE_URL$/,
  )
  const local = 'http://127.0.0.1:4566/000000000000/webhooks'
  assert.match(brokerProblems(sqs({ sqsWebhooksQueueUrl: local }), ['webhooks']).join(), /AWS_REGION/)
  assert.deepEqual(
    brokerProblems(sqs({ sqsWebhooksQueueUrl: local, awsRegion: 'us-east-1' }), ['webhooks']),
    [],
  )
  assert.match(
    brokerProblems(
      sqs({
        sqsWebhooksQueueUrl: WEBHOOKS,
        sqsWebhooksDeadLetterQueueUrl: 'webhooks-dead',
        awsEndpointUrl: 'localhost',
      }),
      ['webhooks'],
    ).join(),
    /AWS_ENDPOINT_URL.*SQS_WEBHOOKS_DEAD_LETTER_QUEUE_URL/,
  )
})

test("a queue's URL names its region", () => {
  assert.equal(regionOf(WEBHOOKS), 'eu-west-1')
  assert.equal(regionOf('https://eu-north-1.queue.amazonaws.com/1/x'), 'eu-north-1')
  assert.equal(regionOf('https://sqs.cn-north-1.amazonaws.com.cn/1/x'), 'cn-north-1')
  assert.equal(regionOf('https://sqs.eu-west-1.example.com/1/x'), undefined)
})
