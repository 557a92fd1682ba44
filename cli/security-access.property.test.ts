import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AccessItem, type AccessType, covers } from '../functions/auth/access/index.ts'
import { decideGrant } from '../functions/open-payments/grant.ts'
import type { AccessAction } from '../functions/open-payments/introspection.ts'
import { Refusal } from '../shared/platform/index.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)

const types = fc.constantFrom<AccessType[]>('incoming-payment', 'outgoing-payment', 'quote')
const identifiers = fc.constantFrom(
  'https://a.example/alice',
  'https://a.example/alice/',
  'https://a.example/bob',
)
const items: fc.Arbitrary<AccessItem[]> = fc.array(
  fc.record(
    {
      type: types,
      actions: fc.subarray(['create', 'complete', 'read', 'read-all', 'list', 'list-all']),
      identifier: identifiers,
    },
    { requiredKeys: ['type', 'actions'] },
  ),
  { maxLength: 4 },
)

test('the resource server opens nothing that the authorization server would not cover, whichever of them errs', () => {
  fc.assert(
    fc.property(
      items,
      types,
      fc.constantFrom<AccessAction[]>('create', 'complete', 'read', 'list'),
      identifiers,
      (access, type, action, identifier) => {
        const matched = access.filter((item) => covers(item, { type, actions: [action], identifier }))
        const opens = (told: AccessItem[]) => {
          const token = {
            active: true,
            grantId: 'g',
            tenantId: 't',
            access: told,
            client: { walletAddress: 'c' },
          } as const
          try {
            decideGrant(token, { type, action, identifier, tenantId: 't' })
            return true
          } catch (error) {
            assert.ok(error instanceof Refusal, String(error))
            return false
          }
        }
        // Told everything, instead of what was matched, it decides the same.
        assert.equal(opens(access), opens(matched))
        if (opens(access)) assert.ok(matched.length > 0)
      },
    ),
    { seed, numRuns: 5_000 },
  )
})
