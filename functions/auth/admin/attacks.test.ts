import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { signHmac, sql, uuidv7 } from '../../../shared/platform/index.ts'
import { createTestDatabase } from '../../../shared/testing/index.ts'
import { createTenant, deleteTenant } from '../tenants/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

const listing = 'query List($tenantId: ID) { grants(tenantId: $tenantId) { edges { node { id tenantId } } } }'
const revoking = 'mutation Revoke($id: String!) { revokeGrant(input: { grantId: $id }) { id } }'

describe('signatures of the auth Admin API', () => {
  let admin: TestAdmin
  let tenant: Party
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('auth'))
    tenant = await admin.newTenant()
  })
  after(() => admin.close())

  const body = { query: listing, variables: {}, operationName: 'List' }
  const refused = async (headers: Record<string, string>, sent: unknown = body) => {
    const { status, text } = await admin.post(sent, { 'content-type': 'application/json', ...headers })
    assert.deepEqual([status, text], [401, 'Unauthorized'], JSON.stringify(headers))
  }

  it('one that is right is accepted, of a tenant and of the operator', async () => {
    for (const party of [tenant, admin.operator])
      assert.equal((await admin.post(body, admin.sign(party, body))).status, 200)
  })

  it('a header that is changed in any way is none', async () => {
    const right = admin.sign(tenant, body)
    const { signature = '' } = right
    const [time = '', digest = ''] = signature.split(', ')
    const changed = [
      '',
      `${signature}, x`,
      `${signature},`,
      `x, ${signature}`,
      `${signature}, ${digest}`,
      `${time}, ${time}, ${digest}`,
      `${digest}, ${time}`,
      `${time},${digest}`,
      `${time},  ${digest}`,
      signature.replace('t=', 't=0'),
      signature.replace('t=', 't= '),
      signature.replace('t=', 'T='),
      signature.replace('v1', 'v01'),
      signature.replace('v1', 'v2'),
      signature.replace('v1=', ''),
      signature.toUpperCase(),
      signature.slice(0, -1),
      `${signature}0`,
      signature.slice(0, -1) + (signature.endsWith('0') ? '1' : '0'),
      `t=${Number(time.slice(2)) + 1}, ${digest}`,
    ]
    for (const malleated of changed) await refused({ ...right, signature: malleated })
    await refused({ 'tenant-id': tenant.tenantId })
    await refused({ signature })
    for (const id of ['', 'x', `${tenant.tenantId}0`, "' or 1=1 --", uuidv7()])
      await refused({ ...right, 'tenant-id': id })
    assert.equal((await admin.post(body, right)).status, 200)
  })

  it('its time is near, in both directions and in milliseconds', async () => {
    const now = Date.now()
    for (const timestampMs of [now - 31_000, now + 31_000, now + 31_536_000_000, Math.floor(now / 1000), 1])
      await refused(admin.sign(tenant, body, timestampMs))
    for (const timestampMs of [now - 25_000, now + 25_000])
      assert.equal((await admin.post(body, admin.sign(tenant, body, timestampMs))).status, 200)
  })

  it('it covers the whole body', async () => {
    const right = admin.sign(tenant, body)
    for (const other of [
      { ...body, variables: { tenantId: tenant.tenantId } },
      { ...body, operationName: 'Other' },
      { ...body, extensions: {} },
      { query: body.query },
      { ...body, query: `${body.query} ` },
      {},
    ])
      await refused(right, other)
  })

  it("one tenant's secret, or the operator's, speaks for nobody else", async () => {
    const other = await admin.newTenant()
    await refused(admin.sign({ ...tenant, apiSecret: other.apiSecret }, body))
    await refused(admin.sign({ ...tenant, apiSecret: admin.operator.apiSecret }, body))
    await refused(admin.sign({ ...admin.operator, apiSecret: tenant.apiSecret }, body))
    await refused(admin.sign({ ...tenant, apiSecret: '' }, body))
  })

  it("a tenant with the operator's secret is not the operator", async () => {
    const { apiSecret } = admin.operator
    const twin = { tenantId: uuidv7(), apiSecret }
    await createTenant(admin, { id: twin.tenantId, apiSecret })
    await admin.newGrant(tenant)
    const { data } = await admin.ask(twin, listing, { tenantId: tenant.tenantId })
    assert.deepEqual(data.grants.edges, [])
  })

  it('a new secret counts at once, the old one no longer; a deleted tenant is none', async () => {
    const party = await admin.newTenant()
    const changed = { ...party, apiSecret: 'changed' }
    await createTenant(admin, { id: party.tenantId, apiSecret: changed.apiSecret })
    await refused(admin.sign(party, body))
    assert.equal((await admin.post(body, admin.sign(changed, body))).status, 200)
    await deleteTenant(admin, party.tenantId, new Date())
    await refused(admin.sign(changed, body))
  })

  it('a secret that was changed with an overlap is good until its time, and safe from replays', async () => {
    const party = await admin.newTenant()
    const changed = { ...party, apiSecret: 'changed with time' }
    const id = await admin.newGrant(party, { reason: 'ISSUED' })
    const change = (until: Date) =>
      createTenant(admin, {
        id: party.tenantId,
        apiSecret: changed.apiSecret,
        previousApiSecret: { secret: party.apiSecret, until },
      })
    await change(new Date(Date.now() + 60_000))
    for (const one of [party, changed])
      assert.equal((await admin.post(body, admin.sign(one, body))).status, 200)
    const mutation = { query: revoking, variables: { id } }
    const headers = admin.sign(party, mutation)
    assert.equal((await admin.post(mutation, headers)).status, 200)
    await refused(headers, mutation)
    await change(new Date(Date.now() - 1))
    await refused(admin.sign(party, body))
    assert.equal((await admin.post(body, admin.sign(changed, body))).status, 200)
  })

  it('of 100 parallel replays of a mutation exactly one is accepted, and none later', async () => {
    const id = await admin.newGrant(tenant, { reason: 'ISSUED' })
    const mutation = { query: revoking, variables: { id } }
    const headers = admin.sign(tenant, mutation)
    const answers = await Promise.all(Array.from({ length: 100 }, () => admin.post(mutation, headers)))
    assert.equal(answers.filter(({ status, data }) => status === 200 && data.revokeGrant.id === id).length, 1)
    assert.equal(answers.filter(({ status, text }) => status === 401 && text === 'Unauthorized').length, 99)
    await refused(headers, mutation)
    // Members in another order are the same body, and an id in other letters is the same tenant.
    await refused(headers, { variables: { id }, query: revoking })
    await refused({ ...headers, 'tenant-id': tenant.tenantId.toUpperCase() }, mutation)
  })

  it('two servers on one database accept it once together', async () => {
    const second = await startTestAdmin({
      connectionString: admin.db.connectionString,
      drop: async () => undefined,
    })
    try {
      const id = await admin.newGrant(tenant, { reason: 'ISSUED' })
      const mutation = { query: revoking, variables: { id } }
      const headers = admin.sign(tenant, mutation)
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => (index % 2 ? admin : second).post(mutation, headers)),
      )
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    } finally {
      await second.close()
    }
  })

  it('what is not proven leaves nothing behind', async () => {
    const used = () =>
      admin.db.one((row) => row.count as number, sql`select count(*)::int as count from used_nonces`)
    const before = await used()
    const mutation = { query: revoking, variables: { id: uuidv7() } }
    for (let index = 0; index < 20; index++)
      await refused(admin.sign({ ...tenant, apiSecret: 'wrong' }, mutation), mutation)
    assert.equal(await used(), before)
  })
})

describe('what is asked of the auth Admin API', () => {
  let admin: TestAdmin
  let tenant: Party
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('auth'))
    tenant = await admin.newTenant()
    await admin.newGrant(tenant)
  })
  after(() => admin.close())

  it('has limits', async () => {
    const repeat = (count: number, text: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => text(index)).join(' ')
    const grants = 'grants { edges { node { id access { limits { debitAmount { value } } } } } }'
    const wide = ['A', 'B', 'C'].map(
      (
        name,
      ) => `fragment ${name} on Grant { access { id createdAt type actions identifier limits { receiver interval
        debitAmount { value assetCode assetScale } receiveAmount { value assetCode assetScale } } } }`,
    )
    const manyTimesWide = repeat(14, (index) => `a${index}: grants { edges { node { ...A ...B ...C } } }`)
    const refusals: [RegExp, string][] = [
      [/Aliases limit of 15/, `{ ${repeat(16, (index) => `a${index}: grants { edges { cursor } }`)} }`],
      [/tokens/i, `{ ${repeat(10_000, (index) => `a${index}: grants { edges { cursor } }`)} }`],
      [/tokens/i, `{ ${repeat(1_000, () => grants)} }`],
      [/Cost limit of 5000/, `{ ${manyTimesWide} } ${wide.join(' ')}`],
      [/Directives limit of 50/, `{ grants { edges { cursor ${'@include(if: true) '.repeat(51)} } } }`],
      [
        /Cannot spread fragment/,
        '{ grants { ...A } } fragment A on GrantsConnection { edges { cursor } ...B } fragment B on GrantsConnection { ...A }',
      ],
      [/introspection/i, '{ __schema { types { name } } }'],
      [/must have a selection/, '{ grant(id: "x") }'],
    ]
    for (const [words, query] of refusals) {
      const { status, data, errors, text } = await admin.ask(tenant, query)
      assert.equal(status, 400, text.slice(0, 300))
      assert.equal(data, undefined)
      assert.match(text, words)
      assert.match(String(errors?.[0]?.extensions.code), /^GRAPHQL_(VALIDATION|PARSE)_FAILED$/)
    }
    const { status } = await admin.ask(tenant, `{ ${grants} }`)
    assert.equal(status, 200)
    assert.equal((await admin.ask(tenant, listing, { more: 'x'.repeat(1024 * 1024) })).status, 413)
  })

  it('is refused or answered, whatever its values are; never an internal error', async () => {
    const hostile = [
      null,
      '',
      'x',
      'a\u0000b',
      "'; drop table grants; --",
      "' or '1'='1",
      '%',
      'é'.repeat(10_000),
      'x'.repeat(100_000),
      '00000000-0000-0000-0000-000000000000',
      `${uuidv7()} `,
      uuidv7(),
      -1,
      0,
      1.5,
      2 ** 31,
      2 ** 53,
      1e300,
      true,
      [],
      {},
      ['PENDING'],
      [null],
      { in: [] },
      { in: ['x'], notIn: ['y'] },
      JSON.parse('{"__proto__":{"in":["x"]},"constructor":{}}'),
      Array.from({ length: 20_000 }, (_, index) => `https://wallet.example/${index}`),
    ]
    const queries = {
      grant: 'query ($value: ID!) { grant(id: $value) { id } }',
      after: 'query ($value: String) { grants(after: $value) { edges { cursor } } }',
      before: 'query ($value: String) { grants(before: $value) { edges { cursor } } }',
      first: 'query ($value: Int) { grants(first: $value) { edges { cursor } } }',
      last: 'query ($value: Int) { grants(last: $value) { edges { cursor } } }',
      sortOrder: 'query ($value: SortOrder) { grants(sortOrder: $value) { edges { cursor } } }',
      tenantId: 'query ($value: ID) { grants(tenantId: $value) { edges { cursor } } }',
      filter: 'query ($value: GrantFilter) { grants(filter: $value) { edges { cursor } } }',
      identifier:
        'query ($value: [String!]) { grants(filter: { identifier: { in: $value } }) { edges { cursor } } }',
      state: 'query ($value: FilterGrantState) { grants(filter: { state: $value }) { edges { cursor } } }',
      reason:
        'query ($value: [GrantFinalization!]) { grants(filter: { finalizationReason: { notIn: $value } }) { edges { cursor } } }',
      revokeGrant: 'mutation ($value: String!) { revokeGrant(input: { grantId: $value }) { id } }',
      input: 'mutation ($value: RevokeGrantInput!) { revokeGrant(input: $value) { id } }',
    }
    for (const [name, query] of Object.entries(queries))
      for (const value of hostile)
        for (const party of [tenant, admin.operator]) {
          const { status, errors, text } = await admin.ask(party, query, { value })
          const where = `${name} ${JSON.stringify(value).slice(0, 60)}: ${status} ${text.slice(0, 200)}`
          assert.ok(status === 200 || status === 400, where)
          for (const { extensions } of errors ?? [])
            assert.notEqual(extensions.code, 'INTERNAL_SERVER_ERROR', where)
        }
  })

  it('in a body that nobody could sign is refused before it is read further', async () => {
    const signature = signHmac({ secret: tenant.apiSecret, version: 1, timestampMs: Date.now(), body: {} })
    for (const body of [
      '{"query":"\\ud800"}',
      '{"variables":{"value":1e999}}',
      '{',
      `${'['.repeat(100_000)}`,
    ]) {
      const response = await fetch(admin.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'tenant-id': tenant.tenantId, signature },
        body,
      })
      assert.equal(response.status, 400)
    }
  })
})
