import pg from 'pg'
import type { Row } from './sql.ts'

export interface NamedStatement {
  name: string
  text: string
  values: unknown[]
  /** For how long an answer is waited for; the connection is of no use afterwards. */
  timeoutMs?: number
}

interface Description {
  fields: pg.FieldDef[]
}

type Message = (message: Description) => void

/** What the driver makes out of the description of a statement's rows, and reads rows by. */
interface RowReading {
  fields: unknown[]
  _parsers: unknown
  _prebuiltEmptyResultObject: unknown
}

/** What of the driver's query is not in its types. */
interface Internals {
  name: string
  query_timeout?: number
  _result: RowReading
  _accumulateRows: boolean
  prepare(connection: object): void
  handleRowDescription: Message
  handleCommandComplete(message: unknown, connection: object): void
}

type Callback = (error: Error | null, result: pg.QueryResult<Row>) => void

const inner = pg.Query.prototype as unknown as Internals
const internalsOf = (query: pg.Query): Internals => query as unknown as Internals

interface Known {
  readings: Map<string, RowReading>
  /** The connection, but it describes nothing. */
  silent: object
}

const known = new WeakMap<object, Known>()

function knownOf(connection: object): Known {
  const found = known.get(connection)
  if (found) return found
  const silent = Object.create(connection, { describe: { value: () => undefined } }) as object
  const created = { readings: new Map<string, RowReading>(), silent }
  known.set(connection, created)
  return created
}

/**
 * A named statement whose rows are described once for each connection. The driver asks with every execution, which costs both sides about
 * as much as a short statement's rows do. What was described stays true: where a statement's rows become others, Postgres refuses it
 * (`cached plan must not change result type`).
 */
class NamedQuery extends pg.Query {
  #connection: object | undefined

  constructor({ name, text, values, timeoutMs }: NamedStatement) {
    // A text, because the driver copies an object property by property.
    super(text, values)
    const self = internalsOf(this)
    self.name = name
    if (timeoutMs !== undefined) self.query_timeout = timeoutMs
  }

  prepare(connection: object): void {
    this.#connection = connection
    const { readings, silent } = knownOf(connection)
    const self = internalsOf(this)
    const reading = readings.get(self.name)
    if (reading === undefined) {
      inner.prepare.call(this, connection)
      return
    }
    Object.assign(self._result, reading)
    self._accumulateRows = true
    inner.prepare.call(this, silent)
  }

  handleRowDescription(message: Description): void {
    inner.handleRowDescription.call(this, message)
    this.#remember()
  }

  handleCommandComplete(message: unknown, connection: object): void {
    // Of statements that return no rows as well: nothing has been described.
    this.#remember()
    inner.handleCommandComplete.call(this, message, connection)
  }

  #remember(): void {
    if (this.#connection === undefined) return
    const { readings } = knownOf(this.#connection)
    const { name, _result } = internalsOf(this)
    if (readings.has(name)) return
    const { fields, _parsers, _prebuiltEmptyResultObject } = _result
    readings.set(name, { fields, _parsers, _prebuiltEmptyResultObject })
  }
}

/** Carries a named statement out. A name stands for one text in the whole process. */
export async function queryNamed(
  client: pg.Pool | pg.PoolClient,
  statement: NamedStatement,
): Promise<pg.QueryResult<Row>> {
  const query = new NamedQuery(statement)
  const send = client.query.bind(client) as unknown as (query: pg.Query, callback: Callback) => void
  try {
    return await new Promise((resolve, reject) => {
      send(query, (error, result) => {
        if (error) reject(error)
        else resolve(result)
      })
    })
  } catch (error) {
    // What the driver noted leads to its socket; this leads to who asked.
    if (error instanceof Error) Error.captureStackTrace(error)
    throw error
  }
}
