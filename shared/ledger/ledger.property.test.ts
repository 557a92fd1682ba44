import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from '../platform/index.ts'
import { createTestDatabase, type TestClock, type TestDatabase, testClock } from '../testing/index.ts'
import { auditLedger } from './audit.ts'
import { createModelLedger } from './model.ts'
import {
  accountCode,
  type CloseTransfer,
  isSuccess,
  type Ledger,
  type LedgerId,
  type NewAccount,
  type PendingTransfer,
  settlementAccountId,
  type TransferEvent,
  ZERO_ID,
} from './port.ts'
import { createPostgresLedger, type PostgresLedger } from './postgres/ledger.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

/** Each of two ledgers has: settlement, three that cannot be overdrawn, one without a limit; and then there is nobody. */
const ACCOUNTS_PER_LEDGER = 5
const NOBODY = 2 * ACCOUNTS_PER_LEDGER
/** Accounts that only events which need them credit, on each ledger. */
const NEWCOMERS = 3

/** What an event is, in numbers; places are taken modulo what there is. */
interface Draft {
  kind: TransferEvent['kind']
  linked: boolean
  /** Which earlier id it uses again; `undefined`: an id of its own. */
  repeats: number | undefined
  /** Which earlier event it posts or voids. */
  pending: number
  debit: number
  credit: number
  ledger: number | undefined
  amount: bigint | undefined
  timeoutSeconds: number
  tag: number
  userData32: number
  /** Which newcomer it credits, instead of another, and what kind of account it takes that one for. */
  newcomer: { place: number; code: number } | undefined
}

/** An account to make; its id is one of a few places. */
type AccountDraft = Omit<NewAccount, 'id'> & { id: number }

type Round = { seconds: number; calls: Draft[][] }

const drafts = (input: { faults: boolean }): fc.Arbitrary<Draft> => {
  const amounts = fc.oneof(
    { weight: 6, arbitrary: fc.bigInt(1n, 40n) },
    { weight: input.faults ? 2 : 0, arbitrary: fc.constantFrom(0n, 2n ** 63n, 2n ** 64n - 1n) },
    { weight: input.faults ? 1 : 0, arbitrary: fc.bigInt(0n, 2n ** 64n - 1n) },
  )
  const place = fc.nat({ max: input.faults ? NOBODY : NOBODY - 1 })
  return fc.record({
    kind: fc.oneof(
      { weight: 3, arbitrary: fc.constant('pending' as const) },
      { weight: 2, arbitrary: fc.constant('posted' as const) },
      { weight: 3, arbitrary: fc.constant('post' as const) },
      { weight: 2, arbitrary: fc.constant('void' as const) },
      { weight: input.faults ? 1 : 2, arbitrary: fc.constant('close' as const) },
    ),
    linked: fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.boolean() }),
    repeats: input.faults
      ? fc.oneof(
          { weight: 5, arbitrary: fc.constant(undefined) },
          { weight: 1, arbitrary: fc.nat({ max: 200 }) },
        )
      : fc.constant(undefined),
    pending: fc.nat({ max: 200 }),
    debit: place,
    credit: place,
    ledger: input.faults
      ? fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.nat({ max: 1 }))
      : fc.constant(undefined),
    amount: fc.oneof({ weight: 4, arbitrary: amounts }, fc.constant(undefined)),
    timeoutSeconds: input.faults ? fc.nat({ max: 4 }) : fc.integer({ min: 2, max: 60 }),
    tag: fc.nat({ max: 3 }),
    userData32: fc.constantFrom(0, 0, 1, 2 ** 32 - 1),
    newcomer: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.record({
          place: fc.nat({ max: NEWCOMERS - 1 }),
          // 0 is refused for itself, 2 after a 1.
          code: input.faults ? fc.constantFrom(0, 1, 1, 1, 1, 2) : fc.constant(1),
        }),
      },
    ),
  })
}

const scripts = (input: { faults: boolean }): fc.Arbitrary<Round[]> =>
  fc.array(
    fc.record({
      seconds: input.faults ? fc.nat({ max: 2 }) : fc.constantFrom(0, 0, 0, 1),
      calls: fc.array(fc.array(drafts(input), { minLength: 1, maxLength: 5 }), {
        minLength: 1,
        maxLength: 8,
      }),
    }),
    { minLength: 1, maxLength: 8 },
  )

/** Few ids, so that most come again, in one batch or later. Without chains, with whole ones, or with whatever can be wrong. */
const accountCalls = fc.constantFrom('alone', 'chains', 'faults').chain((mode) => {
  const least = mode === 'faults' ? 0 : 1
  const account = fc.record({
    id: fc.oneof(
      { weight: 30, arbitrary: fc.nat({ max: 5 }) },
      { weight: 1 - least, arbitrary: fc.constant(6) },
    ),
    ledger: fc.integer({ min: least, max: 2 }),
    code: fc.integer({ min: least, max: 2 }),
    linked: fc.constantFrom(false, mode !== 'alone'),
    debitsMustNotExceedCredits: fc.boolean(),
    userData32: fc.constantFrom(0, 2 ** 32 - 1),
  })
  const closed = (call: AccountDraft[]) =>
    call.map((draft, index) => (index === call.length - 1 ? { ...draft, linked: false } : draft))
  const call: fc.Arbitrary<AccountDraft[]> = fc.array(account, { minLength: 1, maxLength: 4 })
  return fc.array(mode === 'faults' ? call : call.map(closed), { minLength: 1, maxLength: 4 })
})

let nextLedger = 1

/** Accounts and ids of one run; nothing is shared with other runs. */
function createWorld() {
  const ledgers = [nextLedger++, nextLedger++] as const
  const ids: LedgerId[] = Array.from({ length: NOBODY + 1 }, () => randomUUID())
  // Closing transfers go through it.
  for (const [index, number] of ledgers.entries())
    ids[index * ACCOUNTS_PER_LEDGER] = settlementAccountId(number)
  const tags = [undefined, ZERO_ID, randomUUID(), ids[1]]
  const accounts = ids.slice(0, NOBODY).map((id, index): NewAccount => {
    const role = index % ACCOUNTS_PER_LEDGER
    return {
      id,
      ledger: ledgers[index < ACCOUNTS_PER_LEDGER ? 0 : 1],
      code: role === 0 ? accountCode.settlement : accountCode.peer,
      creditsMustNotExceedDebits: role === 0,
      debitsMustNotExceedCredits: role > 0 && role < 4,
    }
  })
  const newcomers = ledgers.map(() => Array.from({ length: NEWCOMERS }, () => randomUUID()))
  const made: TransferEvent[] = []
  /** Pending transfers of this round, and those of earlier ones that nobody posted or voided yet. */
  let fresh: PendingTransfer[] = []
  let open: PendingTransfer[] = []
  /** What closed an account, as far as nothing failed, and in this round or before it. */
  const closes = new Map<LedgerId, { close: CloseTransfer; isFresh: boolean }>()
  const ledgerAt = (place: number) => ledgers[place < ACCOUNTS_PER_LEDGER ? 0 : 1]
  const at = <T>(items: readonly T[], place: number): T | undefined =>
    items[place % Math.max(1, items.length)]

  const common = (draft: Draft) => ({
    id: draft.repeats === undefined ? randomUUID() : (at(made, draft.repeats)?.id ?? randomUUID()),
    ...(draft.linked && { linked: true }),
    ...(tags[draft.tag] !== undefined && { userData128: tags[draft.tag] as string }),
    ...(draft.userData32 > 0 && { userData32: draft.userData32, userData64: 2n ** 64n - 1n }),
  })

  /** What an event that credits a newcomer has of its own. */
  const towards = ({ debit, newcomer }: Draft) => {
    if (!newcomer) return {}
    const side = debit < ACCOUNTS_PER_LEDGER ? 0 : 1
    const id = newcomers[side]?.[newcomer.place] as string
    const account = { id, ledger: ledgers[side], code: newcomer.code, debitsMustNotExceedCredits: true }
    return { creditAccountId: id, needs: [account] }
  }

  /** Any two accounts, mostly of one ledger: otherwise nothing would pass. */
  const wildMovement = (draft: Draft) => {
    const first = draft.debit < ACCOUNTS_PER_LEDGER ? 0 : ACCOUNTS_PER_LEDGER
    const neighbour = first + (draft.credit % ACCOUNTS_PER_LEDGER)
    return {
      ...common(draft),
      debitAccountId: ids[draft.debit] as string,
      creditAccountId: ids[draft.tag === 3 ? draft.credit : neighbour] as string,
      ledger: draft.ledger === undefined ? ledgerAt(draft.debit) : (ledgers[draft.ledger] as number),
      code: draft.credit === 7 ? 0 : 1 + (draft.tag % 2),
      amount: draft.amount ?? 3n,
      ...towards(draft),
    }
  }

  const wildEvent = (draft: Draft): TransferEvent => {
    const pendingId = at(made, draft.pending)?.id ?? randomUUID()
    const amount = draft.amount === undefined ? {} : { amount: draft.amount }
    switch (draft.kind) {
      case 'post':
        return { ...common(draft), kind: 'post', pendingId, ...amount }
      case 'void':
        return { ...common(draft), kind: 'void', pendingId }
      case 'posted':
        return { ...wildMovement(draft), kind: 'posted' }
      case 'pending':
        return { ...wildMovement(draft), kind: 'pending', timeoutSeconds: draft.timeoutSeconds }
      case 'close':
        return {
          ...common(draft),
          kind: 'close',
          accountId: ids[draft.credit] as string,
          ledger: draft.ledger === undefined ? ledgerAt(draft.credit) : (ledgers[draft.ledger] as number),
          code: 1,
        }
    }
  }

  const closeOf = (draft: Draft, accountId: LedgerId): CloseTransfer => {
    const close = {
      ...common(draft),
      kind: 'close' as const,
      accountId,
      ledger: ledgerAt(draft.debit),
      code: 1,
    }
    closes.set(accountId, { close, isFresh: true })
    return close
  }

  /** Closes an account; or opens one that was closed in an earlier round, for good or for a movement and its next close. */
  const tameClose = (draft: Draft): TransferEvent[] => {
    const first = draft.debit < ACCOUNTS_PER_LEDGER ? 0 : ACCOUNTS_PER_LEDGER
    // Never all of a ledger's accounts.
    const accountId = ids[first + 1 + (draft.credit % 2)] as string
    const closed = closes.get(accountId)
    if (!closed) return [closeOf(draft, accountId)]
    if (closed.isFresh) return []
    const reopen = { ...common(draft), kind: 'void' as const, pendingId: closed.close.id }
    if (draft.tag === 0) {
      closes.delete(accountId)
      return [reopen]
    }
    const movement = { debitAccountId: accountId, creditAccountId: ids[first] as string, amount: 2n }
    const rest = { id: randomUUID(), linked: true, ledger: ledgerAt(draft.debit), code: 1 }
    return [
      { ...reopen, linked: true },
      { ...rest, ...movement, kind: 'posted' },
      closeOf({ ...draft, linked: false }, accountId),
    ]
  }

  /** Of the accounts of the place's ledger, that one or the next that is open and is not the other. */
  const openAccount = (place: number, other?: LedgerId): LedgerId => {
    const first = place < ACCOUNTS_PER_LEDGER ? 0 : ACCOUNTS_PER_LEDGER
    for (let step = 0; step < ACCOUNTS_PER_LEDGER; step++) {
      const id = ids[first + ((place - first + step) % ACCOUNTS_PER_LEDGER)] as string
      if (id !== other && !closes.has(id)) return id
    }
    throw new Error('some accounts of a ledger are always open')
  }

  const tameResolution = (draft: Draft, reserved: PendingTransfer): TransferEvent => {
    open = open.filter((other) => other !== reserved)
    const resolution = { ...common(draft), pendingId: reserved.id }
    const isClosed = closes.has(reserved.debitAccountId) || closes.has(reserved.creditAccountId)
    if (draft.kind === 'void' || isClosed) return { ...resolution, kind: 'void' }
    const part = draft.amount !== undefined && draft.amount <= reserved.amount ? { amount: draft.amount } : {}
    return { ...resolution, kind: 'post', ...part }
  }

  /** Events that pass, unless money is short. */
  const tameEvents = (draft: Draft): TransferEvent[] => {
    if (draft.kind === 'close') return tameClose(draft)
    const reserved = at(open, draft.pending)
    if (reserved && (draft.kind === 'post' || draft.kind === 'void')) return [tameResolution(draft, reserved)]
    const debitAccountId = openAccount(draft.debit)
    const first = draft.debit < ACCOUNTS_PER_LEDGER ? 0 : ACCOUNTS_PER_LEDGER
    const movement = {
      ...common(draft),
      debitAccountId,
      creditAccountId: openAccount(first + (draft.credit % ACCOUNTS_PER_LEDGER), debitAccountId),
      ledger: ledgerAt(draft.debit),
      code: 1 + (draft.tag % 2),
      amount: draft.amount ?? 3n,
      ...towards(draft),
    }
    if (draft.kind === 'posted' || draft.kind === 'void') return [{ ...movement, kind: 'posted' }]
    const pending: PendingTransfer = { ...movement, kind: 'pending', timeoutSeconds: draft.timeoutSeconds }
    fresh.push(pending)
    return [pending]
  }

  /** No chain is left open. */
  const tameCall = (drafts: readonly Draft[]): TransferEvent[] => {
    const events = drafts.flatMap(tameEvents)
    const last = events.at(-1)
    if (last?.linked) events[events.length - 1] = { ...last, linked: false }
    return events
  }

  return {
    accounts,
    newcomers: newcomers.flat(),
    made,
    calls(drafts: readonly Draft[][], faults: boolean): TransferEvent[][] {
      const calls = drafts.map((call) =>
        faults
          ? call.map((draft) => {
              // A repeat is now and then exact, so that `exists` comes up.
              const original = draft.repeats === undefined ? undefined : at(made, draft.repeats)
              return original && draft.amount === undefined ? original : wildEvent(draft)
            })
          : tameCall(call),
      )
      made.push(...calls.flat())
      open.push(...fresh)
      fresh = []
      for (const closed of closes.values()) closed.isFresh = false
      return calls
    },
    deposits: (faults: boolean): TransferEvent[] =>
      accounts.flatMap((account, index) =>
        index % ACCOUNTS_PER_LEDGER === 0
          ? []
          : {
              kind: 'posted' as const,
              id: randomUUID(),
              debitAccountId: ids[index < ACCOUNTS_PER_LEDGER ? 0 : ACCOUNTS_PER_LEDGER] as string,
              creditAccountId: account.id,
              ledger: account.ledger,
              code: 2,
              amount: faults ? 200n : 2000n,
            },
      ),
  }
}

describe('both paths of the Postgres ledger and the model agree', () => {
  let databases: TestDatabase[]
  let clock: TestClock
  let paths: PostgresLedger[]
  /** Another process on the first path's books: knows nothing of what the first one reserved and closed but what it looks up. */
  let other: PostgresLedger
  const taken = { clean: 0, ordered: 0 }

  before(async () => {
    clock = testClock()
    databases = await Promise.all([createTestDatabase('ledger'), createTestDatabase('ledger')])
    const open = ({ connectionString }: TestDatabase, path: 'clean' | 'ordered') =>
      createPostgresLedger({
        connectionString,
        log: silentLogger,
        clock,
        sweepIntervalMs: 0,
        path,
        onBatch: (batch) => {
          if (path === 'clean') taken[batch.path]++
        },
      })
    const [first, second] = databases as [TestDatabase, TestDatabase]
    paths = [open(first, 'clean'), open(second, 'ordered')]
    other = open(first, 'clean')
  })

  after(async () => {
    for (const ledger of [...paths, other]) await ledger.close()
    for (const { connectionString, drop } of databases) {
      assert.deepEqual(await auditLedger(connectionString, { now: clock.now() }), [])
      await drop()
    }
  })

  const run = async (rounds: Round[], faults: boolean): Promise<void> => {
    const model = createModelLedger(clock)
    const ledgers: Ledger[] = [model, ...paths]
    let previous: LedgerId[] = []
    const world = createWorld()
    const deposits = world.deposits(faults)
    for (const ledger of ledgers) {
      assert.ok((await ledger.createAccounts(world.accounts)).every(isSuccess))
      assert.ok((await ledger.createTransfers(deposits)).every(isSuccess))
    }
    for (const { seconds, calls } of rounds) {
      clock.advance(seconds * 1000)
      // The two processes take turns, and look at what the other one made.
      ledgers[1] = ledgers[1] === other ? (paths[0] as Ledger) : other
      assert.deepEqual(await ledgers[1].lookupTransfers(previous), await model.lookupTransfers(previous))
      const events = world.calls(calls, faults)
      // Submitted together, so that the batcher puts them into one batch; the model takes them one after the other.
      const [expected, ...answers] = await Promise.all(
        ledgers.map((ledger) => Promise.all(events.map((call) => ledger.createTransfers(call)))),
      )
      for (const answer of answers) assert.deepEqual(answer, expected)
      previous = [...new Set(events.flat().map((event) => event.id))]
      await assertSameBooks(model, [...world.accounts.map(({ id }) => id), ...world.newcomers])
    }
    const ids = [...new Set(world.made.map((event) => event.id))]
    const expected = await model.lookupTransfers(ids)
    const lists = await Promise.all(
      world.accounts.map(({ id }) => model.queryTransfers({ accountId: id, limit: 50, reversed: true })),
    )
    for (const ledger of paths) {
      assert.deepEqual(await ledger.lookupTransfers(ids), expected)
      for (const [index, { id }] of world.accounts.entries())
        assert.deepEqual(
          await ledger.queryTransfers({ accountId: id, limit: 50, reversed: true }),
          lists[index],
        )
    }
  }

  const assertSameBooks = async (model: Ledger, ids: readonly LedgerId[]): Promise<void> => {
    const books = (found: Awaited<ReturnType<Ledger['lookupAccounts']>>) =>
      found.map((account) => account && { ...account, createdAt: undefined })
    const expected = books(await model.lookupAccounts(ids))
    for (const ledger of paths) {
      await ledger.sweep()
      assert.deepEqual(books(await ledger.lookupAccounts(ids)), expected)
    }
  }

  const property = (faults: boolean) => fc.asyncProperty(scripts({ faults }), (rounds) => run(rounds, faults))
  const options = { seed, endOnFailure: true }

  test('with faults of every kind', () => fc.assert(property(true), { ...options, numRuns: 25 }))

  test('accounts, alone and in chains, repeated and refused', () =>
    fc.assert(
      fc.asyncProperty(accountCalls, async (calls) => {
        const ids = Array.from({ length: 6 }, () => randomUUID())
        const events = calls.map((call) => call.map((draft) => ({ ...draft, id: ids[draft.id] ?? ZERO_ID })))
        const [expected, ...answers] = await Promise.all(
          [createModelLedger(clock), paths[0] as Ledger, paths[1] as Ledger].map(async (ledger) => {
            const statuses = await Promise.all(events.map((call) => ledger.createAccounts(call)))
            return [statuses, await ledger.lookupAccounts(ids)]
          }),
        )
        for (const answer of answers) assert.deepEqual(answer, expected)
      }),
      { ...options, numRuns: 60 },
    ))

  test('mostly clean, so that the fast path is taken', async () => {
    const before = { ...taken }
    await fc.assert(property(false), { ...options, numRuns: 20 })
    const share = (taken.clean - before.clean) / (taken.clean + taken.ordered - before.clean - before.ordered)
    assert.ok(share > 0.5, `the fast path took ${share} of the batches`)
  })
})
