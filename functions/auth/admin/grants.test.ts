import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { sql, systemClock, uuidv7 } from '../../../shared/platform/index.ts'
import { createTestDatabase } from '../../../shared/testing/index.ts'
import { introspectToken } from '../tokens/index.ts'
import { type GrantSeed, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

/** Every field that the schema has. */
const wholeGrant = `id tenantId client state finalizationReason createdAt
  access { id createdAt type actions identifier
    limits { receiver interval debitAmount { value assetCode assetScale } receiveAmount { value assetCode assetScale } } }
  subject { sub_ids { id createdAt subId subIdFormat } }`
const listQuery = `query List($filter: GrantFilter, $first: Int, $last: Int, $after: String, $before: String,
    $sortOrder: SortOrder, $tenantId: ID) {
  grants(filter: $filter, first: $first, last: $last, after: $after, before: $before, sortOrder: $sortOrder,
      tenantId: $tenantId) {
    edges { cursor node { id tenantId } }
    pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`
const revokeMutation = 'mutation Revoke($id: String!) { revokeGrant(input: { grantId: $id }) { id } }'

let admin: TestAdmin
let tenant: Party
before(async () => {
  admin = await startTestAdmin(await createTestDatabase('auth'))
})
after(() => admin.close())
beforeEach(async () => {
  tenant = await admin.newTenant()
})

const get = async (id: string) => {
  const { data, errors } = await admin.ask(
    tenant,
    `query Get($id: ID!) { grant(id: $id) { ${wholeGrant} } }`,
    {
      id,
    },
  )
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data.grant
}
const list = async (variables: Record<string, unknown> = {}, party = tenant) => {
  const { data, errors } = await admin.ask(party, listQuery, variables)
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data.grants
}
const idsOf = async (variables: Record<string, unknown> = {}, party = tenant): Promise<string[]> => {
  const { edges } = await list(variables, party)
  for (const { cursor, node } of edges) assert.equal(cursor, node.id)
  return edges.map(({ node }: { node: { id: string } }) => node.id)
}
const grant = (seed: GrantSeed = {}) => admin.newGrant(tenant, seed)

describe('a grant', () => {
  it('is shown with all that it is about', async () => {
    const createdAt = new Date('2021-05-06T07:08:09.012Z')
    const amount = { value: '18446744073709551615', assetCode: 'USD', assetScale: 9 }
    const id = await grant({
      reason: 'ISSUED',
      createdAt,
      client: 'https://wallet.example/Bob',
      access: [
        {
          type: 'outgoing-payment',
          actions: ['create', 'read-all'],
          identifier: 'https://wallet.example/alice',
          limits: {
            receiver: 'https://other.example/incoming-payments/1',
            debitAmount: amount,
            interval: 'R12/2031-01-01T00:00:00Z/P1M',
          },
        },
        { type: 'quote', actions: ['create'], limits: { receiveAmount: { ...amount, value: '0' } } },
        { type: 'incoming-payment', actions: ['list'] },
      ],
      subjects: ['https://wallet.example/alice', 'https://wallet.example/carol'],
    })
    const shown = await get(id)
    const { access, subject, ...head } = shown
    assert.deepEqual(head, {
      id,
      tenantId: tenant.tenantId,
      client: 'https://wallet.example/Bob',
      state: 'FINALIZED',
      finalizationReason: 'ISSUED',
      createdAt: '2021-05-06T07:08:09.012Z',
    })
    const nothing = { receiver: null, interval: null, debitAmount: null, receiveAmount: null }
    assert.deepEqual(
      access.map(({ id: _id, createdAt: _at, ...item }: Record<string, unknown>) => item),
      [
        {
          type: 'outgoing-payment',
          actions: ['create', 'read-all'],
          identifier: 'https://wallet.example/alice',
          limits: {
            ...nothing,
            receiver: 'https://other.example/incoming-payments/1',
            debitAmount: amount,
            interval: 'R12/2031-01-01T00:00:00Z/P1M',
          },
        },
        {
          type: 'quote',
          actions: ['create'],
          identifier: null,
          limits: { ...nothing, receiveAmount: { ...amount, value: '0' } },
        },
        { type: 'incoming-payment', actions: ['list'], identifier: null, limits: null },
      ],
    )
    assert.deepEqual(
      subject.sub_ids.map(({ subId, subIdFormat }: Record<string, unknown>) => [subId, subIdFormat]),
      [
        ['https://wallet.example/alice', 'uri'],
        ['https://wallet.example/carol', 'uri'],
      ],
    )
    const parts = [...access, ...subject.sub_ids]
    assert.equal(new Set(parts.map((part: { id: string }) => part.id)).size, 5)
    for (const part of parts) assert.equal(part.createdAt, '2021-05-06T07:08:09.012Z')
    assert.deepEqual(await get(id), shown, 'ids stay')
  })

  it('of a client with a key only has no client, and one that is pending no reason', async () => {
    const shown = await get(await grant({ state: 'PENDING', jwk: { kid: 'k', kty: 'OKP' } }))
    assert.equal(shown.client, null)
    assert.equal(shown.state, 'PENDING')
    assert.equal(shown.finalizationReason, null)
    assert.deepEqual(shown.access, [])
    assert.equal(shown.subject, null)
  })

  it('is shown even when its limits cannot be read', async () => {
    const odd = {
      debitAmount: { value: '-1', assetCode: 5 },
      receiveAmount: 'much',
      interval: 7,
      receiver: {},
    }
    for (const limits of [odd, {}, { debitAmount: { value: '1e3', assetCode: 'USD', assetScale: 300 } }]) {
      const shown = await get(
        await grant({ access: [{ type: 'outgoing-payment', actions: ['read'], limits }] }),
      )
      assert.deepEqual(shown.access[0].limits, {
        receiver: null,
        interval: null,
        debitAmount: null,
        receiveAmount: null,
      })
    }
  })

  it('that does not exist is not found; an id that is none is an input error', async () => {
    const asked = async (id: string) =>
      (await admin.ask(tenant, 'query Get($id: ID!) { grant(id: $id) { id } }', { id })).errors?.[0]
    const missing = await asked(uuidv7())
    assert.equal(missing?.message, 'No grant')
    assert.equal(missing?.extensions.code, 'NOT_FOUND')
    for (const id of ['', 'x', `${uuidv7()}x`])
      assert.equal((await asked(id))?.extensions.code, 'BAD_USER_INPUT')
  })
})

describe('the list of grants', () => {
  it('is filtered by identifier, state and reason', async () => {
    const alice = 'https://wallet.example/alice'
    const to = (identifier?: string) => [
      { type: 'incoming-payment', actions: ['read'], ...(identifier !== undefined && { identifier }) },
    ]
    const pending = await grant({ state: 'PENDING', access: to(alice) })
    const approved = await grant({
      access: [...to(alice), ...to('https://wallet.example/bob'), ...to(alice)],
    })
    const issued = await grant({ reason: 'ISSUED', access: to('https://wallet.example/bob') })
    const revoked = await grant({ reason: 'REVOKED', access: to() })
    const rejected = await grant({ reason: 'REJECTED' })
    const all = [rejected, revoked, issued, approved, pending]
    const filtered = (filter: Record<string, unknown> | null) => idsOf({ filter })

    for (const nothingAsked of [
      null,
      {},
      { state: null },
      { state: {} },
      { state: { in: null, notIn: null } },
    ])
      assert.deepEqual(await filtered(nothingAsked), all)
    assert.deepEqual(await filtered({ identifier: { in: [alice] } }), [approved, pending])
    assert.deepEqual(await filtered({ identifier: { in: [alice, 'https://wallet.example/bob'] } }), [
      issued,
      approved,
      pending,
    ])
    assert.deepEqual(await filtered({ identifier: { in: [alice.toUpperCase(), '%', ''] } }), [])
    assert.deepEqual(await filtered({ identifier: { in: [] } }), [])

    assert.deepEqual(await filtered({ state: { in: ['PENDING', 'APPROVED'] } }), [approved, pending])
    assert.deepEqual(await filtered({ state: { in: ['PROCESSING'] } }), [])
    assert.deepEqual(await filtered({ state: { notIn: ['FINALIZED'] } }), [approved, pending])
    assert.deepEqual(await filtered({ state: { in: ['PENDING', 'APPROVED'], notIn: ['PENDING'] } }), [
      approved,
    ])
    assert.deepEqual(await filtered({ state: { in: [] } }), [])
    assert.deepEqual(await filtered({ state: { notIn: [] } }), all)

    assert.deepEqual(await filtered({ finalizationReason: { in: ['ISSUED', 'REJECTED'] } }), [
      rejected,
      issued,
    ])
    // Not final is none of the reasons.
    assert.deepEqual(await filtered({ finalizationReason: { notIn: ['REVOKED'] } }), [
      rejected,
      issued,
      approved,
      pending,
    ])
    assert.deepEqual(
      await filtered({
        identifier: { in: [alice] },
        state: { notIn: ['PENDING'] },
        finalizationReason: { notIn: ['REVOKED'] },
      }),
      [approved],
    )
  })

  it("is one's own for a tenant, whatever it names; everybody's or one tenant's for the operator", async () => {
    const other = await admin.newTenant()
    const mine = await grant()
    const theirs = await admin.newGrant(other)
    for (const tenantId of [null, tenant.tenantId, other.tenantId, admin.operator.tenantId, uuidv7(), 'x'])
      assert.deepEqual(await idsOf({ tenantId }), [mine])
    assert.deepEqual((await idsOf({}, admin.operator)).slice(0, 2), [theirs, mine])
    assert.deepEqual(await idsOf({ tenantId: other.tenantId }, admin.operator), [theirs])
    assert.deepEqual(await idsOf({ tenantId: other.tenantId.toUpperCase() }, admin.operator), [theirs])
    assert.deepEqual(await idsOf({ tenantId: uuidv7() }, admin.operator), [])
    const { errors } = await admin.ask(admin.operator, listQuery, { tenantId: 'x' })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  })

  it("a filter never widens the tenant's scope", async () => {
    const other = await admin.newTenant()
    for (const reason of ['ISSUED', 'REVOKED', 'REJECTED', undefined] as const)
      await admin.newGrant(other, reason ? { reason } : {})
    for (const reasons of [[], ['ISSUED'], ['ISSUED', 'REJECTED', 'REVOKED']])
      for (const filter of [
        { finalizationReason: { notIn: reasons } },
        { finalizationReason: { notIn: reasons }, state: { notIn: [] } },
        { finalizationReason: { notIn: reasons }, state: { in: ['FINALIZED', 'APPROVED'] } },
      ])
        assert.deepEqual(await idsOf({ filter }), [])
  })

  it('has pages of 20 unless told otherwise, newest first', async () => {
    const ids: string[] = []
    for (let index = 0; index < 25; index++) ids.unshift(await grant())
    const first = await list()
    assert.deepEqual(
      first.edges.map(({ node }: { node: { id: string } }) => node.id),
      ids.slice(0, 20),
    )
    assert.deepEqual(first.pageInfo, {
      startCursor: ids[0],
      endCursor: ids[19],
      hasNextPage: true,
      hasPreviousPage: false,
    })
    assert.deepEqual(await idsOf({ first: 0 }), ids.slice(0, 20))
    assert.deepEqual(await idsOf({ first: 100 }), ids)
    assert.deepEqual(await idsOf({ first: 3, sortOrder: 'ASC' }), ids.slice(-3).reverse())
    assert.deepEqual(await idsOf({ after: ids[19] }), ids.slice(20))
    assert.deepEqual(await idsOf({ before: ids[20], last: 2 }), ids.slice(18, 20))
    assert.deepEqual(await idsOf({ after: ids[2], before: ids[3], first: 2 }), ids.slice(3, 5))
    assert.deepEqual((await list({ after: ids[24] })).pageInfo, {
      startCursor: null,
      endCursor: null,
      hasNextPage: false,
      hasPreviousPage: false,
    })
  })

  it('knows no cursor but its own', async () => {
    await grant()
    const foreign = await admin.newGrant(await admin.newTenant())
    const newest = await grant()
    for (const [side, sortOrder] of [
      ['after', 'DESC'],
      ['after', 'ASC'],
      ['before', 'DESC'],
      ['before', 'ASC'],
    ] as const) {
      assert.deepEqual(await idsOf({ [side]: foreign, sortOrder }), [], 'as for one that does not exist')
      assert.deepEqual(await idsOf({ [side]: uuidv7(), sortOrder }), [])
    }
    assert.equal((await idsOf({ after: newest })).length, 1)
    for (const variables of [
      { first: -1 },
      { first: 101 },
      { last: 5 },
      { before: newest, last: 101 },
      { after: 'x' },
      { before: "'; drop table grants; --" },
    ]) {
      const { status, errors } = await admin.ask(tenant, listQuery, variables)
      assert.equal(status, 200)
      assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', JSON.stringify(variables))
    }
  })
})

describe('revoking a grant', () => {
  const revoke = (id: string, party = tenant) => admin.ask(party, revokeMutation, { id })
  const isActive = async (value: string) => {
    const answer = await introspectToken({ db: admin.db, clock: systemClock }, { value, access: [] })
    return answer.active
  }
  const stateOf = async (id: string) => {
    const { state, finalizationReason } = await get(id)
    return [state, finalizationReason]
  }

  it("ends it and all its tokens, and nobody else's", async () => {
    const ended = await grant({ reason: 'ISSUED' })
    const other = await grant({ reason: 'ISSUED' })
    const tokens = [await admin.newToken(ended), await admin.newToken(ended)]
    const kept = await admin.newToken(other)
    assert.deepEqual((await revoke(ended)).data, { revokeGrant: { id: ended } })
    assert.deepEqual(await stateOf(ended), ['FINALIZED', 'REVOKED'])
    for (const token of tokens) assert.equal(await isActive(token), false)
    const left = await admin.db.many(
      (row) => row.grant_id as string,
      sql`select grant_id from access_tokens where revoked_at is null and grant_id = any(${[ended, other]}::uuid[])`,
    )
    assert.deepEqual(left, [other])
    assert.equal(await isActive(kept), true)
    assert.deepEqual(await stateOf(other), ['FINALIZED', 'ISSUED'])
  })

  it('works from every state, and again', async () => {
    for (const seed of [
      { state: 'PENDING' },
      { state: 'APPROVED' },
      { reason: 'ISSUED' },
      { reason: 'REJECTED' },
      { reason: 'REVOKED' },
    ] as const) {
      const id = await grant(seed)
      for (let time = 0; time < 2; time++) {
        assert.deepEqual((await revoke(id.toUpperCase())).data, { revokeGrant: { id } })
        assert.deepEqual(await stateOf(id), ['FINALIZED', 'REVOKED'])
      }
    }
  })

  it('is refused without an id, for an id that is none, and for a grant that does not exist', async () => {
    const refusal = async (id: string) => {
      const { status, data, errors } = await revoke(id)
      assert.equal(status, 200)
      assert.ok(!data?.revokeGrant)
      return errors?.[0]
    }
    assert.equal((await refusal(''))?.extensions.code, 'FORBIDDEN')
    assert.equal((await refusal('x'))?.extensions.code, 'BAD_USER_INPUT')
    const unknown = await refusal(uuidv7())
    assert.equal(unknown?.extensions.code, 'NOT_FOUND')
    assert.equal(unknown?.message, 'Revoke grant was not successful')
  })
})
