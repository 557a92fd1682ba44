import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ledgerContract } from '../../shared/ledger/contract.ts'
import {
  accountCode,
  auditLedger,
  createPostgresLedger,
  createRpcLedger,
  type Ledger,
  type NewAccount,
  type PostedTransfer,
  type PostgresLedger,
  serveLedgerCall,
  settlementAccountId,
  type TransferEvent,
  transferCode,
} from '../../shared/ledger/index.ts'
import { createTrustedHttp, Fault, silentLogger, systemClock } from '../../shared/platform/index.ts'
import { silentTelemetry } from '../../shared/telemetry/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../../shared/testing/index.ts'
import { listen } from '../http/index.ts'
import { observeCalls } from './observe-calls.ts'
import { createRpcServer } from './rpc-server.ts'

const SECRET = 'the secret of this test'

/** The connector's RPC with this ledger, and nothing behind its other methods. */
async function serve(ledger: Ledger) {
  const absent = new Proxy({}, { get: (_, name) => assert.fail(`${String(name)} is not asked here`) })
  const rpc = createRpcServer({
    ledger,
    sessions: absent as never,
    pipeline: absent as never,
    directory: absent as never,
    rates: absent as never,
    telemetry: silentTelemetry,
    observeCall: observeCalls(silentTelemetry, silentLogger),
    clock: systemClock,
    log: silentLogger,
    secrets: [SECRET],
    ready: async () => {},
  })
  const port = await listen(rpc.server, 0)
  return { url: `http://127.0.0.1:${port}`, close: () => rpc.drain(1_000) }
}

const http = createTrustedHttp()
after(() => http.close())

const connect = (url: string, options: { secret?: string; outcomeTimeoutMs?: number } = {}): Ledger =>
  createRpcLedger({ url, secret: SECRET, http, clock: systemClock, ...options })

ledgerContract('over RPC', async () => {
  const database = await createTestDatabase('ledger')
  const clock = testClock()
  const { connectionString } = database
  const store = createPostgresLedger({ connectionString, log: silentLogger, clock, sweepIntervalMs: 0 })
  const server = await serve(store)
  const ledger = connect(server.url)
  return {
    ledger,
    another: async () => connect(server.url),
    passSeconds: async (seconds) => clock.advance(seconds * 1000),
    async close() {
      await ledger.close()
      await server.close()
      await store.sweep()
      await store.close()
      assert.deepEqual(await auditLedger(connectionString, { now: clock.now() }), [])
      await database.drop()
    },
  }
})

describe('a ledger over RPC, when something is wrong', () => {
  let database: TestDatabase
  let store: PostgresLedger
  before(async () => {
    database = await createTestDatabase('ledger')
    store = createPostgresLedger({ connectionString: database.connectionString, log: silentLogger })
  })
  after(async () => {
    await store.close()
    await database.drop()
  })

  let nextLedger = 1
  /** An account with 100, and a debit of all of it. */
  async function openAccount() {
    const ledger = nextLedger++
    const id = randomUUID()
    const settlement = settlementAccountId(ledger)
    await store.createAccounts([
      { id: settlement, ledger, code: accountCode.settlement, creditsMustNotExceedDebits: true },
      { id, ledger, code: accountCode.peer, debitsMustNotExceedCredits: true },
    ])
    const transfer = { ledger, code: transferCode.transfer, kind: 'posted' as const, amount: 100n }
    await store.createTransfers([
      { ...transfer, id: randomUUID(), debitAccountId: settlement, creditAccountId: id },
    ])
    const debit = (): TransferEvent => ({
      ...transfer,
      id: randomUUID(),
      debitAccountId: id,
      creditAccountId: settlement,
    })
    return { id, debit, debited: async () => (await store.lookupAccounts([id]))[0]?.debitsPosted }
  }

  const isFault = (code: string) => (error: unknown) =>
    error instanceof Fault && error.code === code && error.retryable

  it('of many clients that debit an account at once, as many pass as it has money for', async () => {
    const server = await serve(store)
    const { debit, debited } = await openAccount()
    const clients = Array.from({ length: 8 }, () => connect(server.url))
    const statuses = await Promise.all(
      clients.flatMap((client) => Array.from({ length: 8 }, () => client.createTransfers([debit()]))),
    )
    assert.equal(statuses.flat().filter((status) => status === 'created').length, 1)
    assert.equal(statuses.flat().filter((status) => status === 'exceeds_credits').length, 63)
    assert.equal(await debited(), 100n)
    for (const client of clients) await client.close()
    await server.close()
  })

  it('a connector that is away makes the outcome unknown, in time; the same events settle it afterwards', async () => {
    const { debit, debited } = await openAccount()
    const event = debit()
    const absent = connect('http://127.0.0.1:9', { outcomeTimeoutMs: 300 })
    const startedAt = performance.now()
    await assert.rejects(absent.createTransfers([event]), isFault('ledger_outcome_unknown'))
    assert.ok(performance.now() - startedAt < 3_000)
    await assert.rejects(absent.lookupAccounts([randomUUID()]), isFault('ledger_unavailable'))
    await assert.rejects(
      absent.queryTransfers({ accountId: randomUUID(), limit: 1 }),
      isFault('ledger_unavailable'),
    )
    await absent.close()
    const server = await serve(store)
    const client = connect(server.url)
    assert.deepEqual(await client.createTransfers([event]), ['created'])
    assert.deepEqual(await client.createTransfers([event]), ['exists'])
    assert.equal(await debited(), 100n)
    await client.close()
    await server.close()
  })

  it('an answer that is lost is asked for again under the same ids, and the money moves once', async () => {
    const server = await serve(store)
    const { debit, debited } = await openAccount()
    let lost = 0
    /** Passes everything on, and loses the first answers. */
    const proxy = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { 'content-length': _length, host: _host, connection: _connection, ...headers } = request.headers
      const answer = await http.request({
        method: 'POST',
        url: server.url,
        headers: headers as Record<string, string>,
        body: Buffer.concat(chunks).toString(),
        timeoutMs: 5_000,
      })
      if (lost++ < 3) response.destroy()
      else response.end(answer.body)
    })
    const port = await listen(proxy, 0)
    const client = connect(`http://127.0.0.1:${port}`)
    const statuses = await client.createTransfers([debit()])
    assert.deepEqual(statuses, ['exists'])
    assert.equal(lost, 4)
    assert.equal(await debited(), 100n)
    await client.close()
    proxy.closeAllConnections()
    proxy.close()
    await server.close()
  })

  it('a ledger that is still at it is waited for: its turn and its outcome fit into the caller’s patience', async (t) => {
    const outcomeTimeoutMs = 500
    const slow: Ledger = {
      ...store,
      async createTransfers(events) {
        await sleep(1.9 * outcomeTimeoutMs)
        return await store.createTransfers(events)
      },
    }
    const server = await serve(slow)
    const { debit, debited } = await openAccount()
    const client = connect(server.url, { outcomeTimeoutMs })
    t.after(async () => {
      await client.close()
      await server.close()
    })
    assert.deepEqual(await client.createTransfers([debit()]), ['created'])
    assert.equal(await debited(), 100n)
  })

  it('what the ledger gave up as unknown is asked for once more, and not for ever', async (t) => {
    const outcomeTimeoutMs = 1_500
    let calls = 0
    const flaky: Ledger = {
      ...store,
      async createTransfers(events) {
        // As a store does that heard nothing for all of its time: what it sent was applied.
        const statuses = await store.createTransfers(events)
        if (++calls !== 2) {
          await sleep(0.9 * outcomeTimeoutMs)
          throw new Fault('ledger_outcome_unknown', { retryable: true, message: 'no answer' })
        }
        return statuses
      },
    }
    const server = await serve(flaky)
    const { debit, debited } = await openAccount()
    const client = connect(server.url, { outcomeTimeoutMs })
    t.after(async () => {
      await client.close()
      await server.close()
    })
    const event = debit()
    assert.deepEqual(await client.createTransfers([event]), ['exists'])
    assert.equal(calls, 2)
    const startedAt = performance.now()
    await assert.rejects(client.createTransfers([event]), isFault('ledger_outcome_unknown'))
    assert.ok(performance.now() - startedAt < 10 * outcomeTimeoutMs)
    assert.equal(await debited(), 100n)
  })

  it('an overloaded ledger says so at once: nothing was applied', async () => {
    const refuse = async () => {
      throw new Fault('ledger_overloaded', { retryable: true, message: 'too much waits' })
    }
    const server = await serve({ ...store, createTransfers: refuse })
    const { debit, debited } = await openAccount()
    const client = connect(server.url)
    await assert.rejects(client.createTransfers([debit()]), isFault('ledger_overloaded'))
    assert.equal(await debited(), 0n)
    await client.close()
    await server.close()
  })

  it('a wrong secret is heard of at once, and moves nothing', async () => {
    const server = await serve(store)
    const { debit, debited } = await openAccount()
    const client = connect(server.url, { secret: 'another', outcomeTimeoutMs: 60_000 })
    await assert.rejects(client.createTransfers([debit()]), isFault('ledger_outcome_unknown'))
    assert.equal(await debited(), 0n)
    await client.close()
    await server.close()
  })

  it('a connector that does not know accounts that transfers need is asked for both, and is told of none', async (t) => {
    const server = await serve(store)
    const asked: { method: string; body: string }[] = []
    /** As it was before. */
    const older = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      const { method } = JSON.parse(body) as { method: string }
      asked.push({ method, body })
      if (method === 'createTransfersWithAccounts') {
        response.statusCode = 400
        response.end(
          JSON.stringify({ error: { code: 'invalid_request', message: 'method must be another' } }),
        )
        return
      }
      const { 'content-length': _length, host: _host, connection: _connection, ...headers } = request.headers
      const answer = await http.request({
        method: 'POST',
        url: server.url,
        headers: headers as Record<string, string>,
        body,
        timeoutMs: 5_000,
      })
      response.end(answer.body)
    })
    const port = await listen(older, 0)
    const client = connect(`http://127.0.0.1:${port}`)
    t.after(async () => {
      await client.close()
      older.closeAllConnections()
      older.close()
      await server.close()
    })
    const { id, debit } = await openAccount()
    const [held] = await store.lookupAccounts([id])
    assert.ok(held)
    const account: NewAccount = {
      id: randomUUID(),
      ledger: held.ledger,
      code: accountCode.incomingPayment,
    }
    const credit = (amount: bigint, needs = [account]) =>
      ({ ...debit(), creditAccountId: account.id, amount, needs }) as PostedTransfer
    const first = credit(10n)
    assert.deepEqual(await client.createTransfers([first]), ['created'])
    assert.deepEqual(await client.createTransfers([first]), ['exists'])
    const others = [{ ...account, code: accountCode.peer }]
    assert.deepEqual(
      await client.createTransfers([
        { ...credit(1n), linked: true },
        { ...credit(2n, others), linked: true },
        credit(3n, others),
        credit(4n),
        { ...debit(), amount: 5n } as PostedTransfer,
      ]),
      ['linked_event_failed', 'needed_account_refused', 'linked_event_failed', 'created', 'created'],
    )
    assert.equal((await store.lookupAccounts([account.id]))[0]?.creditsPosted, 14n)
    // What is no account is its caller's bug here as well, and fails nobody else.
    const wrong = credit(1n, [{ ...account, id: 'none' }])
    const [refused, passed] = await Promise.allSettled([
      client.createTransfers([wrong]),
      client.createTransfers([credit(6n)]),
    ])
    assert.equal(refused.status, 'rejected')
    assert.deepEqual(passed, { status: 'fulfilled', value: ['created'] })
    assert.ok(asked.some(({ method }) => method === 'createTransfers'))
    for (const { method, body } of asked)
      if (method !== 'createTransfersWithAccounts') assert.ok(!body.includes('needs'), body)
  })

  it('events that are none are refused whole', async () => {
    const { debit, debited } = await openAccount()
    const good = { ...debit(), amount: '100' }
    const bad: [string, unknown][] = [
      ['a negative amount', { ...good, amount: '-1' }],
      ['an amount as a number', { ...good, amount: 100 }],
      ['an amount beyond 64 bits', { ...good, amount: String(2n ** 64n) }],
      ['an id that is none', { ...good, id: 'x' }],
      ['another kind', { ...good, kind: 'gift' }],
      ['a ledger that is no number', { ...good, ledger: '1' }],
      ['a timeout without end', { ...good, kind: 'pending', timeoutSeconds: -1 }],
      ['nothing', null],
    ]
    for (const [name, event] of bad)
      await assert.rejects(
        serveLedgerCall(store, 'createTransfers', [good, event]),
        { code: 'malformed_rpc' },
        name,
      )
    const many = Array.from({ length: 1001 }, () => ({ ...good, id: randomUUID() }))
    await assert.rejects(serveLedgerCall(store, 'createTransfers', many), { code: 'malformed_rpc' })
    await assert.rejects(serveLedgerCall(store, 'queryTransfers', { limit: 1 }), { code: 'malformed_rpc' })
    assert.equal(await debited(), 0n)
  })
})
