import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { SignatureUsed } from '../../shared/graphql-server/index.ts'
import { createDb, type DbPool, Refusal, sql, uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, testClock, waitFor } from '../../shared/testing/index.ts'
import {
  type IdempotencyContext,
  IdempotencyRefusal,
  type Run,
  runOnce,
  sweepIdempotencyKeys,
} from './idempotency.ts'
import { storeAnswer, takeKey } from './idempotency-store.ts'

class Refused extends Refusal<'refused'> {}

describe('idempotency keys', () => {
  let db: DbPool
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  const tenantId = uuidv7()
  const otherTenantId = uuidv7()
  before(async () => {
    database = await createTestDatabase('resources')
    db = createDb({ connectionString: database.connectionString, poolSizeMax: 20 })
    for (const id of [tenantId, otherTenantId])
      await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, 'sealed')`)
  })
  after(async () => {
    await db.close()
    await database.drop()
  })

  const clock = testClock(new Date('2026-01-01T00:00:00Z'))
  const ctx = (): IdempotencyContext => ({ db, clock, lockMs: 2_000, lifespanMs: 86_400_000 })
  const request = (key: string, overrides: Record<string, unknown> = {}) => ({
    tenantId,
    key,
    operation: 'createThing',
    arguments: { amount: '5' },
    ...overrides,
  })
  const counting = () => {
    const calls = { count: 0 }
    return { calls, run: async () => ({ id: `thing-${++calls.count}` }) }
  }

  it('runs once for 20 parallel requests with one key, and all get the same answer', async () => {
    const { calls, run } = counting()
    const slow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return run()
    }
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => runOnce(ctx(), request('parallel'), slow)),
    )
    assert.equal(calls.count, 1)
    for (const answer of answers) assert.deepEqual(answer, { id: 'thing-1' })
  })

  it('refuses a key that was used with other arguments, and does nothing', async () => {
    const { calls, run } = counting()
    await runOnce(ctx(), request('arguments'), run)
    await assert.rejects(
      runOnce(ctx(), request('arguments', { arguments: { amount: '6' } }), run),
      (error) => error instanceof IdempotencyRefusal && error.code === 'idempotency_conflict',
    )
    await assert.rejects(
      runOnce(ctx(), request('arguments', { operation: 'other' }), run),
      IdempotencyRefusal,
    )
    assert.equal(calls.count, 1)
  })

  it('keeps tenants apart', async () => {
    const { calls, run } = counting()
    await runOnce(ctx(), request('shared'), run)
    await runOnce(ctx(), request('shared', { tenantId: otherTenantId, arguments: { amount: '7' } }), run)
    assert.equal(calls.count, 2)
  })

  it('takes keys of any length', async () => {
    const { calls, run } = counting()
    const long = randomBytes(20_000).toString('hex')
    for (const key of [long, long, `${long}0`]) await runOnce(ctx(), request(key), run)
    assert.equal(calls.count, 2)
  })

  it('stores no refusal: the key is free for other arguments', async () => {
    const { calls, run } = counting()
    const refuse = () => Promise.reject(new Refused('refused', { message: 'refused' }))
    await assert.rejects(runOnce(ctx(), request('failure'), refuse), Refused)
    await runOnce(ctx(), request('failure', { arguments: { amount: '6' } }), run)
    assert.equal(calls.count, 1)
  })

  it('F33: a run that failed otherwise may have had its effect: its key waits for the same request, which is told so', async () => {
    const { calls, run } = counting()
    const runs: Run[] = []
    const failing = (known: Run) => {
      runs.push(known)
      return Promise.reject(new Error('connection cut'))
    }
    await assert.rejects(runOnce(ctx(), request('uncertain'), failing), /cut/)
    await assert.rejects(
      runOnce(ctx(), request('uncertain', { arguments: { amount: '6' } }), run),
      (error) => error instanceof IdempotencyRefusal && error.code === 'idempotency_conflict',
    )
    const noting = (known: Run) => {
      runs.push(known)
      return run()
    }
    await runOnce(ctx(), request('uncertain'), noting)
    assert.equal(calls.count, 1)
    assert.deepEqual(
      runs.map(({ isRepeat }) => isRepeat),
      [false, true],
    )
    assert.equal(runs[0]?.requestId, runs[1]?.requestId)
    // Once its time is over the key is another request's.
    clock.advance(86_400_001)
    await runOnce(ctx(), request('uncertain'), noting)
    assert.notEqual(runs[2]?.requestId, runs[1]?.requestId)
    assert.equal(runs[2]?.isRepeat, false)
  })

  it('F33: an effect in one transaction with its answer is taken back when the answer cannot be stored', async () => {
    const count = () => db.execute(sql`select from tenants where email = 'effect'`)
    const effect = (known: Run) =>
      known.db.execute(sql`update tenants set email = 'effect' where id = ${tenantId}`)
    const atomic = (key: string) => ({ ...request(key), isOneTransaction: true })
    // Another run takes the key over meanwhile.
    await assert.rejects(
      runOnce(ctx(), atomic('fenced'), async (known) => {
        await effect(known)
        await db.execute(sql`update idempotency_keys set owner = ${uuidv7()} where key = 'fenced'`)
      }),
      (error) => error instanceof IdempotencyRefusal && error.code === 'idempotency_in_progress',
    )
    assert.equal(await count(), 0)
    await runOnce(ctx(), atomic('kept'), effect)
    assert.equal(await count(), 1)
  })

  it('runs again what a request that died left behind, and only under the same arguments', async () => {
    const { calls, run } = counting()
    await db.execute(sql`
      insert into idempotency_keys (tenant_id, key, operation, arguments_hash, locked_until, owner, expires_at)
      select tenant_id, 'dead', operation, arguments_hash, ${clock.now()}, ${uuidv7()}, expires_at
      from idempotency_keys where key = 'shared' and tenant_id = ${tenantId}`)
    await runOnce(ctx(), request('dead'), run)
    assert.equal(calls.count, 1)
  })

  it('keeps the key of a slow request for as long as it runs', async () => {
    const { calls, run } = counting()
    const slow = Promise.withResolvers<void>()
    const first = runOnce(ctx(), request('slow'), async () => {
      await slow.promise
      return run()
    })
    await waitFor(
      async () => Number(await db.execute(sql`select from idempotency_keys where key = 'slow'`)) > 0,
    )
    clock.advance(60_000)
    // Until it has said that it lives.
    await waitFor(async () => {
      const [lock] = await db.many(
        (row) => row.locked_until as Date,
        sql`select locked_until from idempotency_keys where key = 'slow'`,
      )
      return lock && lock > clock.now()
    })
    const hurried = { ...ctx(), lockMs: 0 }
    await assert.rejects(
      runOnce(hurried, request('slow'), run),
      (error) => error instanceof IdempotencyRefusal && error.code === 'idempotency_in_progress',
    )
    slow.resolve()
    assert.deepEqual(await first, { id: 'thing-1' })
    assert.deepEqual(await runOnce(ctx(), request('slow'), run), { id: 'thing-1' })
    assert.equal(calls.count, 1)
  })

  it('of many requests at once over two processes, each key runs once, whoever asks for it and in what order', async () => {
    const other = createDb({ connectionString: database.connectionString })
    try {
      const calls = new Map<string, number>()
      const keys = Array.from({ length: 60 }, (_, index) => `crowd-${index}`)
      const ask = (over: DbPool, key: string, amount: string) =>
        runOnce({ ...ctx(), db: over }, request(key, { arguments: { amount } }), async () => {
          calls.set(key, (calls.get(key) ?? 0) + 1)
          if (amount === 'refused') throw new Refused('refused', { message: 'refused' })
          return { key, amount }
        })
      const crowd = await Promise.allSettled([
        ...keys.map((key) => ask(db, key, '5')),
        ...[...keys].reverse().map((key) => ask(other, key, '5')),
        // Another request under a key of the crowd, one that is refused, and one whose key no database takes.
        ask(db, 'crowd-7', '6'),
        ask(other, 'refused', 'refused'),
        ask(db, 'nul \u0000', '5'),
      ])
      const [conflict, refused, impossible] = crowd.splice(120)
      for (const [index, outcome] of crowd.entries()) {
        const key = index < 60 ? keys[index] : keys[119 - index]
        if (key === 'crowd-7') continue
        assert.ok(outcome.status === 'fulfilled', String(outcome.status === 'rejected' && outcome.reason))
        assert.deepEqual(outcome.value, { key, amount: '5' })
      }
      const sevens = [crowd[7], crowd[112], conflict].map((outcome) => outcome?.status)
      assert.ok(sevens[0] === sevens[1] && sevens[0] !== sevens[2], 'one of the two requests has the key')
      assert.equal(refused?.status === 'rejected' && refused.reason instanceof Refused, true)
      assert.equal(impossible?.status, 'rejected')
      assert.deepEqual(new Set(keys.map((key) => calls.get(key))), new Set([1]))
      assert.equal(await db.execute(sql`select from idempotency_keys where key = 'refused'`), 0)
    } finally {
      await other.close()
    }
  })

  it('of two owners of a key, one that was overtaken stores nothing, though it is asked together with others', async () => {
    const claimOf = (key: string) => ({ tenantId, key, operation: 'createThing', hash: Buffer.from('hash') })
    const [first, second, third] = [uuidv7(), uuidv7(), uuidv7()]
    const times = { lockedUntil: clock.fromNow(10_000), expiresAt: clock.fromNow(60_000) }
    const early = { ...claimOf('overtaken'), ...times, owner: first, now: clock.now() }
    // In one statement the first that asks has it.
    const asked = await Promise.all([
      db.batched(takeKey, early),
      db.batched(takeKey, { ...early, owner: second }),
      db.batched(takeKey, { ...early, tenantId: otherTenantId, owner: third }),
    ])
    assert.deepEqual(
      asked.map((taken) => taken !== 'signature_used' && taken?.isRepeat),
      [false, undefined, false],
    )
    assert.equal(await db.batched(takeKey, { ...early, owner: second, now: clock.fromNow(9_999) }), undefined)
    const late = { ...early, owner: second, now: clock.fromNow(10_000), lockedUntil: clock.fromNow(20_000) }
    const taken = await db.batched(takeKey, late)
    assert.ok(taken !== 'signature_used' && taken?.isRepeat)
    const stored = await Promise.all([
      db.batched(storeAnswer, { ...claimOf('overtaken'), owner: first, answer: 'first' }),
      db.batched(storeAnswer, { ...claimOf('overtaken'), owner: second, answer: 'second' }),
      db.batched(storeAnswer, { ...claimOf('overtaken'), tenantId: otherTenantId, owner: third, answer: 3 }),
    ])
    assert.deepEqual(stored, [undefined, true, true])
    const rows = await db.many(
      (row) => [row.tenant_id, row.result.answer] as const,
      sql`select tenant_id, result from idempotency_keys where key = 'overtaken'`,
    )
    assert.deepEqual(
      new Map(rows),
      new Map<unknown, unknown>([
        [tenantId, 'second'],
        [otherTenantId, 3],
      ]),
    )
  })

  const newSignature = () => ({ digest: randomBytes(32), expiresAt: clock.fromNow(60_000) })
  const isUsed = (error: unknown) => error instanceof SignatureUsed
  const countKeys = (key: string) => db.execute(sql`select from idempotency_keys where key = ${key}`)

  it('uses up the signature with the key: of 20 replays at once over two processes one runs, and others beside them too', async () => {
    const other = createDb({ connectionString: database.connectionString })
    try {
      const { calls, run } = counting()
      const signature = newSignature()
      const outcomes = await Promise.allSettled([
        ...Array.from({ length: 20 }, (_, index) =>
          runOnce({ ...ctx(), db: index % 2 ? db : other }, { ...request('replayed'), signature }, run),
        ),
        ...Array.from({ length: 10 }, (_, index) =>
          runOnce(ctx(), { ...request(`beside ${index}`), signature: newSignature() }, run),
        ),
        ...Array.from({ length: 10 }, (_, index) => runOnce(ctx(), request(`unsigned ${index}`), run)),
      ])
      const [replays, others] = [outcomes.slice(0, 20), outcomes.slice(20)]
      assert.equal(replays.filter(({ status }) => status === 'fulfilled').length, 1)
      assert.equal(replays.filter((end) => end.status === 'rejected' && isUsed(end.reason)).length, 19)
      assert.ok(others.every(({ status }) => status === 'fulfilled'))
      assert.equal(calls.count, 21)
    } finally {
      await other.close()
    }
  })

  it('takes no key for a signature that was used, and leaves one that is there as it is; a key that is taken uses it up all the same', async () => {
    const { calls, run } = counting()
    const signature = newSignature()
    const refuse = () => Promise.reject(new Refused('refused', { message: 'refused' }))
    await assert.rejects(runOnce(ctx(), { ...request('freed'), signature }, refuse), Refused)
    await assert.rejects(runOnce(ctx(), { ...request('freed'), signature }, run), isUsed)
    assert.equal(await countKeys('freed'), 0)
    const failing = () => Promise.reject(new Error('connection cut'))
    const second = newSignature()
    await assert.rejects(runOnce(ctx(), { ...request('left'), signature: second }, failing), /cut/)
    await assert.rejects(runOnce(ctx(), { ...request('left'), signature: second }, run), isUsed)
    assert.equal(calls.count, 0)
    const third = newSignature()
    await runOnce(ctx(), { ...request('left'), signature: third }, run)
    const fourth = newSignature()
    assert.deepEqual(await runOnce(ctx(), { ...request('left'), signature: fourth }, run), { id: 'thing-1' })
    for (const used of [third, fourth])
      await assert.rejects(runOnce(ctx(), { ...request('left'), signature: used }, run), isUsed)
    assert.equal(calls.count, 1)
  })

  it('uses a signature up without a key', async () => {
    const { calls, run } = counting()
    const signature = newSignature()
    const unkeyed = { ...request('none'), key: undefined, signature }
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => runOnce(ctx(), unkeyed, run)))
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    await assert.rejects(runOnce(ctx(), { ...request('keyed'), signature }, run), isUsed)
    assert.equal(calls.count, 1)
  })

  it('forgets keys whose time is over', async () => {
    const { calls, run } = counting()
    await runOnce(ctx(), request('old'), run)
    clock.advance(86_400_001)
    assert.ok((await sweepIdempotencyKeys(ctx())) > 0)
    await runOnce(ctx(), request('old', { arguments: { amount: 'other' } }), run)
    assert.equal(calls.count, 2)
  })

  it('runs requests without a key each time', async () => {
    const { calls, run } = counting()
    const { key: _key, ...withoutKey } = request('none')
    await runOnce(ctx(), { ...withoutKey, key: undefined }, run)
    await runOnce(ctx(), { ...withoutKey, key: undefined }, run)
    assert.equal(calls.count, 2)
  })
})
