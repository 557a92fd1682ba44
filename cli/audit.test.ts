import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createTigerBeetleLedger, parseTigerBeetleCluster, transferCode } from '../shared/ledger/index.ts'
import { ConfigError, createDb, silentLogger, sql, uuidv7 } from '../shared/platform/index.ts'
import { startTestTigerBeetle, withoutTigerBeetleBinary } from '../shared/testing/index.ts'
import { auditedBank, parseAuditedBank } from './audit/audited-bank.ts'
import { parseAuditOptions } from './options.ts'
import { awaitWithdrawals, pay } from './payment.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

interface Ended {
  code: number | null
  out: string
}

/** The command as an operator runs it, in a process of its own. */
async function audit(args: string[], environment: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['cli/audit.ts', ...args], {
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      out += data.toString()
    })
  return await new Promise((resolve) => child.once('close', (code) => resolve({ code, out })))
}

const payOnce = async (banks: TestBanks, to: 'a' | 'b', customer: string) => {
  const payer = banks.side('a', 'alice')
  const plan = { payer, payee: banks.side(to, customer), receiveValue: 500n, timeoutMs: 60_000 }
  await awaitWithdrawals(plan, await pay(plan))
}

const environmentFile = (environment: Record<string, string>): string =>
  Object.entries(environment)
    .map(([name, value]) => `${name}='${value}'`)
    .join('\n')

test('a node is audited where its configuration has its books', () => {
  const environment = { DATABASE_URL: 'postgresql://x/resources', ILP_ADDRESS: 'test.x' }
  const common = { resources: environment.DATABASE_URL, ilpAddress: 'test.x' }
  const inPostgres = { ...environment, USE_TIGERBEETLE: 'false', TIGERBEETLE_REPLICA_ADDRESSES: 'nonsense' }
  assert.deepEqual(auditedBank(inPostgres), common)
  assert.deepEqual(auditedBank({ ...inPostgres, LEDGER_DATABASE_URL: 'postgresql://x/ledger' }), {
    ...common,
    ledger: 'postgresql://x/ledger',
  })
  // As the deployables: TigerBeetle is the default, and a Postgres ledger beside it counts for nothing.
  assert.deepEqual(auditedBank({ ...environment, LEDGER_DATABASE_URL: 'postgresql://x/old' }), {
    ...common,
    tigerbeetle: { clusterId: '0', replicaAddresses: '3004' },
  })
  assert.throws(
    () => auditedBank({ ...environment, TIGERBEETLE_REPLICA_ADDRESSES: 'nonsense' }),
    /TIGERBEETLE_REPLICA_ADDRESSES must be/,
  )
  assert.throws(() => parseAuditOptions(['--node', 'a=a.env']), /exclude each other/)
  assert.throws(() => parseAuditOptions(['--nobody']))
  assert.throws(() => auditedBank({ USE_TIGERBEETLE: 'false' }), ConfigError)
  assert.throws(() => parseAuditedBank('/no/such/file.env'), /is no postgresql:\/\/ URL, and cannot be read/)
})

describe('npm run audit', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'upesi-audit-'))
  })
  after(() => rm(folder, { recursive: true }))

  const filesOf = async (banks: TestBanks): Promise<string[]> => {
    const args = []
    for (const name of ['a', 'b'] as const) {
      const file = join(folder, `${name}.env`)
      await writeFile(file, environmentFile(banks[name].environment), { mode: 0o600 })
      args.push(`${name}=${file}`)
    }
    return args
  }

  test('of nodes that files name, and of the node of the environment: what is right, and what is wrong', async () => {
    const banks = await startTestBanks()
    try {
      await payOnce(banks, 'b', 'bob')
      const files = await filesOf(banks)
      const good = await audit(files)
      assert.equal(good.code, 0, good.out)
      assert.match(good.out, /ok +I3 two-node agreement +a and b +peerings: 2/)
      // By itself a node knows nothing of what others sent.
      const alone = await audit(['--node'], banks.b.environment)
      assert.equal(alone.code, 0, alone.out)
      assert.match(alone.out, /ok +I5 receiver truth +node +receivers: 1/)

      const db = createDb({ connectionString: banks.databases.b.resources })
      await db.execute(sql`update ledger.accounts set credits_posted = credits_posted + 1 where code = 4`)
      await db.close()
      const bad = await audit(files)
      assert.equal(bad.code, 1)
      assert.match(bad.out, /PROBLEM +I1 conservation +b +ledger \d+: debits posted/)
      const refused = await audit(['nonsense'])
      assert.deepEqual(
        [refused.code, refused.out],
        [1, 'expected name=postgresql://… or name=file, got nonsense\n'],
      )
    } finally {
      await banks.close()
    }
  })

  test('of books in TigerBeetle: the same invariants', { skip: withoutTigerBeetleBinary }, async () => {
    const clusters = await Promise.all([startTestTigerBeetle(), startTestTigerBeetle()])
    const [a, b] = clusters.map((cluster) => ({
      USE_TIGERBEETLE: 'true',
      TIGERBEETLE_CLUSTER_ID: String(cluster.clusterId),
      TIGERBEETLE_REPLICA_ADDRESSES: cluster.replicas.map(({ host, port }) => `${host}:${port}`).join(','),
    }))
    const banks = await startTestBanks({ environments: { a: a!, b: b! } })
    try {
      await payOnce(banks, 'b', 'bob')
      await payOnce(banks, 'a', 'amara')
      const files = await filesOf(banks)
      const good = await audit(files)
      assert.equal(good.code, 0, good.out)
      for (const line of [
        /ok +I1 conservation +a +all ledgers/,
        /ok +I2 no overdraft +b +all accounts/,
        /ok +I3 two-node agreement +a and b +peerings: 2/,
        /ok +I4 payment closure +a +outgoing payments: 2/,
        /ok +I9 fulfil rule +a +payments over ILP: 1, packets: 1/,
      ])
        assert.match(good.out, line)

      // A posting that no payment knows of: TigerBeetle's own books hold, the node's do not.
      const cluster = parseTigerBeetleCluster({
        clusterId: '0',
        replicaAddresses: a!.TIGERBEETLE_REPLICA_ADDRESSES!,
      })
      const ledger = await createTigerBeetleLedger({ ...cluster, log: silentLogger })
      const db = createDb({ connectionString: banks.databases.a.resources })
      const peer = await db.one(
        (row) => ({ id: row.id as string, ledger: Number(row.ledger) }),
        sql`
        select p.id, a.ledger from peers p join assets a on a.id = p.asset_id where a.code = 'EUR'`,
      )
      const liquidity = await db.one((row) => row.id as string, sql`select id from assets where code = 'EUR'`)
      await db.close()
      const statuses = await ledger.createTransfers([
        {
          kind: 'posted',
          id: uuidv7(),
          debitAccountId: liquidity,
          creditAccountId: peer.id,
          ledger: peer.ledger,
          code: transferCode.transfer,
          amount: 1n,
        },
      ])
      assert.deepEqual(statuses, ['created'])
      await ledger.close()
      const bad = await audit(files)
      assert.equal(bad.code, 1, bad.out)
      assert.match(bad.out, /PROBLEM +I3 two-node agreement +a and b +EUR/)
      assert.match(bad.out, /ok +I1 conservation +a/)
    } finally {
      await banks.close()
      await Promise.all(clusters.map((cluster) => cluster.stop()))
    }
  })
})
