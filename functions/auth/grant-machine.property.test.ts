import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { createDb, createSecretBox, type DbPool, sql } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  type TestClock,
  type TestDatabase,
  testClock,
} from '../../shared/testing/index.ts'
import { AuthRefusal } from './errors.ts'
import { cancelGrant, continueGrant, type GrantRequest } from './grants/index.ts'
import {
  chooseInteraction,
  finishInteraction,
  requestConsent,
  startInteraction,
} from './interactions/index.ts'
import { referencePurpose } from './interactions/request-consent.ts'
import { introspectToken, revokeToken, rotateToken } from './tokens/index.ts'

// The life of one grant, from whoever may touch it, in any order and at any time: what the contract says comes of each step is
// written here a second time, as a model without a database, and the two must agree after every step.

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

const WAIT_MS = 5_000
const INTERACTION_MS = 600_000
const TOKEN_MS = 60_000
const tenantId = randomUUID()

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('auth')
  db = createDb({ connectionString: database.connectionString })
  await db.execute(sql`insert into tenants (id, api_secret_sealed, idp_consent_url, idp_secret_sealed)
    values (${tenantId}, 'x', 'https://idp.example/', 'x')`)
})
after(async () => {
  await db.close()
  await database.drop()
})

interface Token {
  id: string
  value: string
}

interface Model {
  hasFinish: boolean
  hasAccess: boolean
  interaction: 'PENDING' | 'APPROVED' | 'DENIED'
  grant: 'PENDING' | 'APPROVED' | 'ISSUED' | 'REJECTED' | 'REVOKED'
  hasSession: boolean
  consented: boolean
  nowMs: number
  continuedMs: number
  token?: { revoked: boolean; expiresMs: number }
}

interface Real {
  ctx: ReturnType<typeof contextOf>
  clock: TestClock
  grantId: string
  key: { id: string; nonce: string }
  continuation: { continueId: string; continueToken: string }
  reference: string
  sessionId?: string
  /** All that were ever given, the last one last. */
  tokens: Token[]
}

const contextOf = (clock: TestClock) => ({
  db,
  clock,
  secretBox: createSecretBox('secret'),
  authServerUrl: 'https://auth.example',
  grantUrl: 'https://auth.example',
  tokenLifeSeconds: TOKEN_MS / 1000,
  interactionLifeSeconds: INTERACTION_MS / 1000,
  waitSeconds: WAIT_MS / 1000,
})

async function setup(hasFinish: boolean, hasAccess: boolean): Promise<{ model: Model; real: Real }> {
  const clock = testClock()
  const ctx = contextOf(clock)
  const uri = 'https://shop.example/alice'
  const request: GrantRequest = {
    client: { walletAddress: uri },
    access: hasAccess
      ? [{ type: 'outgoing-payment', actions: ['create'], identifier: 'https://b.example/' }]
      : [],
    ...(!hasAccess && { subject: { sub_ids: [{ id: 'https://b.example/', format: 'uri' }] } }),
  }
  const finish = hasFinish ? { uri: 'https://shop.example/', nonce: 'n' } : undefined
  const { interact, continue: next } = await requestConsent(ctx, tenantId, request, {
    name: 'Shop',
    uri,
    finish,
  })
  const [, , id = '', nonce = ''] = new URL(interact.redirect).pathname.split('/')
  const { grantId, sealed } = await db.one(
    (row) => ({ grantId: row.grant_id as string, sealed: row.interact_ref_sealed as string }),
    sql`select grant_id, interact_ref_sealed from interactions where id = ${id}`,
  )
  return {
    model: {
      hasFinish,
      hasAccess,
      interaction: 'PENDING',
      grant: 'PENDING',
      hasSession: false,
      consented: false,
      nowMs: 0,
      continuedMs: 0,
    },
    real: {
      ctx,
      clock,
      grantId,
      key: { id, nonce },
      continuation: {
        continueId: next.uri.split('/').pop() ?? '',
        continueToken: next.access_token.value,
      },
      reference: ctx.secretBox.open(sealed, referencePurpose(id)),
      tokens: [],
    },
  }
}

/** What came of it: a word of ours, or the code of the refusal. */
async function outcomeOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AuthRefusal) return error.code
    throw error
  }
}

const isExpired = (model: Model) => model.nowMs >= INTERACTION_MS
const isTooFast = (model: Model) => model.nowMs - model.continuedMs < WAIT_MS
const proven = async () => undefined

/** What a client is told by a redirect, or a person by a refusal, is one thing. */
const told = (model: Model, result: string, refusal: string) => (model.hasFinish ? result : refusal)
const resultOf = (location: string) => {
  const query = new URL(location).searchParams
  return [query.get('result'), query.get('message')].filter(Boolean).join(': ')
}

type Continued = Awaited<ReturnType<typeof continueGrant>>

function remember(real: Real, answer: Continued | Awaited<ReturnType<typeof rotateToken>>): void {
  if ('token' in answer) real.tokens.push(answer.token)
  else if (answer.access_token)
    real.tokens.push({
      id: answer.access_token.manage.split('/').pop() ?? '',
      value: answer.access_token.value,
    })
}

function issued(model: Model): string {
  model.grant = 'ISSUED'
  model.continuedMs = model.nowMs
  if (!model.hasAccess) return 'issued without a token'
  model.token = { revoked: false, expiresMs: model.nowMs + TOKEN_MS }
  return 'issued'
}

const wordFor = (answer: Continued) =>
  answer.access_token ? 'issued' : answer.subject ? 'issued without a token' : 'pending'

async function continueWith(real: Real, body: Record<string, unknown>): Promise<string> {
  const answer = await continueGrant(real.ctx, real.continuation, body, proven)
  remember(real, answer)
  return wordFor(answer)
}

/** A step: what the model says comes of it, and what came of it. */
interface Step {
  name: string
  applies?: (model: Model) => boolean
  expect: (model: Model) => string
  act: (real: Real, model: Model) => Promise<string>
}

const steps: Step[] = [
  {
    name: 'start',
    expect(model) {
      if (model.interaction !== 'PENDING' || model.grant !== 'PENDING')
        return told(model, 'invalid_interaction: invalid interaction', 'start_closed')
      if (isExpired(model)) return told(model, 'invalid_interaction: interaction expired', 'start_expired')
      model.hasSession = true
      return 'asked'
    },
    async act(real) {
      const { location, session } = await startInteraction(real.ctx, real.key)
      if (!session) return resultOf(location)
      real.sessionId = session.id
      return 'asked'
    },
  },
  ...(['accept', 'reject'] as const).map(
    (choice): Step => ({
      name: choice,
      expect(model) {
        if (model.grant === 'REJECTED' || model.grant === 'REVOKED') return 'choice_denied'
        if (model.grant !== 'PENDING' || model.interaction !== 'PENDING' || isExpired(model))
          return 'choice_closed'
        model.interaction = choice === 'accept' ? 'APPROVED' : 'DENIED'
        return 'chosen'
      },
      async act(real) {
        await chooseInteraction(real.ctx, real.key, [tenantId], choice)
        return 'chosen'
      },
    }),
  ),
  {
    name: 'finish',
    expect(model) {
      if (isExpired(model))
        return told(model, 'invalid_interaction: interaction expired', 'interaction_expired')
      if (!model.hasSession) return 'session_invalid'
      if (model.grant === 'REVOKED')
        return told(model, 'unknown_interaction: unknown interaction', 'interaction_unknown')
      if (model.interaction === 'PENDING') return told(model, 'grant_invalid', 'interaction_not_active')
      if (model.grant === 'PENDING') model.grant = model.interaction === 'APPROVED' ? 'APPROVED' : 'REJECTED'
      model.consented ||= model.grant === 'APPROVED'
      return told(model, model.interaction === 'APPROVED' ? 'reference' : 'grant_rejected', 'done')
    },
    async act(real) {
      const answer = await finishInteraction(real.ctx, real.key, real.sessionId)
      if (answer === 'done') return 'done'
      const reference = new URL(answer.location).searchParams.get('interact_ref')
      if (reference !== null) assert.equal(reference, real.reference)
      return reference === null ? resultOf(answer.location) : 'reference'
    },
  },
  {
    name: 'poll',
    expect(model) {
      if (model.grant === 'REVOKED') return 'grant_unknown'
      if (isTooFast(model)) return 'polled_too_fast'
      if (model.hasFinish) return 'grant_not_pollable'
      if (model.grant === 'APPROVED') return issued(model)
      if (model.grant !== 'PENDING') return 'grant_not_continuable'
      model.continuedMs = model.nowMs
      return 'pending'
    },
    act: (real) => continueWith(real, {}),
  },
  {
    name: 'continue, four at a time',
    expect(model) {
      if (model.grant === 'REVOKED') return 'grant_unknown'
      if (model.grant === 'REJECTED') return 'reference_unknown'
      if (isTooFast(model)) return 'continued_too_fast'
      return model.grant === 'APPROVED' ? issued(model) : 'grant_not_approved'
    },
    async act(real) {
      const attempts = Array.from({ length: 4 }, () =>
        outcomeOf(() => continueWith(real, { interact_ref: real.reference })),
      )
      const outcomes = await Promise.all(attempts)
      const won = outcomes.filter((outcome) => outcome.startsWith('issued'))
      if (won.length === 0) {
        assert.equal(new Set(outcomes).size, 1)
        return outcomes[0] ?? ''
      }
      assert.equal(won.length, 1, outcomes.join())
      // The clock was reset by whoever won: late ones come too fast.
      for (const lost of outcomes.filter((outcome) => outcome !== won[0]))
        assert.ok(['grant_not_approved', 'continued_too_fast'].includes(lost), lost)
      return won[0] ?? ''
    },
  },
  {
    name: 'continue with a guess',
    expect: (model) => (model.grant === 'REVOKED' ? 'grant_unknown' : 'reference_unknown'),
    act: (real) => continueWith(real, { interact_ref: real.reference.slice(1) }),
  },
  {
    name: 'cancel',
    expect(model) {
      if (model.grant === 'REVOKED') return 'grant_unknown'
      model.grant = 'REVOKED'
      return 'cancelled'
    },
    async act(real) {
      await cancelGrant(real.ctx, real.continuation, proven)
      return 'cancelled'
    },
  },
  {
    name: 'rotate',
    applies: (model) => model.token !== undefined,
    expect(model) {
      if (model.token?.revoked || model.grant === 'REVOKED') return 'token_unknown'
      model.token = { revoked: false, expiresMs: model.nowMs + TOKEN_MS }
      return 'rotated'
    },
    async act(real) {
      remember(real, await rotateToken(real.ctx, real.tokens.at(-1) as Token, proven))
      return 'rotated'
    },
  },
  {
    name: 'rotate what was rotated',
    applies: (model) => model.token !== undefined,
    expect: () => 'token_unknown',
    async act(real) {
      const [first] = real.tokens
      if (!first || real.tokens.length === 1) return 'token_unknown'
      remember(real, await rotateToken(real.ctx, first, proven))
      return 'rotated'
    },
  },
  {
    name: 'revoke',
    applies: (model) => model.token !== undefined,
    expect(model) {
      if (!model.token || model.token.revoked || model.grant === 'REVOKED') return 'token_unknown'
      model.token.revoked = true
      return 'revoked'
    },
    async act(real) {
      await revokeToken(real.ctx, real.tokens.at(-1) as Token, proven)
      return 'revoked'
    },
  },
]

/** What holds whatever happened. */
async function checkInvariants(model: Model, real: Real): Promise<void> {
  const { state, reason, live } = await db.one(
    (row) => ({ state: row.state, reason: row.finalization_reason, live: row.live as number }),
    sql`select g.state, g.finalization_reason, (select count(*)::int from access_tokens t
          where t.grant_id = g.id and t.revoked_at is null) as live
        from grants g where g.id = ${real.grantId}`,
  )
  assert.equal(reason ?? state, model.grant)
  assert.ok(live <= 1, 'one live token at most')
  if (!model.consented) assert.equal(real.tokens.length, 0, 'no token before consent')
  if (model.grant === 'REVOKED') assert.equal(live, 0, 'no token after revocation')
  for (const [index, { value }] of real.tokens.entries()) {
    const { active } = await introspectToken(real.ctx, { value, access: [] })
    const isLast = index === real.tokens.length - 1
    const expected =
      isLast &&
      !model.token?.revoked &&
      model.grant !== 'REVOKED' &&
      model.nowMs <= (model.token?.expiresMs ?? -1)
    assert.equal(active, expected)
  }
}

const toCommand = (step: Step): fc.AsyncCommand<Model, Real> => ({
  check: (model) => step.applies?.(model) ?? true,
  async run(model, real) {
    const expected = step.expect(model)
    assert.equal(await outcomeOf(() => step.act(real, model)), expected)
    await checkInvariants(model, real)
  },
  toString: () => step.name,
})

const tick = (ms: number): fc.AsyncCommand<Model, Real> => ({
  check: () => true,
  async run(model, real) {
    model.nowMs += ms
    real.clock.advance(ms)
    await checkInvariants(model, real)
  },
  toString: () => `tick ${ms}`,
})

const stepNamed = (name: string) => toCommand(steps.find((step) => step.name === name) as Step)

/** How a grant comes to its end; a life begins somewhere along it, or random steps would hardly ever get far. */
const straightWay = (hasFinish: boolean) => [
  stepNamed('start'),
  stepNamed('accept'),
  stepNamed('finish'),
  tick(WAIT_MS),
  stepNamed(hasFinish ? 'continue, four at a time' : 'poll'),
]

const often = <T>(times: number, item: T): T[] => Array.from({ length: times }, () => item)
const commands = [
  ...steps.flatMap((step) => often(step.name === 'cancel' ? 1 : 4, fc.constant(toCommand(step)))),
  ...often(6, fc.constantFrom(1, WAIT_MS - 1, WAIT_MS).map(tick)),
  fc.constantFrom(TOKEN_MS, TOKEN_MS + 1, INTERACTION_MS - 2 * WAIT_MS, INTERACTION_MS).map(tick),
]

for (const hasFinish of [true, false])
  for (const hasAccess of [true, false])
    test(`any life of a grant, ${hasFinish ? 'with' : 'without'} a finish, about ${hasAccess ? 'access' : 'a subject'}`, async () => {
      const ends = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: 5 }),
          fc.commands(commands, { maxCommands: 30, size: 'max' }),
          async (begun, cmds) => {
            const created = await setup(hasFinish, hasAccess)
            for (const step of straightWay(hasFinish).slice(0, begun))
              await step.run(created.model, created.real)
            await fc.asyncModelRun(() => created, cmds)
            const { grant } = created.model
            ends.set(grant, (ends.get(grant) ?? 0) + 1)
          },
        ),
        { seed, numRuns: 50 },
      )
      // Proof that lives of all kinds were lived: of fifty, a sixth begins with an issued grant.
      for (const end of ['PENDING', 'ISSUED', 'REVOKED']) assert.ok(ends.has(end), JSON.stringify([...ends]))
    })

test('the straight way, step by step', async () => {
  for (const hasFinish of [true, false]) {
    const { model, real } = await setup(hasFinish, true)
    const walk = (name: string) => stepNamed(name).run(model, real)
    for (const step of straightWay(hasFinish)) await step.run(model, real)
    assert.equal(model.grant, 'ISSUED')
    await walk('rotate')
    await walk('rotate what was rotated')
    await walk('finish')
    await walk('revoke')
    await walk('rotate')
    await walk('cancel')
    assert.equal(real.tokens.length, 2)
  }
})
