import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type DbPool, rawSql, silentLogger, sql, uuidv7 } from '../../shared/platform/index.ts'
import {
  countReads,
  createDatabaseOfOldPlans,
  type DatabaseOfOldPlans,
  testClock,
} from '../../shared/testing/index.ts'
import {
  findContinuedGrant,
  issueGrant,
  recordPoll,
  revokeGrant,
  settlePendingGrant,
} from './grants/store.ts'
import {
  findInteraction,
  findInteractionDetails,
  insertInteraction,
  insertSession,
  isSessionOf,
  recordChoice,
} from './interactions/store.ts'
import { deleteOldRows } from './tasks.ts'
import { createToken } from './tokens/model.ts'
import { findActiveToken, findManagedToken, replaceToken, revokeTokenRow } from './tokens/store.ts'

const tenantId = uuidv7()
const clock = testClock()
const terms = { clock, tokenLifeSeconds: 600, authServerUrl: 'https://auth.example' }
const TABLES = ['grants', 'accesses', 'subjects', 'access_tokens', 'interactions', 'sessions']
const HISTORY = 2_000
/** What one grant's life may read in all. */
const READ_MAX = 400
const DAY_MS = 86_400_000
const KEPT_DAYS = 30

const accepted = (happened: boolean) => assert.equal(happened, true)

/** From the request to the revocation, by every statement on the way. */
async function live(db: DbPool): Promise<void> {
  const [nonce, reference, continueToken, sessionId] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()]
  const grant = {
    id: uuidv7(),
    tenantId,
    client: { walletAddress: 'https://wallet.example/client' },
    access: [{ type: 'quote' as const, actions: ['create' as const] }],
    subject: { sub_ids: [{ id: 'https://wallet.example/alice', format: 'uri' }] },
    continueId: uuidv7(),
    continueToken,
    consent: { clientName: 'client', finish: undefined, reference },
  }
  const expiresAt = clock.fromNow(600_000)
  const key = { id: uuidv7(), nonce }
  await insertInteraction(db, grant, { ...key, referenceSealed: 'sealed', expiresAt }, clock.now())
  accepted(await recordPoll(db, grant.id, clock.now(), clock.now()))
  accepted(await insertSession(db, { id: sessionId, interactionId: key.id, expiresAt }))
  accepted(await isSessionOf(db, { id: sessionId, interactionId: key.id }, clock.now()))
  assert.ok(await findInteraction(db, key))
  assert.ok(await findInteractionDetails(db, key, [tenantId]))
  accepted(await recordChoice(db, key.id, 'APPROVED', clock.now()))
  accepted(await settlePendingGrant(db, grant.id, 'approve', clock.now()))
  assert.ok(await findContinuedGrant(db, grant))
  const [token, next] = [createToken(terms), createToken(terms)]
  accepted(await issueGrant(db, grant.id, token, clock.now()))
  assert.ok(await findActiveToken(db, token.value, clock.now()))
  assert.ok(await findManagedToken(db, token))
  accepted(await replaceToken(db, token.id, next, clock.now()))
  accepted(await revokeTokenRow(db, next.id, clock.now()))
  accepted(await revokeGrant(db, grant.id, clock.now()))
}

for (const tables of ['have never been analysed', 'were analysed when there was little in them'])
  for (const keepsPlans of [true, false])
    describe(`with ${keepsPlans ? 'kept' : 'usual'} plans of the beginning and tables that ${tables}`, () => {
      let database: DatabaseOfOldPlans
      let db: DbPool
      before(async () => {
        database = await createDatabaseOfOldPlans('auth', TABLES, { keepsPlans })
        db = database.db
        await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
        // Postgres plans a statement anew five times and then may keep a plan; after an analysis it begins again.
        for (let count = 0; count < 20; count++) {
          clock.advance(1_000)
          await live(db)
          await deleteOldRows({ db, clock, log: silentLogger }, KEPT_DAYS)
          if (count === 11 && tables !== 'have never been analysed') await db.execute(rawSql('analyze'))
        }
        const at = clock.now()
        for (const history of [
          sql`insert into grants (id, tenant_id, state, finalization_reason, client, continue_id, continue_token_hash, continued_at, created_at, updated_at)
            select md5('g' || n)::uuid, ${tenantId}, 'FINALIZED', 'ISSUED', 'https://wallet.example/client', md5('c' || n)::uuid,
              sha256(n::text::bytea), ${at}, ${at}, ${at} from generate_series(1, ${HISTORY}::int) n`,
          sql`insert into accesses (grant_id, position, type, actions) select id, 0, 'quote', '{create}' from grants on conflict do nothing`,
          sql`insert into access_tokens (id, grant_id, token_hash, expires_at, created_at)
            select md5('t' || n)::uuid, md5('g' || n)::uuid, sha256(n::text::bytea), ${clock.fromNow(600_000)}, ${at}
            from generate_series(1, ${HISTORY}::int) n`,
          sql`insert into interactions (id, grant_id, nonce_hash, interact_ref_sealed, state, expires_at, created_at, updated_at)
            select md5('i' || n)::uuid, md5('g' || n)::uuid, sha256(n::text::bytea), 'sealed', 'APPROVED', ${clock.fromNow(600_000)}, ${at}, ${at}
            from generate_series(1, ${HISTORY}::int) n`,
          sql`insert into sessions (id_hash, interaction_id, expires_at)
            select sha256(n::text::bytea), md5('i' || n)::uuid, ${clock.fromNow(600_000)} from generate_series(1, ${HISTORY}::int) n`,
        ])
          await db.execute(history)
      })
      after(() => database.close())

      it('a grant finds its own rows, whatever was granted before', async () => {
        const { read } = await countReads(db, TABLES, () => live(db))
        assert.ok(read < READ_MAX, `${read} rows read`)
      })

      it('the clean-up looks at what is old', async () => {
        const old = new Date(clock.nowMs() - (KEPT_DAYS + 1) * DAY_MS)
        await db.execute(
          sql`update interactions set expires_at = ${old} where id in (select md5('i' || n)::uuid from generate_series(1, 20) n)`,
        )
        await db.execute(
          sql`update grants set state = 'PENDING', finalization_reason = null, client_name = 'client', interact_ref_hash = sha256('x')
            where id in (select md5('g' || n)::uuid from generate_series(1, 10) n)`,
        )
        const count = () =>
          db.one(
            (row) => [Number(row.grants), Number(row.interactions)],
            sql`select (select count(*) from grants) as grants, (select count(*) from interactions) as interactions`,
          )
        const [grants = 0, interactions = 0] = await count()
        const { read } = await countReads(db, TABLES, () =>
          deleteOldRows({ db, clock, log: silentLogger }, KEPT_DAYS),
        )
        assert.deepEqual(await count(), [grants - 10, interactions - 20])
        assert.ok(read < READ_MAX, `${read} rows read`)
      })
    })
