import assert from 'node:assert/strict'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase, testClock } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { ledgerContract } from '../contract.ts'
import { createPostgresLedger, type PostgresLedgerOptions } from './ledger.ts'

for (const path of ['auto', 'clean', 'ordered'] as const)
  ledgerContract(`Postgres, path ${path}`, async () => {
    const database = await createTestDatabase('ledger')
    const clock = testClock()
    const options: PostgresLedgerOptions = {
      connectionString: database.connectionString,
      log: silentLogger,
      clock,
      path,
      sweepIntervalMs: 0,
    }
    const ledger = createPostgresLedger(options)
    return {
      ledger,
      another: async () => createPostgresLedger(options),
      passSeconds: async (seconds) => clock.advance(seconds * 1000),
      async close() {
        await ledger.sweep()
        await ledger.close()
        assert.deepEqual(await auditLedger(database.connectionString, { now: clock.now() }), [])
        await database.drop()
      },
    }
  })
