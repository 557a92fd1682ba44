import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../platform/index.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { accountCode, isSuccess, type PendingTransfer, type TransferEvent } from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'
import { migrateLedger } from './migrate.ts'

const WORKERS = 16
const LOAD_MS = 400

/** Reserves and posts until the server is gone; returns what was acknowledged. */
async function work(ledger: PostgresLedger, from: string, to: string): Promise<TransferEvent[]> {
  const acknowledged: TransferEvent[] = []
  for (;;) {
    const hold: PendingTransfer = {
      kind: 'pending',
      id: randomUUID(),
      debitAccountId: from,
      creditAccountId: to,
      ledger: 1,
      code: 1,
      amount: 1n,
      timeoutSeconds: 600,
    }
    const steps: TransferEvent[] = [hold, { kind: 'post', id: randomUUID(), pendingId: hold.id }]
    for (const event of steps) {
      try {
        const [status] = await ledger.createTransfers([event])
        assert.ok(status && isSuccess(status), status)
        acknowledged.push(event)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ledger_outcome_unknown')
        return acknowledged
      }
    }
  }
}

test('F31: what was acknowledged survives a crash of the server, and the books balance', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'upesi-crash-'))
  const open = (server: EmbeddedPostgres) =>
    createPostgresLedger({
      connectionString: server.connectionString('ledger'),
      log: silentLogger,
      outcomeTimeoutMs: 300,
      sweepIntervalMs: 0,
    })
  let server = await startEmbeddedPostgres({ folder, durable: true })
  try {
    await server.createDatabase('ledger')
    await migrateLedger({ connectionString: server.connectionString('ledger') })
    const before = open(server)
    const [from, to] = [randomUUID(), randomUUID()]
    const accounts = [from, to].map((id) => ({ id, ledger: 1, code: accountCode.webMonetization }))
    assert.ok((await before.createAccounts(accounts)).every(isSuccess))
    const workers = Promise.all(Array.from({ length: WORKERS }, () => work(before, from, to)))
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS))
    process.kill(server.pid, 'SIGKILL')
    const acknowledged = (await workers).flat()
    await before.close()
    await server.stop()

    server = await startEmbeddedPostgres({ folder, durable: true })
    const after = open(server)
    const found = await after.lookupTransfers(acknowledged.map((event) => event.id))
    const missing = found.filter((transfer) => transfer === undefined).length
    console.log(`${acknowledged.length} acknowledged before the crash, ${missing} lost`)
    assert.ok(acknowledged.length > 100)
    assert.equal(missing, 0)
    const posts = acknowledged.filter((event) => event.kind === 'post')
    const holds = await after.lookupTransfers(posts.map((event) => event.pendingId))
    assert.ok(holds.every((hold) => hold?.state === 'posted'))
    // What was sent before the crash may be sent again.
    const repeated = await after.createTransfers(acknowledged.slice(0, 1000))
    assert.ok(repeated.every((status) => status === 'exists'))
    await after.close()
    assert.deepEqual(await auditLedger(server.connectionString('ledger')), [])
  } finally {
    await server.stop()
    for (const path of [dirname(server.dataFolder), folder]) rmSync(path, { recursive: true, force: true })
  }
})
