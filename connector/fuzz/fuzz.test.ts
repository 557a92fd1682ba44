import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FuzzFailure, fuzz, fuzzTargets } from './fuzz.ts'
import { mutate } from './mutate.ts'
import { createRandom, seedOf } from './random.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const INPUTS = 100_000

test('valid inputs are accepted by every target', () => {
  for (const target of fuzzTargets)
    for (const bytes of target.corpus) {
      // A receiver rejects a genuine packet that asks it to: one that closes the connection.
      const answer = target.check(Buffer.from(bytes))
      if (target.name !== 'stream receiver') assert.equal(answer, 'accepted', target.name)
    }
})

test('a slice of the long run: no crash, no hang, nothing accepted that means something else to others', () => {
  const counts = fuzz({ seed, from: 0, to: INPUTS, inputMsMax: 500 })
  for (const [name, { inputs, accepted }] of counts) {
    assert.ok(inputs >= Math.floor(INPUTS / fuzzTargets.length), name)
    assert.ok(accepted < inputs, `${name} refuses something`)
    // Damage that leaves an input valid is what reaches the parts behind the first checks.
    if (!['sealed stream packet', 'stream receiver'].includes(name))
      assert.ok(accepted > inputs / 100, `${name} accepts something`)
  }
})

test('an input follows from its number, and a failure names it', () => {
  const [target] = fuzzTargets
  assert.ok(target)
  const inputOf = (index: number) => mutate(target.corpus, createRandom(seedOf(7, index)))
  assert.deepEqual(inputOf(12), inputOf(12))
  assert.notDeepEqual(inputOf(12), inputOf(13))
  const failure = new FuzzFailure(target, { seed: 7, index: 12, bytes: Buffer.of(1, 2) }, new Error('oh'))
  assert.match(failure.message, /^prepare: oh\ninput 12 of seed 7: 0102$/)
})
