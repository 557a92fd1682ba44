import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault, silentLogger } from '../../platform/index.ts'
import { waitFor } from '../../testing/index.ts'
import { EVENTS_PER_CALL_MAX, type Ledger, type PostedTransfer } from '../port.ts'
import { createFakeNative, type FakeNative, requestError } from './fake-native.ts'
import { createTigerBeetleLedger, type TigerBeetleLedgerOptions } from './ledger.ts'

const opened: Ledger[] = []
after(() => Promise.all(opened.map((ledger) => ledger.close())))

async function setUp(options: Partial<TigerBeetleLedgerOptions> = {}) {
  const native = createFakeNative()
  const ledger = await createTigerBeetleLedger({
    native,
    clusterId: 0n,
    replicas: [{ host: '127.0.0.1', port: 3000 }],
    log: silentLogger,
    outcomeTimeoutMs: 300,
    silenceMsMax: 60,
    connectMsMax: 60,
    closeTimeoutMs: 50,
    ...options,
  })
  opened.push(ledger)
  return { native, ledger }
}

const pay = (fields: Partial<PostedTransfer> = {}): PostedTransfer => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId: randomUUID(),
  creditAccountId: randomUUID(),
  ledger: 1,
  code: 1,
  amount: 1n,
  ...fields,
})

const never = () => new Promise<never>(() => undefined)
const sizes = (native: FakeNative) => native.clients.flatMap((client) => client.batches.map((b) => b.length))
const codeOf = (result: PromiseSettledResult<unknown>) =>
  result.status === 'rejected' ? (result.reason as Fault).code : result.status

test('concurrent calls share a message; what comes meanwhile goes with the next, and calls stay whole', async () => {
  const { native, ledger } = await setUp({ silenceMsMax: 5_000, outcomeTimeoutMs: 10_000 })
  let answered: (() => void) | undefined
  native.answer = async (batch) => {
    await new Promise<void>((resolve) => {
      answered = resolve
    })
    return batch.map(() => 'created')
  }
  const calls = [
    ledger.createTransfers([pay(), pay()]),
    ledger.createTransfers([pay({ linked: true }), pay()]),
  ]
  await waitFor(() => answered)
  const large = Array.from({ length: EVENTS_PER_CALL_MAX }, () => pay())
  for (const events of [large, large.slice(1), [pay({ linked: true }), pay()]])
    calls.push(ledger.createTransfers(events.map((event) => ({ ...event, id: randomUUID() }))))
  for (const messages of [1, 2, 3]) {
    await waitFor(() => sizes(native).length === messages)
    answered?.()
  }
  const results = await Promise.all(calls)
  assert.deepEqual(sizes(native), [4, 1999, 2])
  assert.deepEqual(
    results.map((result) => result.length),
    [2, 2, 1000, 999, 2],
  )
  assert.equal(native.clients.length, 1, 'one client per process')
})

test('a server that takes smaller messages gets smaller ones, and no chain is cut', async () => {
  const { native, ledger } = await setUp({ silenceMsMax: 5_000 })
  native.answer = async (batch) => {
    if (batch.length > 10) throw requestError('ERR_TOO_MUCH_DATA')
    const isCut = ((batch.at(-1)?.flags ?? 0) & 1) !== 0
    return batch.map(() => (isCut ? 'linked_event_chain_open' : 'created'))
  }
  const events = Array.from({ length: 40 }, (_, index) => pay({ linked: index % 4 !== 3 }))
  assert.ok((await ledger.createTransfers(events)).every((status) => status === 'created'))
  assert.ok(sizes(native).includes(8))
  // A chain that is longer than a message is the caller's fault, and nobody else's.
  const tooLong = Array.from({ length: 12 }, (_, index) => pay({ linked: index < 11 }))
  const results = await Promise.allSettled([ledger.createTransfers(tooLong), ledger.createTransfers([pay()])])
  assert.deepEqual(results.map(codeOf), [undefined, 'fulfilled'])
})

test('F38: a cluster that is away: the outcome is unknown in time, and the client that was silent sends nothing later', async () => {
  const { native, ledger } = await setUp()
  native.answer = never
  const start = performance.now()
  const events = [pay()]
  await assert.rejects(ledger.createTransfers(events), { code: 'ledger_outcome_unknown', retryable: true })
  assert.ok(performance.now() - start < 1_000, 'within the deadline and a little')
  assert.ok(native.clients.length > 1, 'the silent client was replaced')
  assert.ok(native.clients.every((client) => client.destroyed))
  const ids = native.clients.flatMap((client) => client.batches.map((batch) => batch[0]?.id))
  assert.equal(new Set(ids).size, 1, 'always under the same id')
  native.answer = async (batch) => batch.map(() => 'created')
  assert.deepEqual(await ledger.createTransfers(events), ['created'])
})

test('F38: silence is repeated on a new client, to addresses that are resolved anew', async () => {
  const { native, ledger } = await setUp({ replicas: [{ host: 'localhost', port: 3000 }] })
  native.answer = (batch, client) => (client === 0 ? never() : Promise.resolve(batch.map(() => 'exists')))
  assert.deepEqual(await ledger.createTransfers([pay()]), ['exists'])
  assert.deepEqual(
    native.clients.map(({ addresses, destroyed }) => ({ addresses, destroyed })),
    [
      { addresses: ['127.0.0.1:3000'], destroyed: true },
      { addresses: ['127.0.0.1:3000'], destroyed: false },
    ],
  )
})

test('a client that was not answered yet is asked nothing, and callers that give up leave it to the next', async () => {
  const { native, ledger } = await setUp({ outcomeTimeoutMs: 50, connectMsMax: 5_000 })
  let arrive: (() => void) | undefined
  native.connect = () =>
    new Promise((resolve) => {
      arrive = resolve
    })
  const lost = [pay()]
  await assert.rejects(ledger.createTransfers(lost), { code: 'ledger_outcome_unknown', retryable: true })
  await assert.rejects(ledger.lookupAccounts([randomUUID()]), { code: 'ledger_unavailable', retryable: true })
  native.connect = async () => undefined
  arrive?.()
  const events = [pay()]
  assert.deepEqual(await ledger.createTransfers(events), ['created'])
  assert.equal(native.clients.length, 1)
  assert.deepEqual(
    native.clients[0]?.batches.map((batch) => batch.length),
    [1],
    'what was given up is not sent later',
  )
})

test('a client that is never answered is replaced', async () => {
  const { native, ledger } = await setUp()
  native.connect = (client) => (client === 0 ? never() : Promise.resolve())
  assert.deepEqual(await ledger.createTransfers([pay()]), ['created'])
  assert.deepEqual(
    native.clients.map(({ destroyed }) => destroyed),
    [true, false],
  )
})

test('F38: a client that was evicted is replaced and never destroyed', async () => {
  for (const code of ['ERR_CLIENT_EVICTED', 'ERR_CLIENT_RELEASE_TOO_LOW']) {
    const { native, ledger } = await setUp()
    native.answer = async (batch, client) => {
      if (client === 0) throw requestError(code)
      return batch.map(() => 'created')
    }
    assert.deepEqual(await ledger.createTransfers([pay()]), ['created'])
    assert.deepEqual(
      native.clients.map(({ destroyed }) => destroyed),
      [false, false],
    )
  }
})

test('F38: a name that does not resolve is like a cluster that is away', async () => {
  const { native, ledger } = await setUp({ replicas: [{ host: 'replica.invalid', port: 3000 }] })
  await assert.rejects(ledger.createTransfers([pay()]), { code: 'ledger_outcome_unknown', retryable: true })
  await assert.rejects(ledger.lookupAccounts([randomUUID()]), { code: 'ledger_unavailable', retryable: true })
  assert.equal(native.clients.length, 0)
})

test('F38: while the cluster is away what waits is bounded and refused', async () => {
  const { native, ledger } = await setUp({ queueSizeMax: 50 })
  native.answer = never
  const first = ledger.createTransfers([pay()])
  await waitFor(() => native.clients.length > 0)
  const results = await Promise.allSettled([
    first,
    ...Array.from({ length: 100 }, () => ledger.createTransfers([pay()])),
  ])
  const codes = results.map(codeOf)
  assert.ok(codes.filter((code) => code === 'ledger_overloaded').length >= 50)
  assert.ok(codes.every((code) => code === 'ledger_overloaded' || code === 'ledger_outcome_unknown'))
})

test('closing waits for an answer, but not for ever', async () => {
  const { native, ledger } = await setUp({
    outcomeTimeoutMs: 60_000,
    silenceMsMax: 60_000,
    closeTimeoutMs: 100,
  })
  native.answer = async (batch) => {
    await sleep(30)
    return batch.map(() => 'created')
  }
  const answered = ledger.createTransfers([pay()])
  await waitFor(() => native.clients.length > 0)
  const { native: silent, ledger: hanging } = await setUp({
    outcomeTimeoutMs: 60_000,
    silenceMsMax: 60_000,
    closeTimeoutMs: 100,
  })
  silent.answer = never
  const lost = Promise.allSettled([hanging.createTransfers([pay()]), hanging.createTransfers([pay()])])
  await waitFor(() => silent.clients.length > 0)
  const start = performance.now()
  await Promise.all([ledger.close(), hanging.close()])
  assert.ok(performance.now() - start < 1_000)
  assert.deepEqual(await answered, ['created'])
  assert.deepEqual((await lost).map(codeOf), ['ledger_outcome_unknown', 'ledger_outcome_unknown'])
  assert.ok([native, silent].every(({ clients }) => clients.every((client) => client.destroyed)))
  await assert.rejects(ledger.createTransfers([pay()]), { code: 'ledger_closed' })
})

test('a number that nobody knows, or that nothing asks for, is no outcome', async () => {
  const { native, ledger } = await setUp()
  for (const code of [9_999, native.CreateTransferStatus.reserved_flag]) {
    native.answer = async () => [code]
    await assert.rejects(ledger.createTransfers([pay()]), (error) => {
      assert.ok(error instanceof Fault)
      return error.code === 'ledger_outcome_unknown' && !error.retryable
    })
  }
})

test('F40: a repeated chain exists only when all of it does, with the same fields', async () => {
  const { native, ledger } = await setUp()
  const chain = [pay({ linked: true, userData64: 7n }), pay({ userData128: randomUUID() })]
  await ledger.createTransfers(chain)
  const sent = native.clients[0]?.batches[0] ?? []
  native.answer = async (batch) => batch.map((_, index) => (index === 0 ? 'exists' : 'linked_event_failed'))
  native.stored = sent.map((transfer) => ({ ...transfer, timestamp: 5n }))
  assert.deepEqual(await ledger.createTransfers(chain), ['exists', 'exists'])
  const fields = [
    'amount',
    'user_data_64',
    'user_data_32',
    'user_data_128',
    'ledger',
    'code',
    'timeout',
  ] as const
  for (const field of [...fields, 'flags', 'debit_account_id', 'credit_account_id', 'pending_id'] as const) {
    native.stored = sent.map((transfer, index) =>
      index === 0
        ? transfer
        : {
            ...transfer,
            [field]: (transfer[field] as number) + (typeof transfer[field] === 'bigint' ? (1n as never) : 1),
          },
    )
    assert.deepEqual(await ledger.createTransfers(chain), ['exists', 'linked_event_failed'], field)
  }
  native.stored = sent.slice(0, 1)
  assert.deepEqual(await ledger.createTransfers(chain), ['exists', 'linked_event_failed'])
})

test('accounts that transfers need go before them; a transfer without its account must fail, with its chain', async () => {
  const { native, ledger } = await setUp()
  const account = { id: randomUUID(), ledger: 1, code: 4 }
  const asked: string[] = []
  native.answerAccounts = (batch) => {
    asked.push(`${batch.length} accounts`)
    return batch.map(({ code }) => (code === 4 ? 'created' : 'exists_with_different_code'))
  }
  native.answer = async (batch) => {
    asked.push(`${batch.length} transfers`)
    return batch.map(({ pending_id }) => (pending_id === 0n ? 'created' : 'pending_id_must_be_zero'))
  }
  const good = pay({ needs: [account] })
  assert.deepEqual(await ledger.createTransfers([good, pay()]), ['created', 'created'])
  const bad = pay({ needs: [account, { ...account, code: 3 }] })
  assert.deepEqual(await ledger.createTransfers([bad, pay()]), ['needed_account_refused', 'created'])
  assert.deepEqual(await ledger.createTransfers([pay()]), ['created'])
  assert.deepEqual(asked, ['1 accounts', '2 transfers', '2 accounts', '2 transfers', '1 transfers'])
  // What exists under the id is found all the same.
  const [stored] = native.clients[0]?.batches[0] ?? []
  assert.ok(stored)
  native.stored = [{ ...stored, timestamp: 5n }]
  native.answer = async (batch) => batch.map(() => 'exists_with_different_pending_id')
  assert.deepEqual(await ledger.createTransfers([{ ...good, needs: bad.needs ?? [] }]), ['exists'])
})
