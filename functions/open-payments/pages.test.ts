import assert from 'node:assert/strict'
import test from 'node:test'
import { RouteRefusal } from './errors.ts'
import { type PageRequest, parsePageQuery, readPage, toPage } from './pages.ts'

const id = '0190c0de-0000-7000-8000-000000000001'
const refused = (code: string) => (error: unknown) => error instanceof RouteRefusal && error.code === code

test('a page is twenty long unless the query says otherwise', () => {
  assert.deepEqual(parsePageQuery({}), { first: 20 })
  assert.deepEqual(parsePageQuery({ cursor: id }), { first: 20, after: id })
  assert.deepEqual(parsePageQuery({ first: 7, cursor: id }), { first: 7, after: id })
  assert.deepEqual(parsePageQuery({ last: 7, cursor: id }), { last: 7, before: id })
})

test('first and last contradict each other, and last needs a cursor', () => {
  assert.throws(() => parsePageQuery({ first: 1, last: 1, cursor: id }), refused('pagination_contradictory'))
  assert.throws(() => parsePageQuery({ last: 1 }), refused('pagination_incomplete'))
})

test('a cursor that is no id gives an empty page and asks nobody', async () => {
  const asked: PageRequest[] = []
  const list = async (page: PageRequest) => {
    asked.push(page)
    return { items: [{ id }], hasNextPage: true, hasPreviousPage: false }
  }
  const empty = { items: [], hasNextPage: false, hasPreviousPage: false }
  assert.deepEqual(await readPage({ cursor: 'x' }, list), empty)
  assert.deepEqual(await readPage({ last: 2, cursor: "'; drop table" }, list), empty)
  assert.deepEqual(asked, [])
  assert.equal((await readPage({ cursor: id }, list)).items.length, 1)
})

test('cursors are the ids at the ends; an empty page has none', () => {
  const other = '0190c0de-0000-7000-8000-000000000002'
  const page = { items: [{ id }, { id: other }], hasNextPage: true, hasPreviousPage: false }
  assert.deepEqual(
    toPage(page, (item) => item.id),
    {
      pagination: { startCursor: id, endCursor: other, hasNextPage: true, hasPreviousPage: false },
      result: [id, other],
    },
  )
  assert.deepEqual(
    toPage({ items: [], hasNextPage: false, hasPreviousPage: false }, () => 0),
    {
      pagination: { hasNextPage: false, hasPreviousPage: false },
      result: [],
    },
  )
})
