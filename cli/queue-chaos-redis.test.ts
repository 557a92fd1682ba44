import { after, before, test } from 'node:test'
import { startTestRedis, type TestRedis } from '../shared/testing/index.ts'
import { redisUrlOf } from './queue-mode.ts'
import { redisMischief } from './testing/broker-mischief.ts'
import { assertPaid, payThroughChaos } from './testing/queue-chaos.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

let redis: TestRedis | undefined
let banks: TestBanks | undefined
before(async () => {
  redis = await startTestRedis()
  if (!redis) return
  const { url } = redis
  const environmentOf = (name: 'a' | 'b') => ({ QUEUE_DRIVER: 'redis', REDIS_URL: redisUrlOf(url, name) })
  banks = await startTestBanks({ environments: { a: environmentOf('a'), b: environmentOf('b') } })
})
after(async () => {
  await banks?.close()
  await redis?.stop()
})

test('a payment from bank to bank with jobs by Redis streams', async (t) => {
  if (!banks) return t.skip('redis-server is not installed')
  await assertPaid(banks)
})

test('messages that come twice, late and never, and workers that are killed: every payment is paid once', async (t) => {
  if (!banks) return t.skip('redis-server is not installed')
  const { a, b } = banks
  await payThroughChaos(banks, (name, random) => redisMischief({ a, b }[name].environment, random))
})
