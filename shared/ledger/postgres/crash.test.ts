import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../platform/index.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import {
  accountCode,
  type CloseTransfer,
  isSuccess,
  type LedgerId,
  type PendingTransfer,
  settlementAccountId,
  type TransferEvent,
} from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'
import { migrateLedger } from './migrate.ts'

const WORKERS = 16
const LOAD_MS = 400

const close = (accountId: LedgerId): CloseTransfer => ({
  kind: 'close',
  id: randomUUID(),
  accountId,
  ledger: 1,
  code: 1,
})

/** A movement through an account that is closed, and that closes it again. */
function through(closed: CloseTransfer, to: LedgerId): TransferEvent[] {
  const { accountId } = closed
  const fields = { id: randomUUID(), linked: true, ledger: 1, code: 1, amount: 1n }
  return [
    { kind: 'void', id: randomUUID(), pendingId: closed.id, linked: true },
    { ...fields, kind: 'posted', debitAccountId: accountId, creditAccountId: to },
    close(accountId),
  ]
}

/**
 * Closes its own account, and then reserves, posts and moves something out of that account until the server is gone; returns the
 * chains that were acknowledged.
 */
async function work(
  ledger: PostgresLedger,
  from: LedgerId,
  to: LedgerId,
  own: LedgerId,
): Promise<TransferEvent[][]> {
  const acknowledged: TransferEvent[][] = []
  let last = close(own)
  for (let round = 0; ; round++) {
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
    const next = round === 0 ? [last] : through(last, to)
    const steps: TransferEvent[][] = [[hold], [{ kind: 'post', id: randomUUID(), pendingId: hold.id }], next]
    last = next.at(-1) as CloseTransfer
    for (const chain of steps) {
      try {
        const statuses = await ledger.createTransfers(chain)
        assert.ok(statuses.every(isSuccess), statuses.join())
        acknowledged.push(chain)
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
    const own = Array.from({ length: WORKERS }, () => randomUUID())
    const ids = [settlementAccountId(1), from, to, ...own]
    const accounts = ids.map((id) => ({ id, ledger: 1, code: accountCode.webMonetization }))
    assert.ok((await before.createAccounts(accounts)).every(isSuccess))
    const workers = Promise.all(own.map((id) => work(before, from, to, id)))
    await new Promise((resolve) => setTimeout(resolve, LOAD_MS))
    process.kill(server.pid, 'SIGKILL')
    const chains = (await workers).flat()
    const acknowledged = chains.flat()
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
    const closes = acknowledged.filter((event) => event.kind === 'close')
    assert.ok(closes.length > WORKERS)
    assert.ok((await after.lookupAccounts(own)).every((account) => account?.closed))
    // What was sent before the crash may be sent again.
    const repeated = await after.createTransfers(chains.slice(0, 300).flat())
    assert.ok(repeated.every((status) => status === 'exists'))
    await after.close()
    assert.deepEqual(await auditLedger(server.connectionString('ledger')), [])
  } finally {
    await server.stop()
    for (const path of [dirname(server.dataFolder), folder]) rmSync(path, { recursive: true, force: true })
  }
})
