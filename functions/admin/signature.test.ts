import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool, signHmac, uuidv7 } from '../../shared/platform/index.ts'
import type { Tenant } from '../../shared/tenants/index.ts'
import { createTestDatabase, testClock } from '../../shared/testing/index.ts'
import { authenticate, claimSignature, type SignatureContext } from './signature.ts'

const operatorTenantId = '5d1f3d1e-7b0a-4f0e-9c39-0a9a3b6f2c11'
const adminApiSecret = 'q7Jm3v0S0e5mZx3bq2Vb0cO1r8mQwQ1mZ5l7Jr2c9XU='
const contractTimeMs = 1789776000123
// The contract's worked example (contracts/admin/admin-api.md §2).
const contractBody = {
  query: 'query Who {\n  whoami {\n    id\n    isOperator\n  }\n}',
  operationName: 'Who',
  variables: {},
}
const contractSignature =
  't=1789776000123, v1=69d3e814efe409e26e70d3897c38128f1805c914389849a0fef4d332873723fb'

describe('admin request signatures', () => {
  let db: DbPool
  let database: Awaited<ReturnType<typeof createTestDatabase>>
  before(async () => {
    database = await createTestDatabase('resources')
    db = createDb({ connectionString: database.connectionString, poolSizeMax: 20 })
  })
  after(async () => {
    await db.close()
    await database.drop()
  })

  const tenants = new Map<string, Tenant>([
    [operatorTenantId, { id: operatorTenantId, apiSecret: adminApiSecret, createdAt: new Date(0) }],
  ])
  const context = (atMs: number): SignatureContext => ({
    db,
    clock: testClock(new Date(atMs)),
    findTenant: async (id) => tenants.get(id),
    settings: { operatorTenantId, adminApiSecret, signatureVersion: 1, signatureTtlSeconds: 30 },
  })
  const ask = (
    atMs: number,
    signature: unknown,
    body: unknown = contractBody,
    tenantId: unknown = operatorTenantId,
  ) => authenticate(context(atMs), { tenantId, signature, body })

  it("accepts the contract's worked example", async () => {
    const caller = await ask(contractTimeMs, contractSignature)
    assert.equal(caller?.isOperator, true)
    assert.equal(caller?.tenantId, operatorTenantId)
  })

  it('accepts a body whose members come in another order', async () => {
    const { query, operationName, variables } = contractBody
    assert.ok(await ask(contractTimeMs, contractSignature, { variables, operationName, query }))
  })

  const refused: [string, number, unknown, unknown?, unknown?][] = [
    ['older than the window', contractTimeMs + 30_001, contractSignature],
    ['from further in the future than the window', contractTimeMs - 30_001, contractSignature],
    ['with a part appended, which would be a new replay key', contractTimeMs, `${contractSignature}, x`],
    ['without a space after the comma', contractTimeMs, contractSignature.replace(', ', ',')],
    ['of another version', contractTimeMs, contractSignature.replace('v1', 'v2')],
    ['in seconds', contractTimeMs, contractSignature.replace('1789776000123', '1789776000')],
    ['that is missing', contractTimeMs, undefined],
    ['sent twice', contractTimeMs, [contractSignature, contractSignature]],
    ['over another body', contractTimeMs, contractSignature, { ...contractBody, operationName: 'Other' }],
    ['of a tenant that does not exist', contractTimeMs, contractSignature, contractBody, uuidv7()],
    ['of a tenant id that is none', contractTimeMs, contractSignature, contractBody, "' or 1=1 --"],
  ]
  for (const [name, atMs, signature, body, tenantId] of refused)
    it(`refuses a signature ${name}`, async () => {
      assert.equal(await ask(atMs, signature, body ?? contractBody, tenantId ?? operatorTenantId), undefined)
    })

  it("does not take a tenant with the operator's secret for the operator", async () => {
    const id = uuidv7()
    tenants.set(id, { id, apiSecret: adminApiSecret, createdAt: new Date(0) })
    const caller = await ask(contractTimeMs, contractSignature, contractBody, id)
    assert.equal(caller?.isOperator, false)
  })

  it('refuses a deleted tenant', async () => {
    const id = uuidv7()
    tenants.set(id, { id, apiSecret: 'gone', createdAt: new Date(0), deletedAt: new Date(1) })
    const signature = signHmac({
      secret: 'gone',
      version: 1,
      timestampMs: contractTimeMs,
      body: contractBody,
    })
    assert.equal(await ask(contractTimeMs, signature, contractBody, id), undefined)
  })

  it('lets exactly one of 100 parallel replays through', async () => {
    const ctx = context(contractTimeMs)
    const caller = await ask(contractTimeMs, contractSignature)
    assert.ok(caller)
    const claims = await Promise.all(Array.from({ length: 100 }, () => claimSignature(ctx, caller)))
    assert.equal(claims.filter(Boolean).length, 1)
  })
})
