import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { choosePort } from '../../loopback-ports/index.ts'
import { Fault, silentLogger } from '../../platform/index.ts'
import { type OwnTigerBeetle, startTestTigerBeetle, withoutTigerBeetleBinary } from '../../testing/index.ts'
import {
  accountCode,
  type CreateTransferStatus,
  isSuccess,
  type Ledger,
  type PendingTransfer,
  settlementAccountId,
  type TransferEvent,
} from '../port.ts'
import { createTigerBeetleLedger, type TigerBeetleLedgerOptions } from './ledger.ts'

const LEDGER = 1
const WORKERS = 16
const DEPOSIT = 1_000_000n
const KILLS = 4
const RUN_MS = 700

const open = (
  replicas: TigerBeetleLedgerOptions['replicas'],
  options: Partial<TigerBeetleLedgerOptions> = {},
): Promise<Ledger> =>
  createTigerBeetleLedger({
    clusterId: 0n,
    replicas,
    log: silentLogger,
    outcomeTimeoutMs: 400,
    silenceMsMax: 200,
    closeTimeoutMs: 100,
    ...options,
  })

const posted = (from: string, to: string, amount: bigint): TransferEvent => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId: from,
  creditAccountId: to,
  ledger: LEDGER,
  code: 1,
  amount,
})

test('F38: with nobody there, the real client gives answers in time, memory stays flat, and it closes', async () => {
  const ledger = await open([{ host: 'localhost', port: await choosePort() }], { queueSizeMax: 500 })
  const before = process.memoryUsage().rss
  const start = performance.now()
  const rounds: string[] = []
  while (performance.now() - start < 1_500) {
    const calls = Array.from({ length: 200 }, () =>
      ledger.createTransfers([posted(randomUUID(), randomUUID(), 1n)]).then(
        () => 'answered',
        (error: Fault) => error.code,
      ),
    )
    rounds.push(...(await Promise.all(calls)))
  }
  assert.deepEqual([...new Set(rounds)].toSorted(), ['ledger_outcome_unknown'])
  await assert.rejects(ledger.lookupAccounts([randomUUID()]), { code: 'ledger_unavailable', retryable: true })
  assert.ok(process.memoryUsage().rss - before < 150 * 2 ** 20, 'what is given up is forgotten')
  const closing = performance.now()
  await ledger.close()
  assert.ok(performance.now() - closing < 2_000)
})

test('a process ends by itself once its ledger is closed, though nobody ever answered', async () => {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./outages.client.ts', import.meta.url)), String(await choosePort())],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let said = ''
  child.stdout.on('data', (bytes) => {
    said += bytes
  })
  const [code] = await once(child, 'close', { signal: AbortSignal.timeout(30_000) })
  assert.equal(said.trim(), 'ledger_outcome_unknown ledger_outcome_unknown')
  assert.equal(code, 0)
})

async function openAccounts(ledger: Ledger): Promise<{ from: string; to: string }> {
  const [from, to] = [randomUUID(), randomUUID()]
  const settlement = settlementAccountId(LEDGER)
  const limited = { ledger: LEDGER, code: accountCode.peer, debitsMustNotExceedCredits: true }
  await repeated(() =>
    ledger.createAccounts([
      { id: settlement, ledger: LEDGER, code: accountCode.settlement, creditsMustNotExceedDebits: true },
      { id: from, ...limited },
      { id: to, ...limited },
    ]),
  )
  const deposit = posted(settlement, from, DEPOSIT)
  const statuses = await repeated(() => ledger.createTransfers([deposit]))
  assert.ok(statuses.every(isSuccess))
  return { from, to }
}

/** As callers do: the same events under the same ids, until there is an answer. */
async function repeated<T>(call: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 60_000
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof Fault && error.retryable) || performance.now() > deadline) throw error
      await sleep(20)
    }
  }
}

/** Chains of two holds, posted or voided, until told to end. Returns what was posted. */
async function work(
  ledger: Ledger,
  parties: { from: string; to: string },
  isOver: () => boolean,
  statuses: Map<CreateTransferStatus, number>,
): Promise<bigint> {
  const apply = async (events: TransferEvent[]) => {
    const answer = await repeated(() => ledger.createTransfers(events))
    for (const status of answer) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    assert.ok(answer.every(isSuccess), answer.join(' '))
  }
  let moved = 0n
  for (let number = 0; !isOver(); number++) {
    const hold = (linked: boolean): PendingTransfer => ({
      ...(posted(parties.from, parties.to, 1n) as PendingTransfer),
      kind: 'pending',
      timeoutSeconds: 600,
      linked,
    })
    const holds = [hold(true), hold(false)]
    await apply(holds)
    const kind = number % 3 === 0 ? 'void' : 'post'
    await apply(
      holds.map(({ id, linked }) => ({ kind, id: randomUUID(), pendingId: id, linked: linked === true })),
    )
    if (kind === 'post') moved += 2n
  }
  return moved
}

async function withCluster(
  options: Partial<TigerBeetleLedgerOptions>,
  run: (cluster: OwnTigerBeetle, ledger: Ledger) => Promise<void>,
): Promise<void> {
  const cluster = await startTestTigerBeetle()
  const ledger = await open(cluster.replicas, options)
  try {
    await run(cluster, ledger)
  } finally {
    await ledger.close()
    await cluster.stop()
  }
}

test('F38: a cluster that comes later is found without a restart', { skip: withoutTigerBeetleBinary }, () =>
  withCluster({}, async (cluster, ledger) => {
    await cluster.kill()
    await assert.rejects(ledger.lookupAccounts([randomUUID()]), { code: 'ledger_unavailable' })
    cluster.start()
    const { to } = await openAccounts(ledger)
    assert.equal((await ledger.lookupAccounts([to]))[0]?.creditsPosted, 0n)
  }),
)

test(
  'F38: a server killed in the middle of traffic loses nothing that was acknowledged, and repeats settle the rest',
  {
    skip: withoutTigerBeetleBinary,
  },
  () =>
    withCluster({}, async (cluster, ledger) => {
      const parties = await openAccounts(ledger)
      const statuses = new Map<CreateTransferStatus, number>()
      let isOver = false
      const workers = Promise.all(
        Array.from({ length: WORKERS }, () => work(ledger, parties, () => isOver, statuses)),
      )
      for (let kill = 0; kill < KILLS; kill++) {
        await sleep(RUN_MS)
        await cluster.kill()
        cluster.start()
        // Until it answers again.
        await repeated(() => ledger.lookupAccounts([parties.from]))
      }
      isOver = true
      const moved = (await workers).reduce((sum, each) => sum + each, 0n)
      const [from, to, settlement] = await ledger.lookupAccounts([
        parties.from,
        parties.to,
        settlementAccountId(LEDGER),
      ])
      console.log(`${moved} moved over ${KILLS} kills; answers: ${JSON.stringify([...statuses])}`)
      assert.ok(moved > 100n)
      assert.equal(to?.creditsPosted, moved)
      assert.equal(from?.debitsPosted, moved)
      assert.equal(from?.debitsPending, 0n)
      assert.equal(to?.creditsPending, 0n)
      assert.equal(from?.creditsPosted, DEPOSIT)
      assert.equal(settlement?.debitsPosted, DEPOSIT)
    }),
)
