import { type Sql, sql } from '../platform/index.ts'

/** What a payment's row remembers of its past. Amounts are text: JSON numbers end at 2^53. */
export interface Note {
  kind: 'state' | 'funding_refused' | 'attempt_failed' | 'waiting'
  state?: string
  /** Stable (docs/errors.md). */
  code?: string
  message?: string
  ilpCode?: string
  triggeredBy?: string
  retryAt?: string
  sentAmount?: string
  deliveredAmount?: string
}

/** Words of others may be long. */
const MESSAGE_MAX = 500
/** A payment that is tried for ever does not grow for ever. */
const NOTES_MAX = 200

/** Words of others, such as the database takes them: no NUL, no halves of characters. */
export const storable = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed()

/** JSON that the database takes, whatever others said. */
export const storableJson = (value: unknown): string =>
  JSON.stringify(value, (_key, item) => (typeof item === 'string' ? storable(item) : item))

/** A note as the column holds it: a list of one. */
export const noteText = (at: Date, { message, ...note }: Note): string =>
  storableJson([{ at, ...note, ...(message !== undefined && { message: message.slice(0, MESSAGE_MAX) }) }])

/** The column of `p` with one note more: part of the statement that makes the change. */
export const noted = (at: Date, note: Note): Sql => sql`p.history || ${noteText(at, note)}::jsonb`

/** The same for what may happen again and again: after a while it is left out. */
export const notedWhereRoom = (at: Date, note: Note): Sql =>
  sql`case when jsonb_array_length(p.history) < ${NOTES_MAX} then ${noted(at, note)} else p.history end`

/** Why an attempt failed, and who said so where it was a node on the way. */
export interface NotedFailure {
  code: string
  message: string
  ilpCode?: string
  triggeredBy?: string
}

export const failureNote = ({ code, message, ilpCode, triggeredBy }: NotedFailure) => ({
  code,
  message,
  ...(ilpCode !== undefined && { ilpCode }),
  ...(triggeredBy !== undefined && { triggeredBy }),
})
