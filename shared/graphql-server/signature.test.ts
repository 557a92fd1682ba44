import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { signHmac, uuidv7 } from '../platform/index.ts'
import { testClock } from '../testing/index.ts'
import { authenticate, type SignatureTerms } from './signature.ts'

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

const otherTenantId = '0b6c2f3e-1d6a-4f7e-8b52-6f1f6d0c9a11'
const otherSecret = 'the secret of another tenant'

const signed = (secret: string, timestampMs: number, body: unknown = contractBody) =>
  signHmac({ secret, version: 1, timestampMs, body })

describe('signatures of GraphQL requests', () => {
  const secrets = new Map([
    [operatorTenantId, adminApiSecret],
    [otherTenantId, otherSecret],
  ])
  const terms = (atMs: number): SignatureTerms => ({
    clock: testClock(new Date(atMs)),
    operator: { tenantId: operatorTenantId, apiSecret: adminApiSecret },
    version: 1,
    ttlSeconds: 30,
    findApiSecrets: async (id) => [secrets.get(id) ?? []].flat(),
    claim: async () => assert.fail('authentication claims nothing'),
  })
  const ask = (
    atMs: number,
    signature: unknown,
    body: unknown = contractBody,
    tenantId: unknown = operatorTenantId,
  ) => authenticate(terms(atMs), { tenantId, signature, body })

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
    ['in upper case', contractTimeMs, contractSignature.replace('69d3', '69D3')],
    ['in another order', contractTimeMs, contractSignature.split(', ').reverse().join(', ')],
    ['with another one before it', contractTimeMs, `t=1, v1=${'0'.repeat(64)}, ${contractSignature}`],
    ['with a time as no computer writes it', contractTimeMs, contractSignature.replace('t=', 't=0')],
    ["by another tenant's secret", contractTimeMs, signed(otherSecret, contractTimeMs)],
    ["by the operator's secret for a tenant", contractTimeMs, contractSignature, contractBody, otherTenantId],
    ['from a year ahead', contractTimeMs, signed(adminApiSecret, contractTimeMs + 31_536_000_000)],
    ['of a tenant that does not exist', contractTimeMs, contractSignature, contractBody, uuidv7()],
    ['of a tenant id that is none', contractTimeMs, contractSignature, contractBody, "' or 1=1 --"],
  ]
  for (const [name, atMs, signature, body, tenantId] of refused)
    it(`refuses a signature ${name}`, async () => {
      assert.equal(await ask(atMs, signature, body ?? contractBody, tenantId ?? operatorTenantId), undefined)
    })

  it("does not take a tenant with the operator's secret for the operator", async () => {
    const id = uuidv7()
    secrets.set(id, adminApiSecret)
    const caller = await ask(contractTimeMs, contractSignature, contractBody, id)
    assert.equal(caller?.isOperator, false)
  })

  it('takes a tenant for itself, however its id is written', async () => {
    const signature = signed(otherSecret, contractTimeMs)
    for (const id of [otherTenantId, otherTenantId.toUpperCase()]) {
      const caller = await ask(contractTimeMs, signature, contractBody, id)
      assert.equal(caller?.tenantId, otherTenantId)
      assert.equal(caller?.isOperator, false)
    }
  })

  it('notes a signature for at least as long as it is accepted', async () => {
    for (const offsetMs of [-30_000, 0, 30_000]) {
      const signedAtMs = contractTimeMs + offsetMs
      const caller = await ask(contractTimeMs, signed(adminApiSecret, signedAtMs))
      assert.ok(caller && caller.expiresAt.getTime() > signedAtMs + 30_000)
    }
  })

  it('refuses every single changed character of a signature', async () => {
    for (let at = 0; at < contractSignature.length; at++)
      for (const other of ['0', '9', 'f', 'A', ' ', ',', 'é']) {
        if (contractSignature[at] === other) continue
        const changed = contractSignature.slice(0, at) + other + contractSignature.slice(at + 1)
        assert.equal(await ask(contractTimeMs, changed), undefined, changed)
      }
  })
})
