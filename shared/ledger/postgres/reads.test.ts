import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase } from '../../testing/index.ts'
import { createArena } from './binary.ts'
import { createConnections, UNAVAILABLE } from './connections.ts'
import { readAccounts, readTransfers } from './reads.ts'
import { createReservations } from './reservations.ts'

/** PostgreSQL makes a plan for each of so many executions, before it compares what that costs with one plan for all. */
const PLANNED_APART = 5

test('look-ups are planned once, not for each list of ids', async () => {
  const { connectionString, drop } = await createTestDatabase('ledger')
  const options = { log: silentLogger, timeoutMs: 5_000, prepared: true, onLost: () => undefined }
  const connections = createConnections({ connectionString, sizeMax: 1, ...options })
  try {
    const [arena, reservations] = [createArena(), createReservations(1)]
    for (let count = 0; count < PLANNED_APART + 3; count++) {
      await readAccounts(connections, arena, [randomUUID()])
      await readTransfers(connections, arena, [randomUUID()], undefined, reservations)
    }
    const text = `select custom_plans::integer, generic_plans::integer from pg_prepared_statements where statement like 'select u.place%'`
    const plans = await connections.run(() => ({ text, values: [] }), UNAVAILABLE)
    const expected = { custom_plans: PLANNED_APART, generic_plans: 3 }
    assert.deepEqual(plans, [expected, expected])
  } finally {
    await connections.close()
    await drop()
  }
})
