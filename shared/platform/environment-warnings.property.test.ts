import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editsBetween, lettersOf, mayBeNear } from './environment-warnings.ts'

/** By the definition, without a bound. */
function edits(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length
  const [restOfA, restOfB] = [a.slice(1), b.slice(1)]
  if (a[0] === b[0]) return edits(restOfA, restOfB)
  return 1 + Math.min(edits(restOfA, restOfB), edits(a, restOfB), edits(restOfA, b))
}

test('edits between two names are counted up to a bound', () => {
  const name = fc.string({ unit: fc.constantFrom('A', 'B', 'C', '_'), maxLength: 7 })
  fc.assert(
    fc.property(name, name, fc.nat(8), (a, b, most) => {
      const all = edits(a, b)
      assert.equal(editsBetween(a, b, most), all <= most ? all : undefined)
    }),
    { numRuns: 2_000 },
  )
})

test('names that are near have nearly the same letters', () => {
  const name = fc.string({ unit: fc.constantFrom('A', 'B', 'Y', 'Z', '_', '7'), maxLength: 7 })
  fc.assert(
    fc.property(name, name, (a, b) => {
      assert.ok(mayBeNear(lettersOf(a), lettersOf(b), edits(a, b)))
    }),
    { numRuns: 2_000 },
  )
  assert.equal(mayBeNear(lettersOf('ABCDEF'), lettersOf('UVWXYZ'), 5), false)
})
