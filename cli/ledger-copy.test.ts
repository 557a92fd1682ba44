import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startConnector } from '../connector/wiring.ts'
import {
  createPostgresLedger,
  createTigerBeetleLedger,
  fenceSource,
  findFence,
  openPostgresContents,
  openTigerBeetleContents,
  settlementAccountId,
} from '../shared/ledger/index.ts'
import { ConfigError, silentLogger } from '../shared/platform/index.ts'
import {
  createTestDatabase,
  type OwnTigerBeetle,
  startTestTigerBeetle,
  type TestDatabase,
  untilUnused,
  waitFor,
  withoutTigerBeetleBinary,
} from '../shared/testing/index.ts'
import { bankEnvironment, createBankSettings } from './bank-settings.ts'
import { awaitWithdrawals, pay } from './payment.ts'
import { demoPlan } from './seed.ts'
import { plainPlans } from './testing/test-banks.ts'
import { startTwoBanks } from './two-banks.ts'

const TIMEOUT_MS = 60_000

const environmentOf = (cluster: OwnTigerBeetle) => ({
  TIGERBEETLE_CLUSTER_ID: String(cluster.clusterId),
  TIGERBEETLE_REPLICA_ADDRESSES: cluster.replicas.map(({ host, port }) => `${host}:${port}`).join(','),
})

interface Ended {
  code: number | null
  out: string
}

/** The command as an operator runs it, in a process of its own. */
function run(
  command: 'ledger-copy' | 'ledger-verify',
  environment: Record<string, string>,
  args: string[] = [],
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [`cli/${command}.ts`, ...args], {
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data: Buffer) => {
      out += data.toString()
    })
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, out })))
  return { child, ended }
}

test('a fenced ledger is opened again by its command, and by no other start', async () => {
  const database = await createTestDatabase('resources')
  const { connectionString } = database
  const environment = { DATABASE_URL: connectionString, TIGERBEETLE_REPLICA_ADDRESSES: '1' }
  try {
    const idle = await run('ledger-copy', environment, ['--reopen']).ended
    assert.equal(idle.code, 0, idle.out)
    assert.match(idle.out, /there is nothing to open/)
    const contents = await openPostgresContents(connectionString)
    await fenceSource(contents, 'elsewhere')
    await contents.close()
    const settings = await createBankSettings('a', [])
    const bank = bankEnvironment(settings, { resources: connectionString, auth: connectionString })
    const start = async () => (await startConnector({ ...bank, LOG_LEVEL: 'silent' })).close()
    await assert.rejects(start, (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /USE_TIGERBEETLE=false, but the ledger moved to elsewhere on /)
      return true
    })
    // Nobody has used the cluster that the environment names: it is another one.
    for (const args of [['--reopen'], []]) {
      const refused = await run('ledger-copy', environment, args).ended
      assert.equal(refused.code, 1, refused.out)
      assert.match(refused.out, /the ledger moved to elsewhere on .*the TigerBeetle cluster 0 at 1/)
      assert.equal((await findFence(connectionString))?.movedTo, 'elsewhere')
    }
    const reopened = await run('ledger-copy', environment, ['--reopen=unchecked']).ended
    assert.equal(reopened.code, 0, reopened.out)
    assert.match(reopened.out, /Postgres takes bookings again, which moved to elsewhere on /)
    assert.equal(await findFence(connectionString), undefined)
  } finally {
    await database.drop()
  }
})

test('two Postgres ledgers are compared, and wrong arguments are refused', async () => {
  const databases = await Promise.all([createTestDatabase('ledger'), createTestDatabase('ledger')])
  const [one, other] = databases
  const environment = { LEDGER_DATABASE_URL: one.connectionString }
  const against = [`--against=${other.connectionString}`]
  try {
    const equal = await run('ledger-verify', environment, against).ended
    assert.equal(equal.code, 0, equal.out)
    assert.match(equal.out, /the first and the second are equal: 0 accounts, 0 transfers/)
    const ledger = createPostgresLedger({ connectionString: other.connectionString, log: silentLogger })
    const id = settlementAccountId(5)
    assert.deepEqual(await ledger.createAccounts([{ id, ledger: 5, code: 101 }]), ['created'])
    await ledger.close()
    const different = await run('ledger-verify', environment, against).ended
    assert.equal(different.code, 1)
    assert.match(different.out, new RegExp(`DIFFERENT account ${id}: only in the second`))
    for (const [command, args] of [
      ['ledger-verify', ['--against=nonsense']],
      ['ledger-copy', ['--force']],
      ['ledger-copy', ['--reopen', '--reopen']],
    ] as const) {
      const refused = await run(command, environment, [...args]).ended
      assert.equal(refused.code, 1)
      assert.match(refused.out, /^unknown argument/)
    }
  } finally {
    for (const database of databases) await database.drop()
  }
})

describe('a bank moves from Postgres to TigerBeetle', { skip: withoutTigerBeetleBinary }, () => {
  let clusters: OwnTigerBeetle[]
  let databases: TestDatabase[]
  before(async () => {
    clusters = await Promise.all([startTestTigerBeetle(), startTestTigerBeetle()])
    databases = await Promise.all(
      (['resources', 'auth', 'resources', 'auth'] as const).map((kind) => createTestDatabase(kind)),
    )
  })
  after(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
    for (const database of databases) await database.drop()
  })

  test('payments before, a copy that is killed and finished, payments after', async () => {
    const [a, b] = clusters as [OwnTigerBeetle, OwnTigerBeetle]
    const [resourcesA, authA, resourcesB, authB] = databases.map(
      ({ connectionString }) => connectionString,
    ) as [string, string, string, string]
    const codes = demoPlan.a.assets.map((asset) => asset.code)
    const settings = { a: await createBankSettings('a', codes), b: await createBankSettings('b', codes) }
    const start = (environments: { a: Record<string, string>; b: Record<string, string> }) =>
      startTwoBanks({
        settings,
        databases: {
          a: { resources: resourcesA, auth: authA },
          b: { resources: resourcesB, auth: authB },
        },
        plans: plainPlans,
        log: silentLogger,
        environments: {
          a: { LOG_LEVEL: 'silent', ...environments.a },
          b: { LOG_LEVEL: 'silent', ...environments.b },
        },
      })
    const payOnce = async (banks: Awaited<ReturnType<typeof start>>, bank: 'a' | 'b', customer: string) => {
      const plan = {
        payer: banks.side('a', 'alice'),
        payee: banks.side(bank, customer),
        receiveValue: 500n,
        timeoutMs: TIMEOUT_MS,
      }
      const outcome = await pay(plan)
      assert.equal(outcome.outgoing.state, 'COMPLETED')
      assert.equal(outcome.received?.value, '500')
      await awaitWithdrawals(plan, outcome)
      return outcome
    }

    const onPostgres = await start({ a: {}, b: {} })
    const environment = { DATABASE_URL: resourcesA, ...environmentOf(a) }
    try {
      for (let count = 0; count < 5; count++) await payOnce(onPostgres, 'b', 'bob')
      await payOnce(onPostgres, 'a', 'amara')
      const refused = await run('ledger-copy', environment).ended
      assert.equal(refused.code, 1)
      assert.match(refused.out, /the ledger is in use: \d+ connections/)
    } finally {
      await onPostgres.close()
    }
    await Promise.all([untilUnused(resourcesA), untilUnused(resourcesB)])

    // Killed at some moment of its work, whichever that is, and run again.
    const broken = run('ledger-copy', environment)
    const contents = await openTigerBeetleContents({ ...a, log: silentLogger })
    await waitFor(async () => {
      for await (const page of contents.accounts()) return page.length > 0
      return false
    }, TIMEOUT_MS)
    broken.child.kill('SIGKILL')
    await broken.ended
    await contents.close()
    await sleep(200)
    for (const [resources, cluster] of [
      [resourcesA, a],
      [resourcesB, b],
    ] as const) {
      await untilUnused(resources)
      const copied = await run('ledger-copy', { DATABASE_URL: resources, ...environmentOf(cluster) }).ended
      assert.equal(copied.code, 0, copied.out)
      assert.match(copied.out, /Postgres and TigerBeetle are equal: \d+ accounts, \d+ transfers/)
      assert.match(copied.out, /Postgres takes no more bookings/)
    }
    await assert.rejects(start({ a: {}, b: {} }), /the ledger moved to the TigerBeetle cluster 0 at /)
    // Back, while nothing was booked there, and over once more.
    const back = await run('ledger-copy', environment, ['--reopen']).ended
    assert.match(back.out, /Postgres takes bookings again/)
    await untilUnused(resourcesA)
    const over = await run('ledger-copy', environment).ended
    assert.match(over.out, /Postgres takes no more bookings/)
    await untilUnused(resourcesA)
    const verified = await run('ledger-verify', environment).ended
    assert.equal(verified.code, 0, verified.out)

    const onTigerBeetle = await start({
      a: { USE_TIGERBEETLE: 'true', ...environmentOf(a) },
      b: { USE_TIGERBEETLE: 'true', ...environmentOf(b) },
    })
    try {
      await payOnce(onTigerBeetle, 'b', 'bob')
      await payOnce(onTigerBeetle, 'a', 'amara')
    } finally {
      await onTigerBeetle.close()
    }
    const moved = await run('ledger-verify', environment).ended
    assert.equal(moved.code, 1)
    assert.match(moved.out, /DIFFERENT account [^ ]+: (debits|credits)Posted \d+ and \d+/)
    const again = await run('ledger-copy', environment).ended
    assert.equal(again.code, 1)
    assert.match(again.out, /the TigerBeetle cluster is in use already/)
    const late = await run('ledger-copy', environment, ['--reopen']).ended
    assert.equal(late.code, 1)
    assert.match(late.out, /TigerBeetle was used/)
    assert.ok(await findFence(resourcesA))
    const ledger = await createTigerBeetleLedger({ ...a, log: silentLogger })
    const [settlement] = await ledger.lookupAccounts([settlementAccountId(1)])
    assert.ok((settlement?.debitsPosted ?? 0n) > 0n)
    await ledger.close()
  })
})
