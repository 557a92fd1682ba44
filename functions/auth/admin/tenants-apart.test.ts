import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rawSql, uuidv7 } from '../../../shared/platform/index.ts'
import { createTestDatabase } from '../../../shared/testing/index.ts'
import { buildAdminSchema } from './admin-app.ts'
import { type Answer, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

describe('tenants of one authorization server', () => {
  let admin: TestAdmin
  let owner: Party
  let other: Party
  let grantId: string
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('auth'))
    owner = await admin.newTenant()
    other = await admin.newTenant()
    grantId = await admin.newGrant(owner, {
      reason: 'ISSUED',
      client: 'https://client.example/of-the-owner',
      access: [{ type: 'quote', actions: ['create'], identifier: 'https://wallet.example/of-the-owner' }],
      subjects: ['https://wallet.example/of-the-owner'],
    })
    await admin.newToken(grantId)
  })
  after(() => admin.close())

  const grantFields = 'id tenantId client access { id identifier } subject { sub_ids { id subId } }'
  const listed = `{ edges { node { ${grantFields} } } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } }`
  /** Each operation about one grant: its text, and how its answer looks when there is nothing. */
  const operations: Record<string, { query: string; isNothing: (answer: Answer) => boolean }> = {
    grant: {
      query: `query Ask($id: ID!, $tenantId: ID) { answer: grant(id: $id) { ${grantFields} } own: grants(tenantId: $tenantId) { pageInfo { hasNextPage } } }`,
      isNothing: ({ errors, data }) => data === null && errors?.[0]?.extensions.code === 'NOT_FOUND',
    },
    grants: {
      query: `query Ask($id: String, $tenantId: ID) {
        after: grants(after: $id, tenantId: $tenantId) ${listed}
        before: grants(before: $id, tenantId: $tenantId) ${listed}
        rising: grants(after: $id, sortOrder: ASC, tenantId: $tenantId) ${listed}
        all: grants(tenantId: $tenantId, filter: { identifier: { in: ["https://wallet.example/of-the-owner"] }, finalizationReason: { notIn: [REJECTED] } }) ${listed} }`,
      isNothing: ({ data }) =>
        Object.values(data).every(
          (list) =>
            JSON.stringify(list) ===
            '{"edges":[],"pageInfo":{"startCursor":null,"endCursor":null,"hasNextPage":false,"hasPreviousPage":false}}',
        ),
    },
    revokeGrant: {
      query: 'mutation Ask($id: String!) { answer: revokeGrant(input: { grantId: $id }) { id } }',
      isNothing: ({ errors, data }) => data === null && errors?.[0]?.extensions.code === 'NOT_FOUND',
    },
  }
  const ask = (party: Party, name: string, id: string) =>
    admin.ask(party, operations[name]?.query ?? '', { id, tenantId: owner.tenantId })

  const books = () =>
    admin.db.one(
      (row) => JSON.stringify(row),
      rawSql(`select (select md5(string_agg(g::text, '|' order by g::text)) from grants g) as grants,
        (select md5(string_agg(t::text, '|' order by t::text)) from access_tokens t) as tokens`),
    )

  it('every query and mutation of the schema is tried', () => {
    const schema = buildAdminSchema()
    const names = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.keys(type?.getFields() ?? {}),
    )
    assert.deepEqual(Object.keys(operations).sort(), names.sort())
  })

  for (const [name, { isNothing }] of Object.entries(operations)) {
    it(`${name}: a foreign grant is as unknown as one that does not exist, and nothing changes`, async () => {
      const before = await books()
      const foreign = await ask(other, name, grantId)
      const unknown = await ask(other, name, uuidv7())
      assert.ok(isNothing(foreign), foreign.text)
      assert.equal(foreign.text, unknown.text)
      assert.equal(foreign.status, unknown.status)
      for (const hidden of [grantId, owner.tenantId, 'of-the-owner'])
        assert.ok(!foreign.text.includes(hidden), foreign.text)
      assert.equal(await books(), before)
    })

    it(`${name}: an unknown grant is nothing to its owner and to the operator either`, async () => {
      const before = await books()
      for (const party of [owner, admin.operator]) {
        const answer = await ask(party, name, uuidv7())
        if (name !== 'grants') assert.ok(isNothing(answer), answer.text)
      }
      assert.equal(await books(), before)
    })
  }

  it('the same questions work for the owner and the operator, so the refusals above are about the tenant', async () => {
    for (const party of [owner, admin.operator]) {
      const { data, errors } = await ask(party, 'grant', grantId)
      assert.equal(errors, undefined)
      assert.equal(data.answer.id, grantId)
      const lists = await ask(party, 'grants', grantId)
      assert.equal(lists.data.all.edges[0].node.id, grantId)
    }
    for (const party of [owner, admin.operator]) {
      const before = await books()
      const ended = await admin.newGrant(owner, { reason: 'ISSUED' })
      assert.equal((await ask(party, 'revokeGrant', ended)).data.answer.id, ended)
      assert.notEqual(await books(), before)
    }
  })
})
