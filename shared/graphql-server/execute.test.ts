import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildSchema, execute, parse } from 'graphql'
import { executeOperation } from './execute.ts'

const schema = buildSchema(`
  type Item { n: Int!, next: Item, wrong: Int! }
  type Query { item(n: Int!): Item, items: [Item!]!, fails: Item }
  type Mutation { add(n: Int!): Int! }`)

/** What the operation answers, and in which order its mutations ran. */
async function answerOf(run: typeof execute, text: string, variableValues?: Record<string, unknown>) {
  const order: string[] = []
  const item = (n: number): object => ({
    n,
    next: async () => item(n + 1),
    wrong: () => Promise.reject(new Error('wrong')),
  })
  const rootValue = {
    item: async ({ n }: { n: number }) => item(n),
    items: () => [item(1), Promise.resolve(item(2))],
    fails: () => {
      throw new Error('fails')
    },
    add: async ({ n }: { n: number }) => {
      order.push(`${n} begins`)
      await new Promise(setImmediate)
      order.push(`${n} ends`)
      return n
    },
  }
  const document = parse(text)
  const result = await run({ schema, document, rootValue, ...(variableValues && { variableValues }) })
  return JSON.parse(JSON.stringify({ ...result, order })) as unknown
}

const operations: [string, Record<string, unknown>?][] = [
  ['{ item(n: 1) { n next { n next { n } } } items { n } }'],
  ['query ($n: Int!) { item(n: $n) { n } }', { n: 5 }],
  ['query ($n: Int!) { item(n: $n) { n } }', { n: 'five' }],
  ['query ($n: Int!) { item(n: $n) { n } }'],
  ['{ fails { n } item(n: 1) { n } }'],
  ['{ item(n: 1) { n next { wrong } } }'],
  ['{ items { n wrong } }'],
  ['mutation { a: add(n: 1) b: add(n: 2) }'],
  ['query A { fails { n } } query B { fails { n } }'],
]

test('operations are answered as graphql answers them, and nothing is aborted', async (t) => {
  const abort = t.mock.method(AbortController.prototype, 'abort')
  for (const [text, variables] of operations) {
    const answer = await answerOf(executeOperation, text, variables)
    assert.equal(abort.mock.callCount(), 0, text)
    assert.deepEqual(answer, await answerOf(execute, text, variables), text)
    abort.mock.resetCalls()
  }
})
