import type pg from 'pg'
import { type Batcher, createBatcher } from './batcher.ts'
import { assert } from './errors.ts'
import { currentLogContext } from './log-context.ts'
import type { Row, Sql } from './sql.ts'
import type { Turnstile } from './turnstile.ts'

/** What one of many asks for or changes, and how many go into one statement. A constant of its room. */
export interface BatchedStatement<Item, T> {
  /**
   * Rows say in `place` which item they answer, counted from 1: `unnest(…) with ordinality`. At most one row for each. Rows that are
   * changed are locked in an order that does not depend on the items' order, or two processes wait for each other. `requestIds` are
   * the items', where a request submitted them (`withLogContext`).
   */
  query(items: readonly Item[], requestIds: readonly (string | undefined)[]): Sql
  map(row: Row): T
}

/** `map` of a statement that returns no rows, because nobody asks what became of an item. */
export const noAnswer = (row: Row): never => assert(false, 'the statement returns no rows', row) as never

/** What items say of one id joined to one, in the order of ids, in which everybody locks rows. */
export function oncePerId<Item extends { id: string }>(
  items: readonly Item[],
  join: (known: Item, next: Item) => Item,
): Item[] {
  const byId = new Map<string, Item>()
  for (const item of items) {
    const known = byId.get(item.id)
    byId.set(item.id, known ? join(known, item) : item)
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

type Batched = <Item, T>(statement: BatchedStatement<Item, T>, item: Item) => Promise<T | undefined>
export type Run = (query: Sql) => Promise<pg.QueryResult<Row>>

/** Items of one statement. */
const SIZE_MAX = 256

/** A statement was given up for another's sake: serialization failure and deadlock. Alone it may pass. */
export const CONFLICTS = ['40001', '40P01'] as const

const isConflict = (error: unknown): boolean => {
  const { cause } = error as { cause?: { code?: unknown } }
  return CONFLICTS.some((code) => cause?.code === code)
}

interface Submitted<Item> {
  item: Item
  requestId: string | undefined
}

/** Rows by place; `undefined` where there is none. */
async function findRows<Item>(
  run: Run,
  statement: BatchedStatement<Item, unknown>,
  submitted: readonly Submitted<Item>[],
): Promise<(Row | undefined)[]> {
  const found = new Array<Row | undefined>(submitted.length).fill(undefined)
  const query = statement.query(
    submitted.map(({ item }) => item),
    submitted.map(({ requestId }) => requestId),
  )
  for (const row of (await run(query)).rows) {
    const index = Number(row.place) - 1
    assert(index in found && found[index] === undefined, 'a batched statement gives one row for each item')
    found[index] = row
  }
  return found
}

const submit = <Item>(item: Item): Submitted<Item> => ({ item, requestId: currentLogContext().requestId })

/** Each in a statement of its own. */
export const oneByOne =
  (run: Run): Batched =>
  async (statement, item) => {
    const [row] = await findRows(run, statement, [submit(item)])
    return row === undefined ? undefined : statement.map(row)
  }

/** One batch of each kind of statement is under way at a time: see {@link createBatcher}. The kinds take turns at the turnstile. */
export function batchedStatements(run: Run, turnstile: Turnstile): Batched {
  const batchers = new Map<unknown, Batcher<Submitted<unknown>, Row | undefined>>()
  const batcherOf = <Item, T>(
    statement: BatchedStatement<Item, T>,
  ): Batcher<Submitted<Item>, Row | undefined> => {
    const known = batchers.get(statement)
    if (known) return known
    const batcher = createBatcher<Submitted<Item>, Row | undefined>({
      sizeMax: SIZE_MAX,
      ask: (submitted) => findRows(run, statement, submitted),
      turnstile,
      isOfOne: isConflict,
    })
    batchers.set(statement, batcher)
    return batcher
  }
  return async (statement, item) => {
    const row = await batcherOf(statement).submit(submit(item))
    return row === undefined ? undefined : statement.map(row)
  }
}
