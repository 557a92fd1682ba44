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

/** Tags a query: values become `$n` parameters, nested {@link Sql} is spliced in. */
export function sql(strings: TemplateStringsArray, ...values: unknown[]): Sql {
  const outStrings: string[] = [strings[0] ?? '']
  const outValues: unknown[] = []
  for (const [index, value] of values.entries()) {
    const next = strings[index + 1] ?? ''
    if (isSql(value)) {
      outStrings[outStrings.length - 1] += value.strings[0] ?? ''
      for (const [inner, innerValue] of value.values.entries()) {
        outValues.push(innerValue)
        outStrings.push(value.strings[inner + 1] ?? '')
      }
      outStrings[outStrings.length - 1] += next
    } else {
      outValues.push(value)
      outStrings.push(next)
    }
  }
  return { kind: sqlKind, strings: outStrings, values: outValues } as Sql
}

/** SQL text taken as it is. For constants of the program only: column lists, `asc` or `desc`. Never for input. */
export const rawSql = (text: string): Sql => ({ kind: sqlKind, strings: [text], values: [] }) as Sql

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
 * Rows of the program as a table of a query: `as` is its name and its columns with their types, like `r (id uuid, amount numeric)`. What
 * a row does not have is null; bigints are given as text. One parameter however many there are: beyond a few columns an array for each
 * costs both sides more.
 */
export const rowsSql = (rows: readonly object[], as: string): Sql =>
  sql`json_to_recordset(${JSON.stringify(rows)}::json) as ${rawSql(as)}`

/** The text with numbered placeholders. */
export function sqlText(query: Sql): string {
  let text = query.strings[0] ?? ''
  for (let index = 1; index < query.strings.length; index++) text += `$${index}${query.strings[index]}`
  return text
}
