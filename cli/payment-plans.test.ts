import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { createDb, sql } from '../shared/platform/index.ts'
import { ended, prepare, type Running } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 120_000
const LOCAL = 60
const REMOTE = 40
/** Rows that are looked at to find a payment's own, everywhere but in the queue. A sweep may add some. */
const READ_MAX = 200
const liquidity = { assetLiquidity: 10n ** 12n, peerLiquidity: 10n ** 12n }
/** What leads to a payment's own rows, and to those that a sweep looks for. All others are for lists. */
const BY_PAYMENT =
  /_pkey$|_once$|_request_id_key$|^webhook_events_incoming_payment$|^incoming_payments_(open|due)$|^outgoing_payments_(unfinished|unfunded)$|^webhook_(deliveries_dead|events_sealed)$/

let banks: TestBanks
before(async () => {
  banks = await startTestBanks({
    plans: { a: { ...plainPlans.a, ...liquidity }, b: { ...plainPlans.b, ...liquidity } },
  })
})
after(() => banks.close())

interface IndexUse {
  name: string
  scans: number
  read: number
}

/** Entries read are counted also where they lead to no row, as when an index is only intersected with another. */
async function indexUse(connectionString: string): Promise<IndexUse[]> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    // Sessions tell their counts after a while, and when they end.
    await db.execute(
      sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    return await db.many(
      (row) => ({ name: row.name, scans: Number(row.scans), read: Number(row.read) }),
      sql`select indexrelname as name, idx_scan as scans, idx_tup_read as read from pg_stat_user_indexes
        where relname in ('incoming_payments', 'outgoing_payments', 'quotes', 'webhook_events', 'webhook_deliveries')`,
    )
  } finally {
    await db.close()
  }
}

it('payments find their rows by what is theirs, never along an index for lists, with plans made while the tables were empty', async () => {
  const payments: Running[] = []
  // Several at once, and several times: the statements of one differ from those of many, and plans are kept after the first.
  for (const share of [0.1, 0.3, 0.6])
    payments.push(
      ...(
        await Promise.all([
          prepare(banks, ['a', 'amara'], LOCAL * share, timeoutMs).then((some) =>
            ended(some).then(() => some),
          ),
          prepare(banks, ['b', 'bob'], REMOTE * share, timeoutMs).then((some) =>
            ended(some).then(() => some),
          ),
        ])
      ).flat(),
    )
  assert.equal(payments.length, LOCAL + REMOTE)
  await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
  for (const { resources } of Object.values(banks.databases)) {
    const used = await indexUse(resources)
    assert.ok(used.some(({ name, scans }) => name === 'webhook_events_pkey' && scans > 0))
    assert.deepEqual(
      used.filter(({ name, scans }) => scans > 0 && !BY_PAYMENT.test(name)),
      [],
    )
    const read = used.reduce((sum, index) => sum + index.read, 0)
    assert.ok(read < READ_MAX * payments.length, `${read} index entries for ${payments.length} payments`)
  }
})
