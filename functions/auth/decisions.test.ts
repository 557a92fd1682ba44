import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigError, createDb, silentLogger, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, testClock } from '../../shared/testing/index.ts'
import type { AccessItem } from './access/index.ts'
import { startCleanup } from './cleanup.ts'
import { loadAuthConfig } from './config.ts'
import { decideGrant, type GrantPolicy } from './grants/index.ts'
import { decidePoll, decideReference, type Grant, type GrantState } from './grants/model.ts'
import { testEnvironment } from './harness.ts'
import { createNonces } from './nonces.ts'
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

test('cleanup takes what is long expired and nothing else', async () => {
  const database = await createTestDatabase('auth')
  const db = createDb({ connectionString: database.connectionString })
  try {
    const clock = testClock()
    const tenant = '7b8a3d1e-8f52-4c9a-9f5e-0d1c2b3a4f5e'
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenant}, 'x')`)
    await db.execute(sql`insert into grants (id, tenant_id, state, client, continue_id, continue_token_hash, continued_at, created_at, updated_at)
      values (${tenant}, ${tenant}, 'APPROVED', 'c', ${tenant}, ${Buffer.alloc(32)}, now(), now(), now())`)
    const days = (count: number) => clock.fromNow(count * 86_400_000)
    for (const [index, expiresAt] of [days(-31), days(-29), days(1)].entries())
      await db.execute(sql`insert into access_tokens (id, grant_id, token_hash, expires_at, created_at)
        values (gen_random_uuid(), ${tenant}, ${Buffer.alloc(32, index)}, ${expiresAt}, now())`)
    const nonces = createNonces({ db, clock })
    assert.equal(await nonces.claim('old', days(-1)), true)
    assert.equal(await nonces.claim('live', days(1)), true)
    await startCleanup({ db, clock, log: silentLogger }, 30).close()
    const left = await db.many(
      (row) => row.n as number,
      sql`
      select count(*)::int as n from access_tokens union all select count(*)::int from used_nonces`,
    )
    assert.deepEqual(left, [2, 1])
    assert.equal(await nonces.claim('live', days(1)), false)
    assert.equal(await nonces.claim('old', days(1)), true)
  } finally {
    await db.close()
    await database.drop()
  }
})
