import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { type BatcherOptions, createBatcher } from './batcher.ts'
import { Fault } from './errors.ts'
import { createTurnstile } from './turnstile.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)

class Poisoned extends Error {}

/** A caller that waits some turns, then asks a question of a kind. */
const caller = fc.record({ turns: fc.nat(12), kind: fc.nat(2), isPoisoned: fc.boolean() })
/** How a batch goes: how long it takes, and whether the dependency is away. */
const fate = fc.record({ turns: fc.nat(6), isAway: fc.boolean() })

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

test('whoever asks when: each gets the answer to its own question, or the error that is its own or its batch’s', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(caller, { minLength: 1, maxLength: 40 }),
      fc.array(fate, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      async (callers, fates, sizeMax, takesTurns) => {
        let batches = 0
        let running = 0
        const awayFor = new Set<number>()
        const askedAlone = new Set<number>()
        const asked = new Set<number>()
        const options: BatcherOptions<number, { of: number; isPoisoned: boolean }> = {
          sizeMax,
          patienceMs: 60_000,
          ...(takesTurns && { turnstile: createTurnstile({ patienceMs: 60_000 }) }),
          ask: async (items) => {
            assert.ok(items.length <= sizeMax, 'no batch is larger than allowed')
            assert.equal(new Set(items.map((item) => callers[item]?.kind)).size, 1, 'kinds do not mix')
            const isFirstTime = items.every((item) => !asked.has(item))
            assert.ok(!takesTurns || !isFirstTime || running === 0, 'kinds take turns')
            for (const item of items) asked.add(item)
            const { turns: duration = 0, isAway = false } = fates[batches++ % fates.length] ?? {}
            running++
            await turns(duration)
            running--
            if (isAway) {
              for (const item of items) awayFor.add(item)
              throw new Fault('away', { retryable: true })
            }
            if (items.length === 1) for (const item of items) askedAlone.add(item)
            if (items.some((item) => callers[item]?.isPoisoned)) throw new Poisoned()
            return items.map((item) => ({ of: item, isPoisoned: false }))
          },
        }
        const batchers = [createBatcher(options), createBatcher(options), createBatcher(options)]
        const outcomes = await Promise.allSettled(
          callers.map(async ({ turns: before, kind }, index) => {
            await turns(before)
            return await batchers[kind]?.submit(index)
          }),
        )
        assert.equal(running, 0)
        for (const [index, outcome] of outcomes.entries()) {
          const isPoisoned = callers[index]?.isPoisoned
          if (outcome.status === 'fulfilled') {
            assert.equal(outcome.value?.of, index, 'an answer belongs to its question')
            assert.ok(!isPoisoned)
          } else if (outcome.reason instanceof Fault)
            assert.ok(awayFor.has(index), 'only who asked a dependency that was away hears so')
          else {
            assert.ok(outcome.reason instanceof Poisoned && isPoisoned, 'a bad item fails itself alone')
            assert.ok(askedAlone.has(index))
          }
        }
      },
    ),
    { seed, numRuns: 150 },
  )
})
