import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  type Account,
  accountCode,
  availableCredit,
  type CloseTransfer,
  type CreateTransferStatus,
  EVENTS_PER_CALL_MAX,
  isSuccess,
  type Ledger,
  type LedgerId,
  type NewAccount,
  type PendingTransfer,
  type PostedTransfer,
  type PostTransfer,
  settlementAccountId,
  type TransferEvent,
  tenantSurrogate,
  transferCode,
  type VoidTransfer,
  ZERO_ID,
} from './port.ts'

/** A store under test. */
export interface ContractSubject {
  ledger: Ledger
  /** The same store through a client of its own, as another process has it. */
  another(): Promise<Ledger>
  /** Lets time pass for every client, by the clock or by waiting. */
  passSeconds(seconds: number): Promise<void>
  close(): Promise<void>
}

const U64_MAX = 2n ** 64n - 1n
// A cluster that tests share keeps what earlier runs wrote.
let nextLedger = randomInt(1000, 1_000_000_000)

type Fields<T> = Partial<Omit<T, 'kind'>>

/** Accounts and events of one ledger number that no other test uses. */
function createBook(ledger: Ledger) {
  const number = nextLedger++
  const settlement = settlementAccountId(number)
  const liquidity = (fields: Partial<NewAccount> = {}): NewAccount => ({
    id: randomUUID(),
    ledger: number,
    code: accountCode.peer,
    debitsMustNotExceedCredits: true,
    ...fields,
  })
  const movement = () => ({
    id: randomUUID(),
    debitAccountId: settlement,
    creditAccountId: settlement,
    ledger: number,
    code: transferCode.transfer,
    amount: 1n,
  })
  const book = {
    number,
    settlement,
    liquidity,
    posted: (fields: Fields<PostedTransfer>): PostedTransfer => ({
      ...movement(),
      ...fields,
      kind: 'posted',
    }),
    pending: (fields: Fields<PendingTransfer>): PendingTransfer => ({
      timeoutSeconds: 60,
      ...movement(),
      ...fields,
      kind: 'pending',
    }),
    close: (accountId: LedgerId, fields: Fields<CloseTransfer> = {}): CloseTransfer => ({
      id: randomUUID(),
      accountId,
      ledger: number,
      code: transferCode.transfer,
      ...fields,
      kind: 'close',
    }),
    async openSettlement(): Promise<void> {
      const account = {
        id: settlement,
        ledger: number,
        code: accountCode.settlement,
        creditsMustNotExceedDebits: true,
      }
      assert.ok((await ledger.createAccounts([account])).every(isSuccess))
    },
    /** An account that holds `balance`. */
    async open(balance = 0n): Promise<LedgerId> {
      await book.openSettlement()
      const account = liquidity()
      assert.deepEqual(await ledger.createAccounts([account]), ['created'])
      if (balance > 0n)
        await expectAll(ledger, 'created', [book.posted({ creditAccountId: account.id, amount: balance })])
      return account.id
    },
  }
  return book
}

const post = (pendingId: LedgerId, fields: Fields<PostTransfer> = {}): PostTransfer => ({
  id: randomUUID(),
  pendingId,
  ...fields,
  kind: 'post',
})
const voided = (pendingId: LedgerId, fields: Fields<VoidTransfer> = {}): VoidTransfer => ({
  id: randomUUID(),
  pendingId,
  ...fields,
  kind: 'void',
})

async function expectAll(
  ledger: Ledger,
  status: CreateTransferStatus,
  events: readonly TransferEvent[],
): Promise<void> {
  const statuses = await ledger.createTransfers(events)
  assert.deepEqual(
    statuses,
    events.map(() => status),
  )
}

async function balanceOf(ledger: Ledger, id: LedgerId): Promise<Account> {
  const [account] = await ledger.lookupAccounts([id])
  assert.ok(account, 'the account exists')
  return account
}

const available = async (ledger: Ledger, id: LedgerId): Promise<bigint> =>
  availableCredit(await balanceOf(ledger, id))

const figures = ({ debitsPending, debitsPosted, creditsPending, creditsPosted }: Account) => ({
  debitsPending,
  debitsPosted,
  creditsPending,
  creditsPosted,
})

const times = (count: number) => Array.from({ length: count }, (_, index) => index)

/** What every adapter of the port must do. One store serves all tests of a run; each test has a ledger of its own. */
export function ledgerContract(name: string, createSubject: () => Promise<ContractSubject>): void {
  describe(`ledger contract: ${name}`, () => {
    let subject: ContractSubject
    let ledger: Ledger
    before(async () => {
      subject = await createSubject()
      ledger = subject.ledger
    })
    after(() => subject.close())
    const bookOf = () => createBook(ledger)

    accountTests(() => ledger, bookOf)
    movementTests(() => ledger, bookOf)
    reservationTests(() => ({ ledger, subject }), bookOf)
    chainTests(() => ledger, bookOf)
    closingTests(() => ({ ledger, subject }), bookOf)
    neededAccountTests(() => ({ ledger, subject }), bookOf)
    repeatTests(() => ledger, bookOf)
    readTests(() => ledger, bookOf)
    concurrencyTests(() => ({ ledger, subject }), bookOf)
  })
}

type Book = ReturnType<typeof createBook>

function accountTests(ledgerOf: () => Ledger, bookOf: () => Book): void {
  test('an account is created once; a repeat exists, another with its id does not pass', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const account = book.liquidity({
      userData128: randomUUID(),
      userData64: U64_MAX,
      userData32: 2 ** 32 - 1,
    })
    assert.deepEqual(await ledger.createAccounts([account]), ['created'])
    assert.deepEqual(await ledger.createAccounts([account, account]), ['exists', 'exists'])
    const others: Partial<NewAccount>[] = [
      { ledger: book.number + 500_000 },
      { code: accountCode.incomingPayment },
      { debitsMustNotExceedCredits: false },
      { userData128: randomUUID() },
      { userData64: 1n },
      { userData32: 1 },
    ]
    for (const other of others)
      assert.deepEqual(
        await ledger.createAccounts([{ ...account, ...other }]),
        ['exists_with_different_fields'],
        JSON.stringify(Object.keys(other)),
      )
    const stored = await balanceOf(ledger, account.id)
    assert.equal(stored.userData128, account.userData128)
    assert.equal(stored.userData64, U64_MAX)
    assert.equal(stored.userData32, 2 ** 32 - 1)
    assert.equal(stored.code, account.code)
    assert.equal(stored.debitsMustNotExceedCredits, true)
    assert.equal(stored.creditsMustNotExceedDebits, false)
    assert.deepEqual(figures(stored), {
      debitsPending: 0n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 0n,
    })
  })

  test('an account is refused for what is wrong with it', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    assert.deepEqual(
      await ledger.createAccounts([
        book.liquidity({ id: ZERO_ID }),
        book.liquidity({ creditsMustNotExceedDebits: true }),
        book.liquidity({ ledger: 0 }),
        book.liquidity({ code: 0 }),
        book.liquidity(),
      ]),
      [
        'id_must_not_be_zero',
        'flags_are_mutually_exclusive',
        'ledger_must_not_be_zero',
        'code_must_not_be_zero',
        'created',
      ],
    )
  })

  test('linked accounts are created together or not at all', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [first, second, third] = [book.liquidity({ linked: true }), book.liquidity(), book.liquidity()]
    const bad = book.liquidity({ code: 0 })
    assert.deepEqual(await ledger.createAccounts([first, bad, third]), [
      'linked_event_failed',
      'code_must_not_be_zero',
      'created',
    ])
    assert.deepEqual(await ledger.lookupAccounts([first.id, bad.id]), [undefined, undefined])
    assert.deepEqual(await ledger.createAccounts([first, second]), ['created', 'created'])
    assert.deepEqual(await ledger.createAccounts([first, second]), ['exists', 'exists'])
    assert.deepEqual(await ledger.createAccounts([book.liquidity({ linked: true })]), [
      'linked_event_chain_open',
    ])
  })
}

function movementTests(ledgerOf: () => Ledger, bookOf: () => Book): void {
  test('a posted transfer moves money at once', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    await expectAll(ledger, 'created', [
      book.posted({ debitAccountId: from, creditAccountId: to, amount: 30n }),
    ])
    assert.equal(await available(ledger, from), 70n)
    assert.equal(await available(ledger, to), 30n)
    const settlement = await balanceOf(ledger, book.settlement)
    assert.equal(settlement.debitsPosted, 100n)
  })

  test('nobody pays more than is there, and settlement takes back no more than it gave', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const pay = (amount: bigint) => book.posted({ debitAccountId: from, creditAccountId: to, amount })
    await expectAll(ledger, 'exceeds_credits', [pay(101n)])
    assert.deepEqual(await ledger.createTransfers([pay(60n), pay(41n), pay(40n), pay(1n)]), [
      'created',
      'exceeds_credits',
      'created',
      'exceeds_credits',
    ])
    const unlimited = randomUUID()
    const account = { id: unlimited, ledger: book.number, code: accountCode.webMonetization }
    assert.deepEqual(await ledger.createAccounts([account]), ['created'])
    const give = (amount: bigint) =>
      book.posted({ debitAccountId: unlimited, creditAccountId: book.settlement, amount })
    assert.deepEqual(await ledger.createTransfers([give(101n), give(100n), give(1n)]), [
      'exceeds_debits',
      'created',
      'exceeds_debits',
    ])
    assert.equal((await balanceOf(ledger, unlimited)).debitsPosted, 100n)
  })

  test('each fault of a transfer has its status, and the earlier one in the list wins', async () => {
    const [ledger, book, other] = [ledgerOf(), bookOf(), bookOf()]
    const [a, b, foreign] = [await book.open(100n), await book.open(), await other.open()]
    const pair = { debitAccountId: a, creditAccountId: b }
    const nobody = randomUUID()
    const cases: [CreateTransferStatus, TransferEvent][] = [
      ['id_must_not_be_zero', book.posted({ ...pair, id: ZERO_ID, code: 0 })],
      ['accounts_must_be_different', book.posted({ debitAccountId: a, creditAccountId: a, code: 0 })],
      ['timeout_must_not_be_zero', book.pending({ ...pair, timeoutSeconds: 0, amount: 0n })],
      ['amount_must_not_be_zero', book.posted({ ...pair, amount: 0n, code: 0 })],
      ['code_must_not_be_zero', book.posted({ debitAccountId: nobody, creditAccountId: b, code: 0 })],
      ['debit_account_not_found', book.posted({ debitAccountId: nobody, creditAccountId: randomUUID() })],
      ['credit_account_not_found', book.posted({ debitAccountId: a, creditAccountId: nobody })],
      ['debit_account_not_found', book.posted({ debitAccountId: ZERO_ID, creditAccountId: b })],
      [
        'accounts_must_have_the_same_ledger',
        book.posted({ debitAccountId: a, creditAccountId: foreign, ledger: other.number, amount: 1000n }),
      ],
      [
        'transfer_must_have_the_same_ledger_as_accounts',
        book.posted({ ...pair, ledger: other.number, amount: 1000n }),
      ],
      ['exceeds_credits', book.pending({ ...pair, amount: 1000n })],
      ['pending_transfer_not_found', post(nobody)],
      ['pending_transfer_not_found', voided(ZERO_ID)],
      ['amount_must_not_be_zero', post(nobody, { amount: 0n })],
    ]
    for (const [status, event] of cases) await expectAll(ledger, status, [event])
    // Under new ids: a store may burn those of refusals.
    const again = cases.map(([, event]) => (event.id === ZERO_ID ? event : { ...event, id: randomUUID() }))
    const together = await ledger.createTransfers(again)
    assert.deepEqual(
      together,
      cases.map(([status]) => status),
    )
    assert.equal(await available(ledger, a), 100n)
    assert.equal((await balanceOf(ledger, foreign)).creditsPosted, 0n)
    const self = post(nobody)
    await expectAll(ledger, 'pending_transfer_not_found', [{ ...self, pendingId: self.id }])
  })

  test('an id refused for lack of money may be used again unless the store burns it', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(), await book.open()]
    const pay = book.posted({ debitAccountId: from, creditAccountId: to, amount: 5n })
    await expectAll(ledger, 'exceeds_credits', [pay])
    await expectAll(ledger, 'created', [book.posted({ creditAccountId: from, amount: 5n })])
    const [status] = await ledger.createTransfers([pay])
    assert.ok(status === 'created' || status === 'id_already_failed', status)
  })

  test('amounts go up to 2^64 - 1 and their sums beyond', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(U64_MAX), await book.open()]
    await expectAll(ledger, 'created', [
      book.posted({ creditAccountId: from, amount: U64_MAX }),
      book.posted({ creditAccountId: from, amount: 2n ** 63n }),
    ])
    const total = 2n * U64_MAX + 2n ** 63n
    assert.equal(await available(ledger, from), total)
    const hold = book.pending({ debitAccountId: from, creditAccountId: to, amount: U64_MAX })
    await expectAll(ledger, 'created', [hold])
    await expectAll(ledger, 'created', [post(hold.id, { amount: U64_MAX - 1n })])
    assert.equal(await available(ledger, to), U64_MAX - 1n)
    assert.equal(await available(ledger, from), total - (U64_MAX - 1n))
    const [transfer] = await ledger.lookupTransfers([hold.id])
    assert.equal(transfer?.amount, U64_MAX)
  })

  test('ids in capitals are the same ids', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const first = book.posted({ debitAccountId: from, creditAccountId: to, amount: 60n, userData128: from })
    const shouted = {
      ...first,
      id: first.id.toUpperCase(),
      debitAccountId: from.toUpperCase(),
      creditAccountId: to.toUpperCase(),
      userData128: from.toUpperCase(),
    }
    const more = { ...shouted, id: randomUUID(), amount: 41n }
    assert.deepEqual(await ledger.createTransfers([shouted, first, more]), [
      'created',
      'exists',
      'exceeds_credits',
    ])
    const rest = { ...more, id: randomUUID().toUpperCase(), amount: 40n }
    assert.deepEqual(await ledger.createTransfers([rest, first]), ['created', 'exists'])
    assert.equal(await available(ledger, from.toUpperCase()), 0n)
    const hold = book.pending({ debitAccountId: to, creditAccountId: from, amount: 10n })
    await expectAll(ledger, 'created', [{ ...hold, id: hold.id.toUpperCase() }])
    await expectAll(ledger, 'created', [post(hold.id.toUpperCase())])
    await expectAll(ledger, 'pending_transfer_already_posted', [voided(hold.id)])
    const [found] = await ledger.lookupTransfers([first.id.toUpperCase()])
    assert.equal(found?.id, first.id)
    assert.equal((await ledger.queryTransfers({ userData128: from.toUpperCase(), limit: 9 })).length, 2)
  })

  test('an event that is not well-formed fails its own call only', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const pay = () => book.posted({ debitAccountId: from, creditAccountId: to, amount: 1n })
    const bad: TransferEvent[] = [
      { ...pay(), id: 'not-a-uuid' },
      { ...pay(), id: `${randomUUID().slice(0, -1)}\u0131` },
      { ...pay(), id: `${randomUUID().slice(0, -1)}\u00e9` },
      { ...pay(), debitAccountId: `${from.slice(0, -1)}g` },
      { ...pay(), amount: U64_MAX + 1n },
      { ...pay(), amount: -1n },
      { ...pay(), ledger: 1.5 },
      { ...pay(), userData64: -1n },
    ]
    // Two ticks: what a synchronous check refuses, and what only the encoding of a batch shows.
    const results = await Promise.allSettled(
      [...bad, pay(), pay()].map(async (event) => ledger.createTransfers([event])),
    )
    const outcomes = results.map((result) => result.status)
    assert.deepEqual(outcomes, [...bad.map(() => 'rejected'), 'fulfilled', 'fulfilled'])
    assert.equal(await available(ledger, to), 2n)
  })
}

function reservationTests(
  subjectOf: () => { ledger: Ledger; subject: ContractSubject },
  bookOf: () => Book,
): void {
  test('a pending transfer reserves; posting moves, voiding releases', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = (amount: bigint) => book.pending({ debitAccountId: from, creditAccountId: to, amount })
    const [first, second] = [hold(60n), hold(40n)]
    await expectAll(ledger, 'created', [first, second])
    await expectAll(ledger, 'exceeds_credits', [hold(1n)])
    assert.deepEqual(figures(await balanceOf(ledger, from)), {
      debitsPending: 100n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 100n,
    })
    assert.equal(await available(ledger, to), 0n)
    await expectAll(ledger, 'created', [post(first.id), voided(second.id)])
    assert.equal(await available(ledger, from), 40n)
    assert.equal(await available(ledger, to), 60n)
    assert.equal((await balanceOf(ledger, from)).debitsPending, 0n)
    const states = await ledger.lookupTransfers([first.id, second.id])
    assert.deepEqual(
      states.map((transfer) => transfer?.state),
      ['posted', 'voided'],
    )
  })

  test('a post may move less than was reserved, never more; the rest is released', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = book.pending({ debitAccountId: from, creditAccountId: to, amount: 100n })
    await expectAll(ledger, 'created', [hold])
    await expectAll(ledger, 'exceeds_pending_transfer_amount', [post(hold.id, { amount: 101n })])
    const part = post(hold.id, { amount: 99n })
    await expectAll(ledger, 'created', [part])
    assert.equal(await available(ledger, from), 1n)
    assert.equal(await available(ledger, to), 99n)
    await expectAll(ledger, 'exists', [part])
    await expectAll(ledger, 'exists_with_different_fields', [{ ...part, amount: 98n }])
    const { amount: _amount, ...whole } = part
    await expectAll(ledger, 'exists_with_different_fields', [whole])
    const [stored] = await ledger.lookupTransfers([part.id])
    assert.equal(stored?.amount, 99n)
    assert.equal(stored?.pendingId, hold.id)
  })

  test('a pending transfer ends once', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = () => book.pending({ debitAccountId: from, creditAccountId: to, amount: 10n })
    const [first, second] = [hold(), hold()]
    const plain = book.posted({ debitAccountId: from, creditAccountId: to, amount: 10n })
    await expectAll(ledger, 'created', [first, second, plain])
    await expectAll(ledger, 'created', [post(first.id), voided(second.id)])
    await expectAll(ledger, 'pending_transfer_already_posted', [post(first.id), voided(first.id)])
    await expectAll(ledger, 'pending_transfer_already_voided', [post(second.id), voided(second.id)])
    await expectAll(ledger, 'pending_transfer_not_pending', [post(plain.id), voided(plain.id)])
    await expectAll(ledger, 'exceeds_pending_transfer_amount', [post(first.id, { amount: 11n })])
    assert.equal(await available(ledger, from), 80n)
  })

  test('F28: an expired reservation is refused and blocks nobody', async () => {
    const { ledger, subject } = subjectOf()
    const book = bookOf()
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = (timeoutSeconds: number) =>
      book.pending({ debitAccountId: from, creditAccountId: to, amount: 50n, timeoutSeconds })
    const [short, long] = [hold(1), hold(600)]
    await expectAll(ledger, 'created', [short, long])
    await expectAll(ledger, 'exceeds_credits', [hold(600)])
    await subject.passSeconds(1)
    const [before] = await ledger.lookupTransfers([short.id])
    assert.equal(before?.state, 'expired')
    await expectAll(ledger, 'pending_transfer_expired', [post(short.id), voided(short.id)])
    await expectAll(ledger, 'created', [hold(600), post(long.id)])
    assert.deepEqual(figures(await balanceOf(ledger, from)), {
      debitsPending: 50n,
      debitsPosted: 50n,
      creditsPending: 0n,
      creditsPosted: 100n,
    })
    await expectAll(ledger, 'pending_transfer_expired', [post(short.id)])
    await expectAll(ledger, 'exists', [short])
  })

  test('posts and voids inherit the fields of their pending transfer', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [from, to, payment] = [await book.open(100n), await book.open(), randomUUID()]
    const tenant = tenantSurrogate(randomUUID())
    const hold = book.pending({
      debitAccountId: from,
      creditAccountId: to,
      amount: 7n,
      code: transferCode.withdrawal,
      userData128: payment,
      userData64: tenant,
      userData32: 42,
    })
    const own = book.pending({ debitAccountId: from, creditAccountId: to, amount: 7n, userData128: payment })
    await expectAll(ledger, 'created', [hold, own])
    const [inheriting, other] = [post(hold.id), voided(own.id, { userData128: to, userData32: 9 })]
    await expectAll(ledger, 'created', [inheriting, other])
    const [first, second] = await ledger.lookupTransfers([inheriting.id, other.id])
    assert.equal(first?.kind, 'post')
    assert.equal(first?.code, transferCode.withdrawal)
    assert.equal(first?.ledger, book.number)
    assert.equal(first?.debitAccountId, from)
    assert.equal(first?.creditAccountId, to)
    assert.equal(first?.amount, 7n)
    assert.equal(first?.userData128, payment)
    assert.equal(first?.userData64, tenant)
    assert.equal(first?.userData32, 42)
    assert.equal(second?.kind, 'void')
    assert.equal(second?.amount, 7n)
    assert.equal(second?.userData128, to)
    assert.equal(second?.userData32, 9)
    await expectAll(ledger, 'exists', [inheriting, other, { ...inheriting, userData128: payment }])
    await expectAll(ledger, 'exists_with_different_fields', [{ ...inheriting, userData128: to }])
  })
}

function chainTests(ledgerOf: () => Ledger, bookOf: () => Book): void {
  test('a chain passes whole or leaves nothing, whichever link fails', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [a, b, c] = [await book.open(100n), await book.open(), await book.open()]
    for (const failing of [0, 1, 2]) {
      const links = [
        book.posted({ debitAccountId: a, creditAccountId: b, amount: 60n, linked: true }),
        book.pending({ debitAccountId: b, creditAccountId: c, amount: 60n, linked: true }),
        book.posted({ debitAccountId: a, creditAccountId: c, amount: 40n }),
      ]
      const bad = links.map((link, index) => (index === failing ? { ...link, amount: 101n } : link))
      const after = book.posted({ debitAccountId: a, creditAccountId: b, amount: 1n })
      const back = book.posted({ debitAccountId: b, creditAccountId: a, amount: 1n })
      assert.deepEqual(await ledger.createTransfers([...bad, after, back]), [
        ...bad.map((_, index) => (index === failing ? 'exceeds_credits' : 'linked_event_failed')),
        'created',
        'created',
      ])
      assert.equal(await available(ledger, a), 100n)
      const found = await ledger.lookupTransfers(bad.map((link) => link.id))
      assert.deepEqual(found, [undefined, undefined, undefined])
    }
    // The second link spends what the first one brought.
    await expectAll(ledger, 'created', [
      book.posted({ debitAccountId: a, creditAccountId: b, amount: 60n, linked: true }),
      book.pending({ debitAccountId: b, creditAccountId: c, amount: 60n }),
    ])
    assert.equal(await available(ledger, b), 0n)
  })

  test('a chain may span ledgers', async () => {
    const [ledger, usd, eur] = [ledgerOf(), bookOf(), bookOf()]
    const [payer, usdLiquidity] = [await usd.open(1000n), await usd.open()]
    const [eurLiquidity, payee] = [await eur.open(100n), await eur.open()]
    const legs = (source: bigint, destination: bigint) => [
      usd.pending({ debitAccountId: payer, creditAccountId: usdLiquidity, amount: source, linked: true }),
      eur.pending({ debitAccountId: eurLiquidity, creditAccountId: payee, amount: destination }),
    ]
    assert.deepEqual(await ledger.createTransfers(legs(200n, 101n)), [
      'linked_event_failed',
      'exceeds_credits',
    ])
    assert.equal(await available(ledger, payer), 1000n)
    const [first, second] = legs(200n, 100n) as [PendingTransfer, PendingTransfer]
    await expectAll(ledger, 'created', [first, second])
    await expectAll(ledger, 'created', [post(first.id, { linked: true }), post(second.id)])
    assert.equal(await available(ledger, payee), 100n)
    assert.equal(await available(ledger, usdLiquidity), 200n)
  })

  test('a chain of posts is undone when one cannot be posted', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = () => book.pending({ debitAccountId: from, creditAccountId: to, amount: 10n })
    const [first, second, third] = [hold(), hold(), hold()]
    await expectAll(ledger, 'created', [first, second, third])
    await expectAll(ledger, 'created', [voided(third.id)])
    assert.deepEqual(
      await ledger.createTransfers([
        post(first.id, { linked: true }),
        voided(second.id, { linked: true }),
        post(third.id),
      ]),
      ['linked_event_failed', 'linked_event_failed', 'pending_transfer_already_voided'],
    )
    assert.equal((await balanceOf(ledger, from)).debitsPending, 20n)
    await expectAll(ledger, 'created', [post(first.id, { linked: true }), voided(second.id)])
    assert.equal(await available(ledger, to), 10n)
  })

  test('an open chain is refused, and does not reach into the call after it', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const pay = (fields: Fields<PostedTransfer> = {}) =>
      book.posted({ debitAccountId: from, creditAccountId: to, amount: 10n, ...fields })
    const [open, next, openAndBad] = await Promise.all([
      ledger.createTransfers([pay({ linked: true }), pay({ linked: true })]),
      ledger.createTransfers([pay()]),
      ledger.createTransfers([pay(), pay({ linked: true, amount: 999n }), pay({ linked: true })]),
    ])
    assert.deepEqual(open, ['linked_event_failed', 'linked_event_chain_open'])
    assert.deepEqual(next, ['created'])
    assert.deepEqual(openAndBad, ['created', 'exceeds_credits', 'linked_event_chain_open'])
    assert.equal(await available(ledger, from), 80n)
  })

  test('what one event of a call makes, a later one may use', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const hold = book.pending({ debitAccountId: from, creditAccountId: to, amount: 100n })
    const tooMuch = book.pending({ debitAccountId: from, creditAccountId: to, amount: 50n })
    const second = { ...tooMuch, id: randomUUID() }
    const pay = book.posted({ debitAccountId: to, creditAccountId: from, amount: 40n })
    assert.deepEqual(
      await ledger.createTransfers([
        hold,
        tooMuch,
        post(hold.id, { amount: 40n }),
        second,
        voided(hold.id),
        pay,
        pay,
        { ...pay, amount: 39n },
        voided(second.id),
        post(second.id),
      ]),
      [
        'created',
        'exceeds_credits',
        'created',
        'created',
        'pending_transfer_already_posted',
        'created',
        'exists',
        'exists_with_different_fields',
        'created',
        'pending_transfer_already_voided',
      ],
    )
    assert.equal(await available(ledger, from), 100n)
    const states = await ledger.lookupTransfers([hold.id, second.id])
    assert.deepEqual(
      states.map((transfer) => transfer?.state),
      ['posted', 'voided'],
    )
    // And within one chain.
    const third = book.pending({ debitAccountId: from, creditAccountId: to, amount: 100n, linked: true })
    await expectAll(ledger, 'created', [third, post(third.id)])
    assert.equal(await available(ledger, to), 100n)
  })
}

function closingTests(
  subjectOf: () => { ledger: Ledger; subject: ContractSubject },
  bookOf: () => Book,
): void {
  test('a closed account is neither credited nor debited, until its closing transfer is voided', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [a, b] = [await book.open(100n), await book.open(100n)]
    const pay = (from: LedgerId, to: LedgerId) =>
      book.posted({ debitAccountId: from, creditAccountId: to, amount: 10n })
    const closing = book.close(b, { userData128: a, userData64: 3n, userData32: 4 })
    await expectAll(ledger, 'created', [pay(a, b), closing])
    assert.equal((await balanceOf(ledger, b)).closed, true)
    assert.equal((await balanceOf(ledger, a)).closed, false)
    await expectAll(ledger, 'credit_account_already_closed', [
      pay(a, b),
      book.pending({ debitAccountId: a, creditAccountId: b }),
      book.close(b),
    ])
    await expectAll(ledger, 'debit_account_already_closed', [
      pay(b, a),
      book.pending({ debitAccountId: b, creditAccountId: a }),
      // That it has not the money comes after that.
      { ...pay(b, a), amount: 1000n },
    ])
    assert.deepEqual(figures(await balanceOf(ledger, b)), {
      debitsPending: 0n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 110n,
    })
    const opening = voided(closing.id)
    await expectAll(ledger, 'created', [opening, pay(a, b), pay(b, a)])
    assert.equal((await balanceOf(ledger, b)).closed, false)
    await expectAll(ledger, 'pending_transfer_already_voided', [voided(closing.id), post(closing.id)])
    await expectAll(ledger, 'exists', [closing, opening])
    assert.equal((await balanceOf(ledger, b)).closed, false, 'a repeat closes nothing')

    const [stored, ended] = await ledger.lookupTransfers([closing.id, opening.id])
    assert.equal(stored?.kind, 'close')
    assert.equal(stored?.state, 'voided')
    assert.equal(stored?.amount, 0n)
    assert.equal(stored?.debitAccountId, book.settlement)
    assert.equal(stored?.creditAccountId, b)
    assert.equal(stored?.expiresAt, undefined)
    assert.equal(stored?.timeoutSeconds, undefined)
    assert.equal(stored?.userData128, a)
    assert.equal(ended?.kind, 'void')
    assert.equal(ended?.pendingId, closing.id)
    assert.equal(ended?.userData64, 3n)
    const found = await ledger.queryTransfers({ userData128: a, limit: 9 })
    assert.deepEqual(
      found.map(({ id }) => id),
      [closing.id, opening.id],
    )
  })

  test('each fault of a closing transfer has its status, and the same id with other fields is refused', async () => {
    const { ledger } = subjectOf()
    const [book, other] = [bookOf(), bookOf()]
    const [a, b, foreign] = [await book.open(), await book.open(), await other.open()]
    const lonely = bookOf()
    const orphan = lonely.liquidity()
    assert.deepEqual(await ledger.createAccounts([orphan]), ['created'])
    const cases: [CreateTransferStatus, TransferEvent][] = [
      ['id_must_not_be_zero', book.close(a, { id: ZERO_ID })],
      ['code_must_not_be_zero', book.close(a, { code: 0 })],
      ['accounts_must_be_different', book.close(book.settlement)],
      ['credit_account_not_found', book.close(randomUUID())],
      ['debit_account_not_found', lonely.close(orphan.id)],
      ['accounts_must_have_the_same_ledger', book.close(foreign)],
    ]
    for (const [status, event] of cases) await expectAll(ledger, status, [event])
    const closing = book.close(a)
    await expectAll(ledger, 'created', [closing])
    await expectAll(ledger, 'exists', [closing])
    await expectAll(ledger, 'exists_with_different_fields', [
      book.close(b, { id: closing.id }),
      { ...closing, code: transferCode.deposit },
      { ...closing, userData32: 1 },
      book.pending({ id: closing.id, debitAccountId: book.settlement, creditAccountId: a }),
      post(randomUUID(), { id: closing.id }),
    ])
    assert.equal((await balanceOf(ledger, b)).closed, false)
    // What was created is still what it is when it is closed.
    const account = book.liquidity()
    assert.deepEqual(await ledger.createAccounts([account]), ['created'])
    await expectAll(ledger, 'created', [book.close(account.id)])
    assert.deepEqual(await ledger.createAccounts([account]), ['exists'])
    assert.deepEqual(await ledger.createAccounts([{ ...account, code: accountCode.peer + 1 }]), [
      'exists_with_different_fields',
    ])
  })

  test('of what a closed account has reserved, a void passes, a post does not, and time goes on', async () => {
    const { ledger, subject } = subjectOf()
    const book = bookOf()
    const [a, b] = [await book.open(100n), await book.open()]
    const hold = (timeoutSeconds: number) =>
      book.pending({ debitAccountId: a, creditAccountId: b, amount: 10n, timeoutSeconds })
    const [first, second, third, short] = [hold(60), hold(60), hold(60), hold(1)]
    await expectAll(ledger, 'created', [first, second, third, short])
    const closing = book.close(b)
    await expectAll(ledger, 'created', [closing])
    await expectAll(ledger, 'credit_account_already_closed', [post(first.id), post(closing.id)])
    await expectAll(ledger, 'created', [voided(second.id)])
    await subject.passSeconds(1)
    await expectAll(ledger, 'pending_transfer_expired', [post(short.id)])
    const [state] = await ledger.lookupTransfers([closing.id])
    assert.equal(state?.state, 'pending', 'a closing transfer has no end')
    await expectAll(ledger, 'created', [voided(closing.id, { linked: true }), post(first.id)])
    const back = book.close(a)
    await expectAll(ledger, 'created', [back])
    await expectAll(ledger, 'debit_account_already_closed', [post(third.id)])
    await expectAll(ledger, 'created', [voided(third.id)])
    assert.deepEqual(figures(await balanceOf(ledger, b)), {
      debitsPending: 0n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 10n,
    })
  })

  test('a chain opens a closed account for what is in it, and leaves it as it was when it fails', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [a, b] = [await book.open(100n), await book.open()]
    const closing = book.close(a)
    await expectAll(ledger, 'created', [closing])
    const through = (from: CloseTransfer, amount: bigint) => {
      const next = book.close(a)
      const pay = book.posted({ debitAccountId: a, creditAccountId: b, amount, linked: true })
      return { next, events: [voided(from.id, { linked: true }), pay, next] }
    }
    const tooMuch = through(closing, 101n)
    assert.deepEqual(await ledger.createTransfers(tooMuch.events), [
      'linked_event_failed',
      'exceeds_credits',
      'linked_event_failed',
    ])
    assert.equal((await balanceOf(ledger, a)).closed, true)
    // A close whose chain fails after it closes nothing.
    const undone = book.close(b, { linked: true })
    assert.deepEqual(
      await ledger.createTransfers([undone, book.posted({ debitAccountId: a, creditAccountId: b })]),
      ['linked_event_failed', 'debit_account_already_closed'],
    )
    assert.equal((await balanceOf(ledger, b)).closed, false)
    const passing = through(closing, 60n)
    await expectAll(ledger, 'created', passing.events)
    for (const _ of times(2)) await expectAll(ledger, 'exists', passing.events)
    assert.equal((await balanceOf(ledger, a)).closed, true)
    assert.equal(await available(ledger, b), 60n)
    await expectAll(ledger, 'debit_account_already_closed', [
      book.posted({ debitAccountId: a, creditAccountId: b }),
    ])
    // Whoever thinks that the first close still holds is told, and moves nothing.
    const [late] = await ledger.createTransfers(through(closing, 1n).events)
    assert.equal(late, 'pending_transfer_already_voided')
    await expectAll(ledger, 'created', through(passing.next, 40n).events)
    assert.equal(await available(ledger, a), 0n)
  })

  test('a credit and a close at the same time: the money came before, or not at all', async () => {
    const { ledger, subject } = subjectOf()
    const book = bookOf()
    const clients = [ledger, await subject.another(), await subject.another()]
    try {
      const from = await book.open(100_000n)
      for (const _ of times(10)) {
        const to = await book.open()
        const credits = times(12).map((index) => {
          const client = clients[index % clients.length] as Ledger
          return client.createTransfers([
            book.posted({ debitAccountId: from, creditAccountId: to, amount: 1n }),
          ])
        })
        const closing = book.close(to)
        await expectAll(clients[1] as Ledger, 'created', [closing])
        const atClose = (await balanceOf(ledger, to)).creditsPosted
        const statuses = (await Promise.all(credits)).flat()
        const credited = statuses.filter((status) => status === 'created').length
        assert.equal(
          statuses.filter((status) => status === 'credit_account_already_closed').length,
          12 - credited,
        )
        assert.equal(atClose, BigInt(credited))
        assert.equal((await balanceOf(ledger, to)).creditsPosted, atClose)
      }
    } finally {
      for (const client of clients.slice(1)) await client.close()
    }
  })
}

function neededAccountTests(
  subjectOf: () => { ledger: Ledger; subject: ContractSubject },
  bookOf: () => Book,
): void {
  const isThere = async (ledger: Ledger, id: LedgerId) =>
    (await ledger.lookupAccounts([id])).every((account) => account !== undefined)

  test('F39: an account that a transfer needs is made before it, and a repeat finds both', async () => {
    const { ledger } = subjectOf()
    const [book, other] = [bookOf(), bookOf()]
    await Promise.all([book.openSettlement(), other.openSettlement()])
    const account = book.liquidity({ userData128: randomUUID(), userData64: U64_MAX, userData32: 7 })
    const first = book.posted({ creditAccountId: account.id, amount: 100n, needs: [account] })
    await expectAll(ledger, 'created', [first])
    for (const _ of times(2)) await expectAll(ledger, 'exists', [first])
    const { needs: _needs, ...bare } = first
    await expectAll(ledger, 'exists', [bare])
    assert.deepEqual(await ledger.createAccounts([account]), ['exists'])
    // An account that is there is as good, and one event may need several.
    const [here, there] = [book.liquidity(), other.liquidity()]
    const chain = [
      book.posted({ creditAccountId: here.id, amount: 5n, needs: [account, here, there], linked: true }),
      other.pending({ creditAccountId: there.id, amount: 6n, linked: true }),
      book.posted({ debitAccountId: here.id, creditAccountId: account.id, amount: 1n, needs: [account] }),
    ]
    await expectAll(ledger, 'created', chain)
    await expectAll(ledger, 'exists', chain)
    assert.deepEqual(figures(await balanceOf(ledger, account.id)), {
      debitsPending: 0n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 101n,
    })
    assert.equal((await balanceOf(ledger, there.id)).creditsPending, 6n)
    const stored = await balanceOf(ledger, account.id)
    assert.deepEqual(
      [stored.userData128, stored.userData64, stored.userData32],
      [account.userData128, U64_MAX, 7],
    )
  })

  test('where an account exists with other fields, or is none, its event fails with its chain, and nothing else', async () => {
    const { ledger } = subjectOf()
    const [book, other] = [bookOf(), bookOf()]
    await other.openSettlement()
    const id = await book.open()
    const account = book.liquidity({ id })
    const impossible: NewAccount[] = [
      { ...account, code: accountCode.incomingPayment },
      { ...account, ledger: other.number },
      { ...account, debitsMustNotExceedCredits: false },
      { ...account, userData128: randomUUID() },
      { ...account, userData64: 1n },
      { ...account, userData32: 1 },
      book.liquidity({ code: 0 }),
      book.liquidity({ ledger: 0 }),
      book.liquidity({ id: ZERO_ID }),
      book.liquidity({ creditsMustNotExceedDebits: true }),
    ]
    const events = impossible.map((needed) =>
      book.posted({ creditAccountId: id, amount: 1n, needs: [account, needed] }),
    )
    for (const event of events) {
      const mate = other.liquidity()
      const call = [
        book.posted({ creditAccountId: id, amount: 10n }),
        other.posted({ creditAccountId: mate.id, amount: 3n, needs: [mate], linked: true }),
        { ...event, linked: true },
        { ...event, id: randomUUID() },
        book.posted({ creditAccountId: id, amount: 20n, needs: [account] }),
      ]
      const statuses = ['linked_event_failed', 'needed_account_refused', 'linked_event_failed'] as const
      assert.deepEqual(await ledger.createTransfers(call), ['created', ...statuses, 'created'])
      assert.deepEqual(await ledger.createTransfers(call), ['exists', ...statuses, 'exists'])
      // It was made, as if it had been asked for alone.
      assert.ok(await isThere(ledger, mate.id))
    }
    const total = BigInt(impossible.length) * 30n
    assert.equal((await balanceOf(ledger, id)).creditsPosted, total)
    // No id is lost by it; and a transfer that exists is found, whatever a repeat needs.
    await expectAll(
      ledger,
      'created',
      events.map(({ needs: _needs, ...event }) => event),
    )
    await expectAll(ledger, 'exists', events)
    assert.equal((await balanceOf(ledger, id)).creditsPosted, total + BigInt(impossible.length))
  })

  test('an account stays when the transfer that needed it fails, and holds nothing', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const poor = await book.open()
    const [account, spender] = [book.liquidity(), book.liquidity()]
    assert.deepEqual(
      await ledger.createTransfers([
        book.posted({ debitAccountId: poor, creditAccountId: account.id, amount: 1n, needs: [account] }),
        book.posted({ debitAccountId: spender.id, creditAccountId: poor, amount: 1n, needs: [spender] }),
        book.posted({ creditAccountId: account.id, amount: 0n, needs: [account] }),
      ]),
      ['exceeds_credits', 'exceeds_credits', 'amount_must_not_be_zero'],
    )
    for (const { id } of [account, spender]) assert.equal(await available(ledger, id), 0n)
  })

  test('an account that is closed meanwhile is the same account, and takes nothing', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    await book.openSettlement()
    const account = book.liquidity()
    const credit = (amount: bigint) => book.posted({ creditAccountId: account.id, amount, needs: [account] })
    await expectAll(ledger, 'created', [credit(5n)])
    await expectAll(ledger, 'created', [book.close(account.id)])
    await expectAll(ledger, 'credit_account_already_closed', [credit(6n)])
    assert.equal((await balanceOf(ledger, account.id)).creditsPosted, 5n)
  })

  test('an event whose accounts are linked is a bug of its caller, and fails no other call', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [id, account] = [await book.open(), book.liquidity()]
    const bad = book.posted({ creditAccountId: id, amount: 1n, needs: [{ ...account, linked: true }] })
    const [refused, passed] = await Promise.allSettled([
      ledger.createTransfers([bad]),
      ledger.createTransfers([book.posted({ creditAccountId: id, amount: 2n })]),
    ])
    assert.equal(refused.status, 'rejected')
    assert.deepEqual(passed, { status: 'fulfilled', value: ['created'] })
    assert.ok(!(await isThere(ledger, account.id)))
  })

  test('F40: many first credits of one account, from several clients, all arrive; of two accounts with one id there is one', async () => {
    const { ledger, subject } = subjectOf()
    const book = bookOf()
    await book.openSettlement()
    const clients = [ledger, await subject.another(), await subject.another()]
    try {
      for (const round of times(8)) {
        const account = book.liquidity()
        const rival = { ...account, code: accountCode.incomingPayment }
        const call = (needed: NewAccount) => [
          book.posted({ creditAccountId: account.id, amount: 1n, needs: [needed] }),
        ]
        const calls = times(24).map((index) => call(round % 2 && index % 5 === 0 ? rival : account))
        const ask = () =>
          Promise.all(
            calls.map((events, index) => (clients[index % clients.length] as Ledger).createTransfers(events)),
          )
        const statuses = (await ask()).flat()
        const { code, creditsPosted } = await balanceOf(ledger, account.id)
        const expected = calls.map(([event]) =>
          event?.needs?.[0]?.code === code ? 'created' : 'needed_account_refused',
        )
        assert.deepEqual(statuses, expected)
        assert.equal(creditsPosted, BigInt(expected.filter((status) => status === 'created').length))
        assert.deepEqual(
          (await ask()).flat(),
          expected.map((status) => (status === 'created' ? 'exists' : status)),
        )
      }
    } finally {
      for (const client of clients.slice(1)) await client.close()
    }
  })
}

function repeatTests(ledgerOf: () => Ledger, bookOf: () => Book): void {
  test('F39: every request may be repeated, alone or at once, and changes nothing', async () => {
    const [ledger, book, other] = [ledgerOf(), bookOf(), bookOf()]
    const [a, b, x, y] = [
      await book.open(100n),
      await book.open(),
      await other.open(100n),
      await other.open(),
    ]
    const first = book.pending({ debitAccountId: a, creditAccountId: b, amount: 10n, linked: true })
    const second = other.pending({ debitAccountId: x, creditAccountId: y, amount: 9n })
    const third = book.pending({ debitAccountId: a, creditAccountId: b, amount: 20n })
    const requests: TransferEvent[][] = [
      [book.posted({ debitAccountId: a, creditAccountId: b, amount: 5n })],
      [first, second],
      [third],
      [post(first.id, { linked: true }), post(second.id, { amount: 8n })],
      [voided(third.id)],
      [
        book.posted({ debitAccountId: a, creditAccountId: b, amount: 5n, linked: true }),
        book.posted({ debitAccountId: b, creditAccountId: a, amount: 1n }),
      ],
    ]
    for (const request of requests) {
      await expectAll(ledger, 'created', request)
      for (const _ of times(2)) await expectAll(ledger, 'exists', request)
    }
    const before = (await ledger.lookupAccounts([a, b, x, y])).map((account) => account && figures(account))
    await Promise.all(times(5).flatMap(() => requests.map((request) => expectAll(ledger, 'exists', request))))
    const again = (await ledger.lookupAccounts([a, b, x, y])).map((account) => account && figures(account))
    assert.deepEqual(again, before)
  })

  test('F40: five first attempts at once are one transfer', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const chain = [
      book.posted({ debitAccountId: from, creditAccountId: to, amount: 30n, linked: true }),
      book.pending({ debitAccountId: from, creditAccountId: to, amount: 30n }),
    ]
    const statuses = await Promise.all(times(5).map(() => ledger.createTransfers(chain)))
    assert.ok(statuses.flat().every(isSuccess), statuses.join(' '))
    assert.equal(statuses.filter((status) => status[0] === 'created').length, 1)
    assert.equal(await available(ledger, from), 40n)
  })

  test('F40: the same id with any other field is refused', async () => {
    const [ledger, book, other] = [ledgerOf(), bookOf(), bookOf()]
    const [from, to, third] = [await book.open(100n), await book.open(), await book.open()]
    const hold = book.pending({
      debitAccountId: from,
      creditAccountId: to,
      amount: 10n,
      userData128: from,
      userData64: 3n,
      userData32: 4,
    })
    await expectAll(ledger, 'created', [hold])
    const { timeoutSeconds: _timeout, ...movement } = hold
    const others: TransferEvent[] = [
      { ...movement, kind: 'posted' },
      { ...hold, debitAccountId: to, creditAccountId: from },
      { ...hold, creditAccountId: third },
      { ...hold, creditAccountId: randomUUID() },
      { ...hold, amount: 11n },
      { ...hold, amount: 0n },
      { ...hold, code: transferCode.deposit },
      { ...hold, ledger: other.number },
      { ...hold, timeoutSeconds: 61 },
      { ...hold, userData128: to },
      { ...hold, userData64: 5n },
      { ...hold, userData32: 5 },
      { id: hold.id, kind: 'post', pendingId: hold.id },
      { id: hold.id, kind: 'void', pendingId: randomUUID() },
    ]
    await expectAll(ledger, 'exists_with_different_fields', others)
    await expectAll(ledger, 'exists', [hold])
    const posting = post(hold.id)
    await expectAll(ledger, 'created', [posting])
    await expectAll(ledger, 'exists_with_different_fields', [
      { ...posting, kind: 'void' },
      { ...posting, pendingId: randomUUID() },
      { ...posting, amount: 9n },
      book.posted({ id: posting.id, debitAccountId: from, creditAccountId: to, amount: 10n }),
    ])
  })

  test('a chain of which only a part exists is not a repeat', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [from, to] = [await book.open(100n), await book.open()]
    const link = (linked: boolean) =>
      book.posted({ debitAccountId: from, creditAccountId: to, amount: 10n, linked })
    const [first, second, third] = [link(true), link(false), link(false)]
    await expectAll(ledger, 'created', [first, second])
    for (const chain of [
      [first, third],
      [first, first, third],
    ]) {
      const statuses = await ledger.createTransfers(chain)
      assert.ok(statuses.includes('linked_event_failed') && statuses.includes('exists'), statuses.join(' '))
    }
    const fresh = link(true)
    assert.deepEqual(await ledger.createTransfers([fresh, { ...second }]), ['linked_event_failed', 'exists'])
    assert.deepEqual(await ledger.lookupTransfers([third.id, fresh.id]), [undefined, undefined])
    assert.equal(await available(ledger, from), 80n)
  })
}

function readTests(ledgerOf: () => Ledger, bookOf: () => Book): void {
  test('lookups answer in the order of the ids, undefined for what is not there', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [a, b] = [await book.open(10n), await book.open()]
    const pay = book.posted({ debitAccountId: a, creditAccountId: b, amount: 3n })
    await expectAll(ledger, 'created', [pay])
    const accounts = await ledger.lookupAccounts([b, randomUUID(), a, b])
    assert.deepEqual(
      accounts.map((account) => account?.id),
      [b, undefined, a, b],
    )
    const transfers = await ledger.lookupTransfers([randomUUID(), pay.id])
    assert.equal(transfers[0], undefined)
    const found = transfers[1]
    assert.ok(found)
    assert.equal(found.kind, 'posted')
    assert.equal(found.amount, 3n)
    assert.equal(found.debitAccountId, a)
    assert.equal(found.creditAccountId, b)
    assert.equal(found.ledger, book.number)
    assert.equal(found.code, transferCode.transfer)
    assert.equal(found.userData128, ZERO_ID)
    assert.equal(found.state, undefined)
    assert.ok(found.createdAt instanceof Date)
    assert.deepEqual(await ledger.lookupAccounts([]), [])
    const many = await Promise.all(times(100).map(() => ledger.lookupAccounts([a])))
    assert.ok(many.every((answer) => answer[0]?.id === a))
    const long = await ledger.lookupAccounts([...times(2 * EVENTS_PER_CALL_MAX).map(() => b), a])
    assert.equal(long.length, 2 * EVENTS_PER_CALL_MAX + 1)
    assert.equal(long.at(-1)?.id, a)
  })

  test('queries find by account, side and user data, in either order', async () => {
    const [ledger, book] = [ledgerOf(), bookOf()]
    const [a, b] = [await book.open(), await book.open()]
    const [payment, other] = [randomUUID(), randomUUID()]
    const deposit = book.posted({ creditAccountId: a, amount: 1000n })
    await expectAll(ledger, 'created', [deposit])
    const pays = times(5).map((index) =>
      book.posted({
        debitAccountId: a,
        creditAccountId: b,
        amount: BigInt(index + 1),
        userData128: index % 2 ? other : payment,
      }),
    )
    await expectAll(ledger, 'created', pays.slice(0, 3))
    await expectAll(ledger, 'created', pays.slice(3))
    const hold = book.pending({ debitAccountId: b, creditAccountId: a, amount: 2n, userData128: payment })
    await expectAll(ledger, 'created', [hold])
    const posting = post(hold.id)
    await expectAll(ledger, 'created', [posting])
    const all = [deposit, ...pays, hold, posting].map((event) => event.id)
    const ids = async (filter: Parameters<Ledger['queryTransfers']>[0]) =>
      (await ledger.queryTransfers(filter)).map((transfer) => transfer.id)

    assert.deepEqual(await ids({ accountId: a, limit: 100 }), all)
    assert.deepEqual(await ids({ accountId: a, limit: 100, reversed: true }), all.toReversed())
    assert.deepEqual(await ids({ accountId: a, limit: 3 }), all.slice(0, 3))
    assert.deepEqual(await ids({ accountId: a, limit: 3, reversed: true }), all.toReversed().slice(0, 3))
    const paid = pays.map((event) => event.id)
    assert.deepEqual(await ids({ accountId: a, side: 'debits', limit: 100 }), paid)
    assert.deepEqual(await ids({ accountId: b, side: 'credits', limit: 2, reversed: true }), [
      paid[4],
      paid[3],
    ])
    assert.deepEqual(await ids({ accountId: b, side: 'debits', limit: 100 }), [hold.id, posting.id])
    const tagged = [paid[0], paid[2], paid[4], hold.id, posting.id]
    assert.deepEqual(await ids({ userData128: payment, limit: 100 }), tagged)
    assert.deepEqual(await ids({ userData128: payment, limit: 2, reversed: true }), [posting.id, hold.id])
    assert.deepEqual(await ids({ userData128: payment, accountId: a, side: 'debits', limit: 2 }), [
      paid[0],
      paid[2],
    ])
    assert.deepEqual(await ids({ accountId: randomUUID(), limit: 5 }), [])
  })
}

function concurrencyTests(
  subjectOf: () => { ledger: Ledger; subject: ContractSubject },
  bookOf: () => Book,
): void {
  const withClients = async (count: number, work: (clients: Ledger[]) => Promise<void>) => {
    const { ledger, subject } = subjectOf()
    const others = await Promise.all(times(count - 1).map(() => subject.another()))
    try {
      await work([ledger, ...others])
    } finally {
      await Promise.all(others.map((other) => other.close()))
    }
  }
  const of = <T>(items: readonly T[], index: number): T => items[index % items.length] as T

  test('F4: of 64 concurrent debits of an account that holds money for one, one passes', () =>
    withClients(4, async (clients) => {
      const { ledger } = subjectOf()
      const book = bookOf()
      const [from, to] = [await book.open(10n), await book.open()]
      const results = await Promise.all(
        times(64).map((index) => {
          const fields = { debitAccountId: from, creditAccountId: to, amount: 10n }
          const event = index % 2 ? book.posted(fields) : book.pending(fields)
          return of(clients, index).createTransfers([event])
        }),
      )
      const statuses = results.flat()
      assert.equal(statuses.filter((status) => status === 'created').length, 1)
      assert.equal(statuses.filter((status) => status === 'exceeds_credits').length, 63)
      assert.equal(await available(ledger, from), 0n)
    }))

  test('F27: opposite transfers and rings neither deadlock nor lose money', () =>
    withClients(4, async (clients) => {
      const { ledger } = subjectOf()
      // A ring of eight accounts on eight ledgers would need exchange; pairs on two ledgers and a ring on one do it.
      const [usd, eur] = [bookOf(), bookOf()]
      const ring = await Promise.all(times(8).map(() => usd.open(1000n)))
      const pair = await Promise.all(times(2).map(() => eur.open(1000n)))
      const step = (index: number): TransferEvent[] => [
        usd.posted({
          debitAccountId: of(ring, index),
          creditAccountId: of(ring, index + (index % 2 ? 1 : 7)),
          amount: 1n,
          linked: true,
        }),
        eur.posted({
          debitAccountId: of(pair, index),
          creditAccountId: of(pair, index + 1),
          amount: 1n,
        }),
      ]
      const chains = times(256).map((index) => (index % 3 ? step(index) : reversedChain(step(index))))
      const results = await Promise.all(
        chains.map((chain, index) => of(clients, index).createTransfers(chain)),
      )
      assert.ok(results.flat().every((status) => status === 'created'))
      const balances = await Promise.all([...ring, ...pair].map((id) => available(ledger, id)))
      assert.equal(
        balances.reduce((sum, balance) => sum + balance, 0n),
        10_000n,
      )
    }))

  test('F28: posts, voids and repeats from several clients: each reservation has one outcome', () =>
    withClients(3, async (clients) => {
      const { ledger } = subjectOf()
      const book = bookOf()
      const [from, to] = [await book.open(1000n), await book.open()]
      const holds = times(100).map(() =>
        book.pending({ debitAccountId: from, creditAccountId: to, amount: 10n }),
      )
      await expectAll(ledger, 'created', holds)
      const outcomes = await Promise.all(
        holds.map(async (hold, index) => {
          const [posting, voiding] = [post(hold.id), voided(hold.id)]
          const attempts = [posting, voiding, posting, voiding].map((event, attempt) =>
            of(clients, index + attempt).createTransfers([event]),
          )
          return (await Promise.all(attempts)).flat()
        }),
      )
      let posted = 0n
      for (const [a, b, c, d] of outcomes) {
        const isPosted = [a, c].some((status) => status === 'created')
        const isVoided = [b, d].some((status) => status === 'created')
        assert.ok(isPosted !== isVoided, `${a} ${b} ${c} ${d}`)
        const [winners, losers, refusal] = isPosted
          ? [[a, c], [b, d], 'pending_transfer_already_posted']
          : [[b, d], [a, c], 'pending_transfer_already_voided']
        assert.deepEqual(winners.toSorted(), ['created', 'exists'])
        assert.deepEqual(losers, [refusal, refusal])
        if (isPosted) posted += 10n
      }
      assert.deepEqual(figures(await balanceOf(ledger, from)), {
        debitsPending: 0n,
        debitsPosted: posted,
        creditsPending: 0n,
        creditsPosted: 1000n,
      })
    }))

  test('large calls and many calls at once are all answered', async () => {
    const { ledger } = subjectOf()
    const book = bookOf()
    const [from, to] = [await book.open(1_000_000n), await book.open()]
    const pay = () => book.posted({ debitAccountId: from, creditAccountId: to, amount: 1n })
    const sizes = [EVENTS_PER_CALL_MAX, 1, 600, 600, 2, 999, 3, 1]
    const results = await Promise.all(
      sizes.map((size) => ledger.createTransfers(times(size).map(() => pay()))),
    )
    assert.deepEqual(
      results.map((result) => result.length),
      sizes,
    )
    assert.ok(results.flat().every((status) => status === 'created'))
    assert.deepEqual(await ledger.createTransfers([]), [])
    const total = BigInt(sizes.reduce((sum, size) => sum + size, 0))
    assert.equal(await available(ledger, to), total)
    const newest = await ledger.queryTransfers({ accountId: to, limit: 10, reversed: true })
    assert.equal(newest.length, 10)
  })
}

/** The same links from the other end, so that locks are asked for in the other order. */
function reversedChain(chain: readonly TransferEvent[]): TransferEvent[] {
  return chain.toReversed().map((event, index) => {
    const { linked: _linked, ...rest } = event
    return index < chain.length - 1 ? { ...rest, linked: true } : rest
  })
}
