import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Scene, scenes, sweep } from './kill-sweep/sweep.ts'

/** Of a hundred places over a payment's life; `npm run kill-sweep` goes through all of them. */
const slices: { killed: string; places: readonly number[] }[] = [
  { killed: "payer's node, remote", places: [33] },
  { killed: "payee's node, remote", places: [66] },
  { killed: "payer's node, local", places: [50] },
]
const sceneOf = (name: string): Scene => {
  const scene = scenes.find((one) => one.name === name)
  assert.ok(scene, name)
  return scene
}

describe('F31: a node that is killed at a statement of a payment', { concurrency: true }, () => {
  for (const { killed, places } of slices)
    it(`${killed}: it comes back, the payment ends, and both banks' books are right`, async () => {
      const outcomes = await sweep(sceneOf(killed), places, { total: 100, isHurried: true })
      assert.equal(outcomes.length, places.length)
      for (const { at, problems } of outcomes) assert.deepEqual([at === '', problems], [false, []], at)
    })
})
