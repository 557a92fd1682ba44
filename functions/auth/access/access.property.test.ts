import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { type AccessItem, type AccessType, covers, type WantedAccess } from './model.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)
const runs = { seed, numRuns: 5_000 }

const ACTIONS = ['create', 'complete', 'read', 'read-all', 'list', 'list-all']
const types = fc.constantFrom<AccessType[]>('incoming-payment', 'outgoing-payment', 'quote')
const actions = fc.subarray(ACTIONS)
const identifiers = fc.constantFrom(
  'https://a.example/alice',
  'https://a.example/alice/',
  'https://A.example/alice',
  '',
)
const limits = fc.constantFrom(
  {},
  { receiver: 'x' },
  { debitAmount: { value: '1' } },
  { debitAmount: { value: '2' } },
)

const granted: fc.Arbitrary<AccessItem> = fc.record(
  { type: types, actions, identifier: identifiers, limits },
  { requiredKeys: ['type', 'actions'] },
)
const wanted: fc.Arbitrary<WantedAccess> = fc.record(
  {
    type: fc.oneof(types, fc.constantFrom('', 'constructor')),
    actions: fc.oneof(actions, fc.array(fc.string())),
    identifier: identifiers,
    limits,
  },
  { requiredKeys: ['type', 'actions'] },
)

/** The single things that may be done, one by one: the whole meaning of `-all`. */
const meaningOf = (names: readonly string[]): Set<string> =>
  new Set(
    names.flatMap((name) => (name === 'read-all' || name === 'list-all' ? [name, name.slice(0, 4)] : [name])),
  )

test('matching is what it is said to be, item by item', () => {
  fc.assert(
    fc.property(granted, wanted, (has, wants) => {
      const mayDo = meaningOf(has.actions)
      const expected =
        has.type === wants.type &&
        wants.actions.every((action) => mayDo.has(action)) &&
        (has.identifier === undefined ||
          wants.identifier === undefined ||
          has.identifier === wants.identifier) &&
        (wants.limits === undefined || isDeepStrictEqual(has.limits, wants.limits))
      assert.equal(covers(has, wants), expected)
    }),
    runs,
  )
})

test('reflexive: what is granted may be wanted', () => {
  fc.assert(
    fc.property(granted, (has) => assert.ok(covers(has, has))),
    runs,
  )
})

test('monotone: more granted or less wanted never closes a door', () => {
  fc.assert(
    fc.property(granted, wanted, actions, fc.nat(20), (has, wants, more, dropped) => {
      if (!covers(has, wants)) return
      const { identifier: _identifier, ...anywhere } = has
      assert.ok(covers({ ...has, actions: [...has.actions, ...more] }, wants))
      assert.ok(covers(anywhere, wants))
      assert.ok(covers(has, { ...wants, actions: wants.actions.filter((_, index) => index !== dropped) }))
      const { limits: _limits, ...whateverLimits } = wants
      assert.ok(covers(has, whateverLimits))
    }),
    runs,
  )
})

test('one-directional: what is wanted is never more than what was granted', () => {
  fc.assert(
    fc.property(granted, granted, (one, other) => {
      // Never the wider for the narrower.
      for (const narrow of ['read', 'list'])
        if (!one.actions.includes(`${narrow}-all`))
          assert.equal(covers(one, { ...one, actions: [`${narrow}-all`] }), false)
      // Two that cover each other allow the same.
      if (covers(one, other) && covers(other, one))
        assert.deepEqual(meaningOf(one.actions), meaningOf(other.actions))
    }),
    runs,
  )
})

test('transitive: nothing is reached by a detour', () => {
  fc.assert(
    fc.property(granted, granted, wanted, (one, other, wants) => {
      // Between items that name their address: leaving it open is a wildcard on either side.
      if ([one, other, wants].some(({ identifier }) => identifier === undefined)) return
      if (covers(one, other) && covers(other, wants)) assert.ok(covers(one, wants))
    }),
    runs,
  )
})
