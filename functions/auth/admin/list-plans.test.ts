import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool, type Page, rawSql, sql, uuidv7 } from '../../../shared/platform/index.ts'
import { countReads, createTestDatabase, type TestDatabase } from '../../../shared/testing/index.ts'
import { type GrantFilter, listGrants } from './store.ts'

const tenantId = uuidv7()
const TABLES = ['grants', 'accesses', 'subjects']
const HISTORY = 20_000
/** A page of 20 with what belongs to each grant. */
const READ_MAX = 400

/** What a page of grants costs where there are many: it is read along an index, whatever is left out. */
describe('plans of lists of grants', () => {
  let database: TestDatabase
  let db: DbPool
  before(async () => {
    database = await createTestDatabase('auth')
    db = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
    // What is rare is old: whoever looks for it from the new end has far to go.
    await db.execute(sql`
      insert into grants (id, tenant_id, state, finalization_reason, client, client_name, interact_ref_hash, continue_id, continue_token_hash,
        continued_at, created_at, updated_at)
      select md5('g' || n)::uuid, ${tenantId}, state, reason, 'https://wallet.example/client', 'client', sha256('x'), md5('c' || n)::uuid,
        sha256('x'), at, at, at
      from (select n, now() + n * interval '1 second' as at,
          case when n < 200 then (array['PENDING', 'APPROVED', 'FINALIZED', 'FINALIZED'])[n % 4 + 1] else 'FINALIZED' end as state,
          case when n < 200 then (array[null, null, 'REVOKED', 'REJECTED'])[n % 4 + 1] else 'ISSUED' end as reason
        from generate_series(1, ${HISTORY}::int) n) made`)
    await db.execute(sql`
      insert into accesses (grant_id, position, type, actions, identifier)
      select md5('g' || n)::uuid, 0, 'quote', '{create}',
        'https://wallet.example/' || case when n < 30 then 'rare' when n % 2 = 0 then 'often' else n::text end
      from generate_series(1, ${HISTORY}::int) n`)
    await db.execute(rawSql('analyze'))
  })
  after(async () => {
    await db.close()
    await database.drop()
  })

  const filters: Record<string, GrantFilter> = {
    'all of them': {},
    'in one state': { state: { in: ['PENDING'] } },
    'in rare states': { state: { in: ['PENDING', 'APPROVED'] } },
    'not in the usual state': { state: { notIn: ['FINALIZED'] } },
    'final for a rare reason': { finalizationReason: { in: ['REVOKED'] } },
    'not final for the usual reason': { finalizationReason: { notIn: ['ISSUED'] } },
    'final, not for the usual reason': {
      state: { in: ['FINALIZED'] },
      finalizationReason: { notIn: ['ISSUED'] },
    },
    'in a state that has no reason, for a reason': {
      state: { in: ['PENDING'] },
      finalizationReason: { in: ['REVOKED'] },
    },
    'about what is seldom asked for': { identifier: { in: ['https://wallet.example/rare'] } },
    'about what is often asked for': { identifier: { in: ['https://wallet.example/often'] } },
    'about nothing that was asked for': { identifier: { in: ['https://wallet.example/nobody'] } },
  }

  for (const [name, filter] of Object.entries(filters))
    for (const scope of [{ tenantId }, 'all'] as const)
      it(`${name}, of ${scope === 'all' ? 'all tenants' : 'a tenant'}`, async () => {
        const read = async (page: Page) => {
          const { read: rows, result } = await countReads(db, TABLES, () =>
            listGrants(db, scope, filter, page),
          )
          const { items } = result
          assert.ok(rows <= READ_MAX, `${rows} rows read for ${items.length}: ${JSON.stringify(page)}`)
          return items.map(({ id }) => id)
        }
        for (const sortOrder of ['DESC', 'ASC'] as const) {
          const middle = (await read({ sortOrder })).at(-1)
          if (middle === undefined) continue
          const next = await read({ sortOrder, after: middle })
          await read({ sortOrder, before: next.at(-1) ?? middle })
        }
      })
})
