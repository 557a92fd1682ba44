import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseQueueMode, redisUrlOf } from './queue-mode.ts'

test('REDIS_URL alone means Redis streams, each bank in a database of its own', async () => {
  const mode = chooseQueueMode({ REDIS_URL: 'redis://:secret@cache.example:6380/3' })
  assert.equal(mode.driver, 'redis')
  assert.equal(mode.about, 'jobs by Redis streams at cache.example:6380')
  assert.deepEqual(await mode.environmentOf('a'), {
    QUEUE_DRIVER: 'redis',
    REDIS_URL: 'redis://:secret@cache.example:6380/3',
  })
  assert.deepEqual(await mode.environmentOf('b'), {
    QUEUE_DRIVER: 'redis',
    REDIS_URL: 'redis://:secret@cache.example:6380/4',
  })
  assert.equal(redisUrlOf('redis://127.0.0.1:6379', 'a'), 'redis://127.0.0.1:6379/0')
  assert.throws(() => redisUrlOf('redis://127.0.0.1/jobs', 'a'), /no number of a database/)
})

test('without anything, and with REDIS_URL=none, jobs stay in PostgreSQL', async () => {
  for (const env of [{}, { REDIS_URL: 'none' }, { REDIS_URL: '' }]) {
    const mode = chooseQueueMode(env)
    assert.equal(mode.driver, 'postgres')
    assert.deepEqual(await mode.environmentOf('a'), {})
  }
})

test('QUEUE_DRIVER decides, AWS_ENDPOINT_URL comes before REDIS_URL, and what is missing is named', async () => {
  const redis = { REDIS_URL: 'redis://127.0.0.1:6379' }
  const mode = chooseQueueMode({ ...redis, QUEUE_DRIVER: 'postgres' })
  assert.equal(mode.driver, 'postgres')
  assert.deepEqual(await mode.environmentOf('b'), { REDIS_URL: 'redis://127.0.0.1:6379/1' })
  assert.equal(chooseQueueMode({ ...redis, AWS_ENDPOINT_URL: 'http://127.0.0.1:4566' }).driver, 'sqs')
  assert.throws(() => chooseQueueMode({ QUEUE_DRIVER: 'redis' }), /needs REDIS_URL/)
  assert.throws(() => chooseQueueMode({ QUEUE_DRIVER: 'sqs' }), /needs AWS_ENDPOINT_URL/)
  assert.throws(() => chooseQueueMode({ QUEUE_DRIVER: 'kafka' }), /postgres, redis or sqs/)
})
