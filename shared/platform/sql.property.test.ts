import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { joinSql, plannedAnew, rawSql, type Sql, sql, sqlText } from './sql.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)

/** A query as a tree: what is written between the values, and the values. */
type Tree = { raw: string } | { value: number } | { template: number; parts: readonly Tree[] }

/** Call sites with so many places for values. */
const templates = [
  ([a]: unknown[]) => sql`select ${a} from a`,
  ([a, b]: unknown[]) => sql`${a}, ${b}`,
  ([a, b]: unknown[]) => sql`with x as (${a}) select * from ${b}`,
  ([a, b, c]: unknown[]) => sql`(${a} and ${b}) or ${c}`,
]
const written = [
  ['select ', ' from a'],
  ['', ', ', ''],
  ['with x as (', ') select * from ', ''],
  ['(', ' and ', ') or ', ''],
] as const

const toSql = (tree: Tree): Sql | number =>
  'raw' in tree
    ? rawSql(tree.raw)
    : 'value' in tree
      ? tree.value
      : (templates[tree.template] as (typeof templates)[0])(tree.parts.map(toSql))

/** The same put together from left to right. */
function plainly(tree: Tree, values: number[] = []): { text: string; values: number[] } {
  if ('raw' in tree) return { text: tree.raw, values }
  if ('value' in tree) {
    values.push(tree.value)
    return { text: `$${values.length}`, values }
  }
  const [first = '', ...rest] = written[tree.template] as readonly string[]
  const text = rest.reduce(
    (known, after, index) => known + plainly(tree.parts[index] as Tree, values).text + after,
    first,
  )
  return { text, values }
}

const { query } = fc.letrec<{ tree: Tree; query: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ value: fc.nat(9) }),
    fc.record({ raw: fc.constantFrom('', 'b', 'true', '$1', 'x = 1') }),
    tie('query'),
  ),
  query: fc.nat(templates.length - 1).chain((template) =>
    fc.record({
      template: fc.constant(template),
      parts: fc.array(tie('tree'), {
        minLength: (written[template] as readonly string[]).length - 1,
        maxLength: (written[template] as readonly string[]).length - 1,
      }),
    }),
  ),
}))

test('whatever was composed before, a query has its own text and values, and the same text when it comes again', () => {
  fc.assert(
    fc.property(query, (tree) => {
      const expected = plainly(tree)
      for (let time = 0; time < 2; time++) {
        const composed = toSql(tree) as Sql
        assert.equal(sqlText(composed), expected.text)
        assert.deepEqual(composed.values, expected.values)
      }
      assert.equal((toSql(tree) as Sql).strings, (toSql(tree) as Sql).strings, 'it is put together once')
    }),
    { seed, numRuns: 2_000 },
  )
})

test('lists, and queries that are planned anew, keep their text', () => {
  const filters = [sql`a = ${1}`, rawSql('b'), sql`c = ${2}`]
  assert.equal(sqlText(joinSql(filters)), 'a = $1 and b and c = $2')
  assert.equal(sqlText(joinSql(filters.slice(1), ', ')), 'b, c = $1')
  assert.equal(sqlText(joinSql([])), 'true')
  const anew = plannedAnew(sql`select ${rawSql('1')} where ${joinSql(filters)}`)
  assert.equal(sqlText(anew), 'select 1 where a = $1 and b and c = $2')
  assert.deepEqual(anew.values, [1, 2])
})

test('beyond what is kept, texts are still right', () => {
  for (let index = 0; index < 30_000; index++) {
    const composed = sql`select ${rawSql(`column_${index}`)} from things where n = ${index}`
    assert.equal(sqlText(composed), `select column_${index} from things where n = $1`)
    assert.deepEqual(composed.values, [index])
  }
})
