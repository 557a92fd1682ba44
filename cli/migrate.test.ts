import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Context } from 'aws-lambda'
import { testEnvironment as authEnvironment } from '../functions/auth/harness.ts'
import { openAuth } from '../functions/auth/wiring.ts'
import { migrateDatabases } from '../functions/migrate/migrate.ts'
import { testEnvironment } from '../functions/webhooks/test-environment.ts'
import { openWebhooks } from '../functions/webhooks/wiring.ts'
import { createTestDatabase, type TestDatabase } from '../shared/testing/index.ts'

const run = promisify(execFile)

let resources: TestDatabase
let auth: TestDatabase
before(async () => {
  resources = await createTestDatabase('empty')
  auth = await createTestDatabase('empty')
})
after(async () => {
  await resources.drop()
  await auth.drop()
})

const urls = () => ({
  DATABASE_URL: resources.connectionString,
  AUTH_DATABASE_URL: auth.connectionString,
  USE_TIGERBEETLE: 'false',
})

test('deployables that do not migrate themselves start after it, and are refused before it', async () => {
  const open = [
    () =>
      openAuth(
        {
          ...authEnvironment(auth.connectionString, 0, randomUUID()),
          AUTH_SERVER_URL: 'https://a.example',
          ENABLE_MANUAL_MIGRATIONS: 'true',
        },
        'server',
      ),
    () =>
      openWebhooks(
        {
          ...testEnvironment(resources.connectionString, 'http://127.0.0.1:9/'),
          ENABLE_MANUAL_MIGRATIONS: 'true',
        },
        'server',
      ),
  ]
  for (const refused of open) await assert.rejects(refused(), /npm run migrate/)
  const { resources: first, ledger, auth: ofAuth } = await migrateDatabases(urls())
  assert.ok(
    first?.[0]?.startsWith('0001_') && ledger?.[0]?.startsWith('0001_') && ofAuth?.[0]?.startsWith('0001_'),
  )
  assert.deepEqual(await migrateDatabases(urls()), { resources: [], ledger: [], auth: [] })
  for (const started of open) await (await started()).close()
})

test('databases that are not named are left alone', async () => {
  const { DATABASE_URL, AUTH_DATABASE_URL } = urls()
  assert.deepEqual(await migrateDatabases({ AUTH_DATABASE_URL }), { auth: [] })
  assert.deepEqual(await migrateDatabases({ DATABASE_URL }), { resources: [] })
  await assert.rejects(migrateDatabases({}), { name: 'ConfigError' })
})

test('the command says what it did and ends with 0, or with 1 and why', async () => {
  const command = (env: Record<string, string>) =>
    run(process.execPath, ['functions/migrate/server.ts'], {
      env: { PATH: process.env.PATH, ENV_FILE: '/dev/null', ...env },
    })
  const { stdout } = await command(urls())
  assert.deepEqual(JSON.parse(stdout), { migrated: { resources: [], ledger: [], auth: [] } })
  await assert.rejects(command({}), (error: { code?: number; stderr?: string }) => {
    assert.equal(error.code, 1)
    assert.match(error.stderr ?? '', /nothing to migrate/)
    return true
  })
})

test('as a function it does the same', async () => {
  Object.assign(process.env, urls())
  const { handler } = await import('../functions/migrate/lambda.ts')
  const handle = handler as (event: unknown, context: Context) => Promise<unknown>
  assert.deepEqual(await handle({}, {} as Context), { migrated: { resources: [], ledger: [], auth: [] } })
})
