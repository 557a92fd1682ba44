import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { testEnvironment } from './harness.ts'
import { startAuth } from './wiring.ts'

// A process may have some of the listeners: where each is a service of its own with one port.
let database: TestDatabase
before(async () => {
  database = await createTestDatabase('auth')
})
after(() => database.drop())

const start = (listeners: string) =>
  startAuth({
    ...testEnvironment(database.connectionString, 0, randomUUID()),
    AUTH_SERVER_URL: 'https://auth.example',
    AUTH_LISTENERS: listeners,
    // Would be one port twice if both listened.
    INTERACTION_PORT: '6000',
    ADMIN_PORT: '6000',
  })

test('a process has the listeners that it is told to have, and no others', async () => {
  const running = await start('introspection, service')
  try {
    assert.deepEqual(Object.keys(running.ports).sort(), ['introspection', 'service'])
    for (const port of Object.values(running.ports)) {
      const answer = await fetch(`http://localhost:${port}/readyz`)
      assert.equal(answer.status, 200)
    }
  } finally {
    await running.close()
  }
})

test('unknown, missing and colliding listeners are refused', async () => {
  for (const listeners of ['auth,gnap', ',', 'interaction,admin'])
    await assert.rejects(start(listeners), { name: 'ConfigError' }, listeners)
})
