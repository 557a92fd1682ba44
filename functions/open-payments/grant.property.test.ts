import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AccessRefusal } from './errors.ts'
import { decideGrant, type Grant, tokenOf } from './grant.ts'
import type { AccessAction, AccessType, GrantedAccess, RequestedAccess } from './introspection.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)
const runs = { seed, numRuns: 5_000 }

const ours = '0190c0de-0000-7000-8000-00000000000a'
const theirs = '0190c0de-0000-7000-8000-00000000000b'
const types = fc.constantFrom<AccessType[]>('incoming-payment', 'outgoing-payment', 'quote')
const identifiers = fc.constantFrom(
  'https://a.example/alice',
  'https://a.example/alice/',
  'https://A.example/alice',
)
const items: fc.Arbitrary<GrantedAccess[]> = fc.array(
  fc.record(
    {
      type: fc.oneof(types, fc.constantFrom('', 'constructor')),
      actions: fc.subarray(['create', 'complete', 'read', 'read-all', 'list', 'list-all', 'create-all', '']),
      identifier: identifiers,
      limits: fc.constantFrom({}, { receiver: 'x' }),
    },
    { requiredKeys: ['type', 'actions'] },
  ),
  { maxLength: 4 },
)
const wanted: fc.Arbitrary<RequestedAccess & { identifier: string }> = fc.record({
  type: types,
  action: fc.constantFrom<AccessAction[]>('create', 'complete', 'read', 'list'),
  identifier: identifiers,
})

const decide = (access: GrantedAccess[], wants: RequestedAccess, tenantId = ours): Grant | undefined => {
  try {
    return decideGrant(
      { active: true, grantId: 'g', tenantId, access, client: { walletAddress: 'https://c.example/' } },
      { ...wants, tenantId: ours },
    )
  } catch (error) {
    assert.ok(error instanceof AccessRefusal, String(error))
    return undefined
  }
}

test('a door opens for what was granted for it, and for nothing else', () => {
  fc.assert(
    fc.property(items, wanted, (access, wants) => {
      const inAll = ['read', 'list'].includes(wants.action) ? `${wants.action}-all` : wants.action
      const matching = access.filter(
        ({ type, actions, identifier }) =>
          type === wants.type &&
          (actions.includes(wants.action) || actions.includes(inAll)) &&
          (identifier === wants.identifier ||
            (identifier === undefined && wants.type !== 'outgoing-payment')),
      )
      const limited = matching.filter(({ limits }) => limits !== undefined)
      const grant = decide(access, wants)
      assert.equal(grant !== undefined, matching.length > 0 && limited.length < 2)
      if (!grant) return
      assert.deepEqual(grant.limits, limited[0]?.limits)
      const seesAll = inAll !== wants.action && matching.some(({ actions }) => actions.includes(inAll))
      assert.equal(grant.seesAll, seesAll)
      assert.equal(decide(access, wants, theirs), undefined, 'a token of another tenant')
    }),
    runs,
  )
})

test('monotone: what more is granted without limits opens no fewer doors, and takes no limit away', () => {
  fc.assert(
    fc.property(items, items, wanted, (access, more, wants) => {
      const before = decide(access, wants)
      if (!before) return
      const unlimited = more.map(({ limits: _limits, ...item }) => item)
      const after = decide([...access, ...unlimited], wants)
      assert.ok(after)
      assert.deepEqual(after.limits, before.limits)
      assert.ok(after.seesAll || !before.seesAll)
    }),
    runs,
  )
})

test('any text as an Authorization header: a token or a refusal', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `GNAP ${text}`),
      ),
      (header) => {
        try {
          assert.equal(`GNAP ${tokenOf(header)}`, header)
        } catch (error) {
          assert.ok(error instanceof AccessRefusal && error.code === 'invalid_authorization', String(error))
        }
      },
    ),
    runs,
  )
})
