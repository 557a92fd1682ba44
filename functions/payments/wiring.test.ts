import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { startPayments } from './wiring.ts'

const environment = (databaseUrl: string) => ({
  LOG_LEVEL: 'silent',
  USE_TIGERBEETLE: 'false',
  REDIS_URL: 'none',
  DATABASE_URL: databaseUrl,
  OPEN_PAYMENTS_URL: 'https://bank.example',
  AUTH_SERVER_GRANT_URL: 'https://auth.bank.example',
  WEBHOOK_URL: 'http://localhost:1/webhooks',
  ADMIN_API_SECRET: 'a secret of sufficient length for tests',
  OPERATOR_TENANT_ID: '5d1f3d1e-7b0a-4f0e-9c39-0a9a3b6f2c11',
  STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
  ILP_ADDRESS: 'test.bank',
  KEY_ID: 'key-1',
})

test('the worker starts on a database, listens on no port, and ends when told', async () => {
  const database = await createTestDatabase('resources')
  try {
    const running = await startPayments(environment(database.connectionString))
    assert.deepEqual([running.name, running.ports], ['payments', {}])
    await running.close()
  } finally {
    await database.drop()
  }
})

test('everything that is wrong with the environment is said at once', async () => {
  const { DATABASE_URL: _url, ...rest } = environment('postgresql://localhost/none')
  const wrong = { ...rest, OUTGOING_PAYMENT_WORKERS: 'many', UNFUNDED_PAYMENT_TIMEOUT_MS: '-1', KEY_ID: '' }
  await assert.rejects(startPayments(wrong), (error) => {
    assert.ok(error instanceof ConfigError)
    const names = ['OUTGOING_PAYMENT_WORKERS', 'UNFUNDED_PAYMENT_TIMEOUT_MS', 'KEY_ID']
    return names.every((name) => error.problems.some((problem) => problem.startsWith(name)))
  })
})
