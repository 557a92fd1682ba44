import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ConfigError, createDb, type DbPool, silentLogger, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../../shared/testing/index.ts'
import type { AccessItem } from './access/index.ts'
import { loadAuthConfig } from './config.ts'
import { decideGrant, type GrantPolicy } from './grants/index.ts'
import { decidePoll, decideReference, type Grant, type GrantState } from './grants/model.ts'
import { testEnvironment } from './harness.ts'
import { createNonces } from './nonces.ts'
import { deleteOldRows } from './tasks.ts'
import { hashSecret } from './tokens/index.ts'

const client = { walletAddress: 'https://wallet.example/alice' }
const policy: GrantPolicy = {
  incomingPaymentInteraction: false,
  quoteInteraction: false,
  listAllInteraction: true,
}

describe('which access is given without asking', () => {
  const incoming: AccessItem = { type: 'incoming-payment', actions: ['create', 'read-all', 'list'] }
  const all: AccessItem = { type: 'incoming-payment', actions: ['list-all'] }
  const quote: AccessItem = { type: 'quote', actions: ['create', 'read'] }
  const outgoing: AccessItem = {
    type: 'outgoing-payment',
    actions: ['read'],
    identifier: 'https://bank.example/alice',
  }
  const cases: [string, AccessItem[], Partial<GrantPolicy>, boolean][] = [
    ['incoming payments', [incoming], {}, true],
    ['quotes', [quote], {}, true],
    ['both', [incoming, quote], {}, true],
    ['incoming payments, when configured', [incoming], { incomingPaymentInteraction: true }, false],
    ['quotes, when configured', [quote], { quoteInteraction: true }, false],
    ['the other kind, when configured', [quote], { incomingPaymentInteraction: true }, true],
    ['one of two needs it', [incoming, quote], { quoteInteraction: true }, false],
    ['list-all', [all], {}, false],
    ['list-all, when configured', [all], { listAllInteraction: false }, true],
    ['limits, even empty', [{ ...incoming, limits: {} }], {}, false],
    ['outgoing payments', [outgoing], {}, false],
    ['outgoing payments, whatever is configured', [outgoing], { listAllInteraction: false }, false],
  ]
  for (const [name, access, change, expected] of cases)
    test(`${name}: ${expected}`, () => {
      const interact = { start: ['redirect'] }
      const asked = access.map((item) => ({ identifier: 'https://bank.example/alice', ...item }))
      const decided = decideGrant({ client, access: asked, interact }, { ...policy, ...change }, true)
      assert.equal(decided.kind, expected ? 'approved' : 'consent')
    })
})

describe('continuations: first the wait, then the state', () => {
  const clock = testClock()
  const reference = 'R'.repeat(40)
  const grant = (ageMs: number, state: GrantState, more: Partial<Grant> = {}) => ({
    state,
    continuedAt: clock.fromNow(-ageMs),
    hasFinish: false,
    referenceHash: hashSecret(reference),
    ...more,
  })
  test('polls', () => {
    const polled = (...given: Parameters<typeof grant>) => decidePoll(grant(...given), clock.now(), 5)
    assert.equal(polled(4_999, 'APPROVED'), 'too_fast')
    assert.equal(polled(4_999, 'FINALIZED'), 'too_fast')
    assert.equal(polled(4_999, 'PENDING', { hasFinish: true }), 'too_fast')
    assert.equal(polled(5_000, 'APPROVED'), 'issue')
    assert.equal(polled(5_000, 'PENDING'), 'keep_waiting')
    assert.equal(polled(5_000, 'FINALIZED'), 'not_continuable')
    for (const state of ['PENDING', 'APPROVED', 'FINALIZED'] as const)
      assert.equal(polled(5_000, state, { hasFinish: true }), 'not_pollable')
  })
  test('references', () => {
    const brought = (text: string, ...given: Parameters<typeof grant>) =>
      decideReference(grant(...given), text, clock.now(), 5)
    assert.equal(brought(reference, 5_000, 'APPROVED'), 'issue')
    assert.equal(brought(reference, 4_999, 'APPROVED'), 'too_fast')
    assert.equal(brought(`${reference}R`, 4_999, 'APPROVED'), 'unknown')
    assert.equal(brought('', 5_000, 'APPROVED'), 'unknown')
    assert.equal(brought(reference, 5_000, 'PENDING'), 'not_approved')
    assert.equal(brought(reference, 5_000, 'FINALIZED', { finalizationReason: 'ISSUED' }), 'not_approved')
    assert.equal(brought(reference, 0, 'FINALIZED', { finalizationReason: 'REJECTED' }), 'unknown')
    const { referenceHash: _none, ...without } = grant(5_000, 'APPROVED')
    assert.equal(decideReference(without, reference, clock.now(), 5), 'unknown')
  })
})

describe('configuration', () => {
  const env = testEnvironment('postgresql://localhost/auth', 3006, '7b8a3d1e-8f52-4c9a-9f5e-0d1c2b3a4f5e')
  test('defaults are those of the contract', () => {
    const { WAIT_SECONDS: _, ...rest } = env
    // Ports too: a test's are its own.
    const config = loadAuthConfig(
      Object.fromEntries(Object.entries(rest).filter(([name]) => !name.endsWith('_PORT'))),
    )
    const { authPort, introspectionPort, interactionPort, adminPort, serviceApiPort, waitSeconds } = config
    assert.deepEqual(
      { authPort, introspectionPort, interactionPort, adminPort, serviceApiPort, waitSeconds },
      {
        authPort: 3006,
        introspectionPort: 3007,
        interactionPort: 3009,
        adminPort: 3003,
        serviceApiPort: 3011,
        waitSeconds: 5,
      },
    )
    assert.deepEqual(
      [
        config.tokenLifeSeconds,
        config.tokenDeletionDays,
        config.interactionExpirySeconds,
        config.signatureWindowSeconds,
      ],
      [600, 30, 600, 300],
    )
    assert.deepEqual(
      [config.incomingPaymentInteraction, config.quoteInteraction, config.listAllInteraction],
      [false, false, true],
    )
  })
  test('every problem is told at once, secrets are not', () => {
    try {
      loadAuthConfig({ AUTH_PORT: 'x', COOKIE_KEY: ' ', INTERACTION_COOKIE_SAME_SITE: 'strict' })
      assert.fail('accepted')
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      for (const name of [
        'AUTH_PORT',
        'COOKIE_KEY',
        'INTERACTION_COOKIE_SAME_SITE',
        'IDENTITY_SERVER_URL',
        'IDENTITY_SERVER_SECRET',
        'AUTH_SERVER_URL',
        'ADMIN_API_SECRET',
        'OPERATOR_TENANT_ID',
      ])
        assert.match(error.message, new RegExp(`- ${name} `))
    }
  })
  test('listeners need ports of their own', () => {
    for (const name of ['INTROSPECTION_PORT', 'INTERACTION_PORT', 'ADMIN_PORT', 'SERVICE_API_PORT'])
      assert.throws(() => loadAuthConfig({ ...env, [name]: '3006' }), /must differ/, name)
  })
})

describe('cleanup', () => {
  let database: TestDatabase
  let db: DbPool
  const clock = testClock()
  const days = (count: number) => clock.fromNow(count * 86_400_000)
  const tenantId = '7b8a3d1e-8f52-4c9a-9f5e-0d1c2b3a4f5e'
  before(async () => {
    database = await createTestDatabase('auth')
    db = createDb({ connectionString: database.connectionString })
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'x')`)
  })
  after(async () => {
    await db.close()
    await database.drop()
  })
  const insertGrant = async (state: GrantState) => {
    const id = randomUUID()
    await db.execute(sql`
      insert into grants (id, tenant_id, state, finalization_reason, client, client_name, interact_ref_hash, continue_id,
        continue_token_hash, continued_at, created_at, updated_at)
      values (${id}, ${tenantId}, ${state}, ${state === 'FINALIZED' ? 'ISSUED' : null}, 'c', 'C', ${Buffer.alloc(32)}, ${id},
        ${Buffer.alloc(32)}, now(), now(), now())`)
    return id
  }
  const clean = () => deleteOldRows({ db, clock, log: silentLogger }, 30)

  test('takes tokens and nonces that are long expired', async () => {
    const grantId = await insertGrant('APPROVED')
    for (const [index, expiresAt] of [days(-31), days(-29), days(1)].entries())
      await db.execute(sql`insert into access_tokens (id, grant_id, token_hash, expires_at, created_at)
        values (gen_random_uuid(), ${grantId}, ${Buffer.alloc(32, index)}, ${expiresAt}, now())`)
    const nonces = createNonces({ db, clock })
    assert.equal(await nonces.claim('old', days(-1)), true)
    assert.equal(await nonces.claim('live', days(1)), true)
    await clean()
    const left = await db.many(
      (row) => row.n as number,
      sql`select count(*)::int as n from access_tokens union all select count(*)::int from used_nonces`,
    )
    assert.deepEqual(left, [2, 1])
    assert.equal(await nonces.claim('live', days(1)), false)
    assert.equal(await nonces.claim('old', days(1)), true)
  })

  test('takes sessions that ended, interactions long after, and grants that nobody agreed to', async () => {
    const insert = async (state: GrantState, expiresAt: Date) => {
      const grantId = await insertGrant(state)
      const id = randomUUID()
      await db.execute(sql`
        insert into interactions (id, grant_id, nonce_hash, interact_ref_sealed, state, expires_at, created_at, updated_at)
        values (${id}, ${grantId}, ${Buffer.alloc(32)}, 'x', 'PENDING', ${expiresAt}, now(), now())`)
      await db.execute(sql`
        insert into sessions (id_hash, interaction_id, expires_at) values (sha256(${id}::text::bytea), ${id}, ${expiresAt})`)
      return { grantId, id }
    }
    const states = ['PENDING', 'APPROVED', 'FINALIZED'] as const
    const old = await Promise.all(states.map((state) => insert(state, days(-31))))
    const recent = await Promise.all(states.map((state) => insert(state, days(-29))))
    const open = await insert('PENDING', days(1))
    await clean()
    const all = [...old, ...recent, open]
    const left = async (table: 'grants' | 'interactions' | 'sessions') => {
      const ids = await db.many(
        (row) => row.id as string,
        table === 'grants'
          ? sql`select id from grants`
          : table === 'interactions'
            ? sql`select id from interactions`
            : sql`select interaction_id as id from sessions`,
      )
      return all.map(({ grantId, id }) => (ids.includes(table === 'grants' ? grantId : id) ? 1 : 0)).join('')
    }
    assert.equal(await left('sessions'), '0000001')
    assert.equal(await left('interactions'), '0101111')
    assert.equal(await left('grants'), '0111111')
  })
})
