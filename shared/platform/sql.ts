// biome-ignore lint/suspicious/noExplicitAny: a row is untyped until its table's mapper has read it; mappers are where casts live.
export type Row = Record<string, any>

/** A piece of SQL with its values. Compose pieces by interpolating one into another; anything else becomes a parameter. */
export interface Sql {
  readonly strings: readonly string[]
  readonly values: readonly unknown[]
  /** See {@link plannedAnew}. */
  readonly isPlannedAnew?: true
}

const isSql = (value: unknown): value is Sql =>
  typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === sqlKind

const sqlKind = Symbol('sql')

/**
 * What a template and the pieces in it make: one list of strings for as long as the process lives, so that a statement's text is put
 * together once and known by its identity from then on. Texts have thousands of characters, and looking one up costs as much as sending it.
 */
interface Composition {
  strings?: readonly string[]
  /** By the next value: the strings of a piece, or nothing for a parameter. */
  readonly next: Map<readonly string[] | undefined, Composition>
}

const compositions = new WeakMap<readonly string[], Composition>()
/** Strings that are the same whenever the same is composed. */
const lasting = new WeakSet<readonly string[]>()
const texts = new WeakMap<readonly string[], string>()
const rawPieces = new Map<string, readonly string[]>()
/** Bounds, because pieces composed from filters could otherwise be kept for ever. What is beyond them is put together anew. */
const COMPOSITIONS_MAX = 20_000
const RAW_PIECES_MAX = 5_000
let compositionCount = 0

/** The one that is known under `key`, or a new one; undefined beyond the bound. */
function compositionIn<Key>(
  known: { get(key: Key): Composition | undefined; set(key: Key, composition: Composition): unknown },
  key: Key,
): Composition | undefined {
  const found = known.get(key)
  if (found || compositionCount >= COMPOSITIONS_MAX) return found
  compositionCount++
  const composition: Composition = { next: new Map() }
  known.set(key, composition)
  return composition
}

function findComposition(template: readonly string[], values: readonly unknown[]): Composition | undefined {
  let composition = compositionIn(compositions, template)
  for (const value of values) {
    const key = isSql(value) ? value.strings : undefined
    if (!composition || (key && !lasting.has(key))) return undefined
    composition = compositionIn(composition.next, key)
  }
  return composition
}

function joinStrings(template: readonly string[], values: readonly unknown[]): string[] {
  const joined: string[] = [template[0] ?? '']
  const append = (text: string) => {
    joined[joined.length - 1] += text
  }
  for (const [index, value] of values.entries()) {
    if (!isSql(value)) joined.push('')
    else
      for (const [inner, text] of value.strings.entries())
        if (inner === 0) append(text)
        else joined.push(text)
    append(template[index + 1] ?? '')
  }
  return joined
}

function joinValues(values: readonly unknown[]): unknown[] {
  const joined: unknown[] = []
  for (const value of values)
    if (isSql(value)) joined.push(...value.values)
    else joined.push(value)
  return joined
}

/** Tags a query: values become `$n` parameters, nested {@link Sql} is spliced in. */
export function sql(template: TemplateStringsArray, ...values: unknown[]): Sql {
  const composition = findComposition(template, values)
  const strings = composition?.strings ?? joinStrings(template, values)
  if (composition && !composition.strings) {
    composition.strings = strings
    lasting.add(strings)
  }
  return { kind: sqlKind, strings, values: joinValues(values) } as Sql
}

/** SQL text taken as it is. For constants of the program only: column lists, `asc` or `desc`. Never for input. */
export const rawSql = (text: string): Sql => ({ kind: sqlKind, strings: rawPiece(text), values: [] }) as Sql

function rawPiece(text: string): readonly string[] {
  const known = rawPieces.get(text)
  if (known) return known
  const piece = [text]
  if (rawPieces.size < RAW_PIECES_MAX) {
    rawPieces.set(text, piece)
    lasting.add(piece)
  }
  return piece
}

/**
 * A whole query that is planned for its values each time. Most wallet addresses and tenants have few rows and some have nearly all: a
 * plan that is made once, for anybody, reads and sorts everything of the few.
 */
export const plannedAnew = (query: Sql): Sql => ({ ...query, isPlannedAnew: true })

/** Joins pieces, by default with `and`; an empty list gives `true`. */
export function joinSql(pieces: readonly Sql[], separator = ' and '): Sql {
  const [first, ...rest] = pieces
  if (!first) return rawSql('true')
  return rest.reduce((joined, piece) => sql`${joined}${rawSql(separator)}${piece}`, first)
}

/**
 * Joins the row of `table` with the id that `id` names, where there is one, as `alias`. "limit 1" makes it a look-up whatever the planner
 * believes about sizes: with plans made of a small table a plain join walks through all of it.
 */
export const joinById = (table: string, alias: string, id: string): Sql =>
  rawSql(`cross join lateral (select * from ${table} where id = ${id} limit 1) ${alias}`)

/**
 * Rows of the program as a table of a query: `as` is its name and its columns with their types, like `r (id uuid, amount numeric)`. What
 * a row does not have is null; bigints are given as text. One parameter however many there are: beyond a few columns an array for each
 * costs both sides more.
 */
export const rowsSql = (rows: readonly object[], as: string): Sql =>
  sql`json_to_recordset(${JSON.stringify(rows)}::json) as ${rawSql(as)}`

/** The text with numbered placeholders; the same string whenever the same was composed. */
export function sqlText({ strings }: Sql): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  let text = strings[0] ?? ''
  for (let index = 1; index < strings.length; index++) text += `$${index}${strings[index]}`
  if (lasting.has(strings)) texts.set(strings, text)
  return text
}
