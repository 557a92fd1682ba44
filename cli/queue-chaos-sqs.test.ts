import { after, before, test } from 'node:test'
import { createNodeQueues } from '../localstack/create-queues.ts'
import { startTestSqs, type TestSqs } from '../shared/testing/index.ts'
import { sqsMischief } from './testing/broker-mischief.ts'
import { assertPaid, payThroughChaos } from './testing/queue-chaos.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

let sqs: TestSqs
let banks: TestBanks
before(async () => {
  sqs = await startTestSqs()
  const run = process.pid
  const environmentOf = async (name: 'a' | 'b') => ({
    ...sqs.environment,
    ...(await createNodeQueues(sqs.client, (queue) => `${queue}-chaos-${name}-${run}`)),
    QUEUE_DRIVER: 'sqs',
  })
  banks = await startTestBanks({
    environments: { a: await environmentOf('a'), b: await environmentOf('b') },
  })
})
after(async () => {
  await banks?.close()
  await sqs?.stop()
})

test('a payment from bank to bank with jobs by SQS', () => assertPaid(banks))

test('messages that come twice, late and never, and workers that are killed: every payment is paid once', () =>
  payThroughChaos(banks, async (name, random) => sqsMischief(banks[name].environment, random)))
