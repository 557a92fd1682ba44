import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import {
  accountCode,
  availableCredit,
  type CreateTransferStatus,
  isSuccess,
  type LedgerId,
  settlementAccountId,
  type TransferEvent,
  transferCode,
} from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'

const RESERVATIONS = 10_000
const PER_CALL = 100
const CLIENTS = 4
/** The shortest there is. */
const TIMEOUT_SECONDS = 1
/** Ends that race an expiry are sent so long before it and after it. */
const AROUND_MS = 150
/** Calls that create reservations begin over this time, so that expiries, posts and voids of all of them mix. */
const SPREAD_MS = 1_500
const USD = 1

let database: TestDatabase
let clients: PostgresLedger[]

before(async () => {
  database = await createTestDatabase('ledger')
  clients = Array.from({ length: CLIENTS }, () =>
    // Sweeps, which race as well, are many: each client has its own.
    createPostgresLedger({
      connectionString: database.connectionString,
      log: silentLogger,
      sweepIntervalMs: 20,
    }),
  )
})

after(async () => {
  await Promise.all(clients.map((client) => client.close()))
  assert.deepEqual(await auditLedger(database.connectionString), [])
  await database.drop()
})

interface Reservation {
  hold: Extract<TransferEvent, { kind: 'pending' }>
  post: TransferEvent
  void: TransferEvent
  posts: CreateTransferStatus[]
  voids: CreateTransferStatus[]
}

const client = (index: number): PostgresLedger => clients[index % CLIENTS] as PostgresLedger

function reservation(from: LedgerId, to: LedgerId): Reservation {
  const id = randomUUID()
  const amount = BigInt(randomInt(1, 100))
  return {
    hold: {
      kind: 'pending',
      id,
      debitAccountId: from,
      creditAccountId: to,
      ledger: USD,
      code: transferCode.withdrawal,
      amount,
      timeoutSeconds: TIMEOUT_SECONDS,
    },
    post: { kind: 'post', id: randomUUID(), pendingId: id },
    void: { kind: 'void', id: randomUUID(), pendingId: id },
    posts: [],
    voids: [],
  }
}

/** One call of reservations, and of each what becomes of it: ended early, ended around its expiry by several at once, or left. */
async function live(reservations: Reservation[], call: number): Promise<void> {
  await sleep(randomInt(SPREAD_MS))
  const holds = reservations.map(({ hold }) => hold)
  assert.ok((await client(call).createTransfers(holds)).every((status) => status === 'created'))
  const expiresAtMs = performance.now() + TIMEOUT_SECONDS * 1000
  const end = async (kind: 'post' | 'void', some: Reservation[], by: number, atMs: number) => {
    if (atMs > performance.now()) await sleep(atMs - performance.now())
    const statuses = await client(by).createTransfers(some.map((one) => one[kind]))
    for (const [index, one] of some.entries())
      one[kind === 'post' ? 'posts' : 'voids'].push(statuses[index] as CreateTransferStatus)
  }
  const part = (remainder: number) => reservations.filter((_, index) => index % 5 === remainder)
  const nearExpiry = () => expiresAtMs + randomInt(-AROUND_MS, AROUND_MS)
  const racing = [...part(3), ...part(4)]
  await Promise.all([
    end('post', part(0), call + 1, 0),
    end('void', part(0), call + 2, nearExpiry()),
    end('void', part(1), call + 1, 0),
    end('post', part(1), call + 2, nearExpiry()),
    // Each end twice, by different clients: the second may be the first one's repeat. The client that reserved knows more than others.
    ...[0, 1].flatMap((by) => [
      end('post', racing, call + by, nearExpiry()),
      end('void', racing.toReversed(), call + by + 1, nearExpiry()),
    ]),
  ])
}

/** What the answers say about the outcome; fails when they say two things. */
function outcomeOf({ posts, voids }: Reservation): 'posted' | 'voided' | 'expired' {
  const said = `${posts} / ${voids}`
  const isPosted = posts.some(isSuccess)
  const isVoided = voids.some(isSuccess)
  assert.ok(!(isPosted && isVoided), said)
  const [winners, losers] = isVoided ? [voids, posts] : [posts, voids]
  if (!isPosted && !isVoided) {
    for (const status of [...posts, ...voids]) assert.equal(status, 'pending_transfer_expired', said)
    return 'expired'
  }
  assert.equal(winners.filter((status) => status === 'created').length, 1, said)
  assert.ok(winners.every(isSuccess), said)
  const refusal = isPosted ? 'pending_transfer_already_posted' : 'pending_transfer_already_voided'
  for (const status of losers) assert.equal(status, refusal, said)
  return isPosted ? 'posted' : 'voided'
}

test(`F28: ${RESERVATIONS} reservations, whose posts, voids, repeats, expiries and sweeps race over ${CLIENTS} clients: each has one outcome, and the books are exact`, async () => {
  const [from, to, settlement] = [randomUUID(), randomUUID(), settlementAccountId(USD)]
  const reservations = Array.from({ length: RESERVATIONS }, () => reservation(from, to))
  const sumOf = (some: readonly Reservation[]) => some.reduce((sum, { hold }) => sum + hold.amount, 0n)
  const deposit = sumOf(reservations)
  const movement = { ledger: USD, code: transferCode.transfer, kind: 'posted' as const }
  const liquidity = { ledger: USD, code: accountCode.peer, debitsMustNotExceedCredits: true }
  const created = await client(0).createAccounts([
    { id: settlement, ledger: USD, code: accountCode.settlement },
    { ...liquidity, id: from },
    { ...liquidity, id: to },
  ])
  assert.ok(created.every(isSuccess))
  const pay = (debitAccountId: LedgerId, creditAccountId: LedgerId, amount: bigint) =>
    client(0).createTransfers([{ ...movement, id: randomUUID(), debitAccountId, creditAccountId, amount }])
  // Exactly enough: whatever is reserved twice, or not given back, shows.
  assert.deepEqual(await pay(settlement, from, deposit), ['created'])

  const calls = Array.from({ length: RESERVATIONS / PER_CALL }, (_, call) =>
    live(reservations.slice(call * PER_CALL, (call + 1) * PER_CALL), call),
  )
  await Promise.all(calls)

  const accounts = async () => await client(1).lookupAccounts([from, to])
  await waitFor(async () => (await accounts())[0]?.debitsPending === 0n)
  const outcomes = Map.groupBy(reservations, outcomeOf)
  const [posted, voided, expired] = (['posted', 'voided', 'expired'] as const).map(
    (outcome) => outcomes.get(outcome) ?? [],
  ) as [Reservation[], Reservation[], Reservation[]]
  for (const some of [posted, voided, expired]) assert.ok(some.length > 0)
  for (let first = 0; first < RESERVATIONS; first += 1_000) {
    const some = reservations.slice(first, first + 1_000)
    const holds = await client(2).lookupTransfers(some.map(({ hold }) => hold.id))
    assert.deepEqual(
      holds.map((hold) => hold?.state),
      some.map(outcomeOf),
    )
    const ends = await client(2).lookupTransfers(
      some.map((one) => (outcomeOf(one) === 'posted' ? one.post : one.void).id),
    )
    for (const [index, end] of ends.entries()) {
      const { expiresAt } = holds[index] ?? {}
      assert.ok(expiresAt)
      // Both are cut to the millisecond.
      if (end) assert.ok(end.createdAt <= expiresAt, 'nothing ends behind its expiry')
    }
  }
  const [payer, payee] = await accounts()
  const paid = sumOf(posted)
  assert.deepEqual([payer?.debitsPosted, payer?.debitsPending, payer?.creditsPosted], [paid, 0n, deposit])
  assert.deepEqual([payee?.creditsPosted, payee?.creditsPending], [paid, 0n])
  assert.ok(payer)
  assert.equal(availableCredit(payer), deposit - paid)
  // What was given back can be spent, and not a unit more.
  assert.deepEqual(await pay(from, settlement, deposit - paid + 1n), ['exceeds_credits'])
  assert.deepEqual(await pay(from, settlement, deposit - paid), ['created'])
  assert.deepEqual(await pay(from, settlement, 1n), ['exceeds_credits'])
})
