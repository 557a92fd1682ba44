import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, rawSql } from '../../shared/platform/index.ts'
import { createTestDatabase, testNodeEnvironment } from '../../shared/testing/index.ts'
import { openPayments, startPayments } from './wiring.ts'

test('the worker starts on a database, listens on no port, and ends when told', async () => {
  const database = await createTestDatabase('resources')
  try {
    const running = await startPayments(testNodeEnvironment(database.connectionString))
    assert.deepEqual([running.name, running.ports], ['payments', {}])
    await running.close()
  } finally {
    await database.drop()
  }
})

test('its statements are planned once: claims are many, and planning one takes longer than making it', async () => {
  const database = await createTestDatabase('resources')
  try {
    const payments = await openPayments(testNodeEnvironment(database.connectionString), 'server')
    const mode = await payments.node.db.one(
      (row) => row.mode as string,
      rawSql(`select current_setting('plan_cache_mode') as mode`),
    )
    assert.equal(mode, 'force_generic_plan')
    await payments.close()
  } finally {
    await database.drop()
  }
})

test('everything that is wrong with the environment is said at once', async () => {
  const { DATABASE_URL: _url, ...rest } = testNodeEnvironment('postgresql://localhost/none')
  const wrong = { ...rest, OUTGOING_PAYMENT_WORKERS: 'many', UNFUNDED_PAYMENT_TIMEOUT_MS: '-1', KEY_ID: '' }
  await assert.rejects(startPayments(wrong), (error) => {
    assert.ok(error instanceof ConfigError)
    const names = ['OUTGOING_PAYMENT_WORKERS', 'UNFUNDED_PAYMENT_TIMEOUT_MS', 'KEY_ID']
    return names.every((name) => error.problems.some((problem) => problem.startsWith(name)))
  })
})
