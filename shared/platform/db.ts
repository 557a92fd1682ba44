import pg from 'pg'
import {
  type BatchedStatement,
  batchedStatements,
  CONFLICTS,
  oneByOne,
  type Run,
} from './batched-statements.ts'
import { assert, Fault } from './errors.ts'
import type { Logger } from './log.ts'
import { queryNamed } from './named-query.ts'
import { type Row, type Sql, sqlText } from './sql.ts'
import { createTurnstile } from './turnstile.ts'

/** Queries against one database. Inside {@link Db.tx} the same interface runs on the transaction's connection. */
export interface Db {
  /** All rows, each through the table's mapper. */
  many<T>(map: (row: Row) => T, query: Sql): Promise<T[]>
  /** The first row, or `undefined`. */
  maybe<T>(map: (row: Row) => T, query: Sql): Promise<T | undefined>
  /** Exactly one row; a bug otherwise. */
  one<T>(map: (row: Row) => T, query: Sql): Promise<T>
  /** The number of rows affected. */
  execute(query: Sql): Promise<number>
  /**
   * The row that answers `item`. Items of one kind that are submitted at the same time are one statement; in a transaction each is its
   * own. Where the statement of many fails, each is carried out alone and has its own end.
   */
  batched<Item, T>(statement: BatchedStatement<Item, T>, item: Item): Promise<T | undefined>
  /** Runs `work` in a transaction (READ COMMITTED); a throw rolls back. Inside a transaction it joins that one. No network calls inside. */
  tx<T>(work: (db: Db) => Promise<T>): Promise<T>
}

export interface DbPool extends Db {
  readonly connectionString: string
  /** Gives up those idle connections that do not answer, where nobody heard of their end. Never throws. */
  dropDead(): Promise<void>
  close(): Promise<void>
}

export interface DbOptions {
  connectionString: string
  /** Connections at most. */
  poolSizeMax?: number
  /** Names statements so that Postgres plans them once per connection. Off behind a proxy that pins sessions on them. */
  prepared?: boolean
  /**
   * Keeps one plan of each named statement from the first time on: for workers, whose statements have one good plan. Otherwise Postgres
   * compares costs, and where a plan for the values of the moment seems cheaper by more than it takes planning for, it plans every time:
   * after an analysis of the jobs each claim, which took four times as long as the claim.
   */
  keepsPlans?: boolean
  applicationName?: string
  log?: Logger
}

/** Opening a connection costs both sides some milliseconds, and it plans every statement anew: not worth it between two bursts. */
const IDLE_MS_MAX = 300_000

/**
 * A statement is planned a few times per connection and then never again until its tables are analysed, so a plan that was made while
 * they were small stays when they have grown. Every statement here finds its rows by an index: that is what it is to be planned
 * for, whatever the tables hold at the moment. Nothing is memoized: to make ready for it costs more than the few look-ups that it saves.
 */
const PLANNING =
  '-c enable_seqscan=off -c enable_bitmapscan=off -c enable_memoize=off -c random_page_cost=1.1 -c jit=off'
const PLANNING_ONCE = `${PLANNING} -c plan_cache_mode=force_generic_plan`

/**
 * For pg: a connection over a network that has gone silent is held no longer than half a minute, idle or while an answer is waited for.
 * Without the delay it is two hours until the system asks whether the other side is still there. It does not ask while something is
 * sent: how often it sends that again is for the operator to say (docs/operating.md).
 */
export const noticingSilence = { keepAlive: true, keepAliveInitialDelayMillis: 15_000 } as const

/** An idle connection that has not answered by then is given up. */
const SILENCE_MS = 1_000

const INT8 = 20
const NUMERIC = 1700
const INT8_ARRAY = 1016
const NUMERIC_ARRAY = 1231

const TIMESTAMPTZ = 1184
const parseAnyTimestamp = pg.types.getTypeParser(TIMESTAMPTZ, 'text') as (text: string) => Date
const DIGIT_ZERO = 48

/** `yyyy-mm-dd hh:mm:ss[.ffffff]+00`, as a server in UTC writes it, digit by digit; anything else the general way. Below a millisecond is cut off. */
function parseTimestamp(text: string): Date {
  const { length } = text
  const hasFraction = length > 23 && text.charCodeAt(19) === 46
  const isPlain = (length === 22 || hasFraction) && text.endsWith('+00') && text.charCodeAt(4) === 45
  if (!isPlain) return parseAnyTimestamp(text)
  const digit = (index: number) => text.charCodeAt(index) - DIGIT_ZERO
  const two = (index: number) => digit(index) * 10 + digit(index + 1)
  // Trailing zeros are not written.
  const fraction = (index: number) => (index < length - 3 ? digit(index) : 0)
  const milliseconds = hasFraction ? fraction(20) * 100 + fraction(21) * 10 + fraction(22) : 0
  return new Date(
    Date.UTC(two(0) * 100 + two(2), two(5) - 1, two(8), two(11), two(14), two(17), milliseconds),
  )
}

/** Integers beyond 2^53 exist here, so `int8` and `numeric` become bigint. Set per pool: a global parser would reach other users of `pg`. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === INT8 || oid === NUMERIC) return (text: string) => BigInt(text)
    if (oid === TIMESTAMPTZ && format !== 'binary') return parseTimestamp
    if (oid === INT8_ARRAY || oid === NUMERIC_ARRAY) {
      return (text: string) =>
        text === '{}'
          ? []
          : text
              .slice(1, -1)
              .split(',')
              .map((item) => (item === 'NULL' ? null : BigInt(item)))
    }
    return pg.types.getTypeParser(oid, format)
  }) as pg.CustomTypesConfig['getTypeParser'],
}

const CONNECTION_FAULTS = new Set<string>([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  '57P01',
  '57P02',
  '57P03',
  '08000',
  '08003',
  '08006',
  '53300',
  ...CONFLICTS,
])

/** The constraint that a statement violated (`23505` unique, `23503` foreign key, `23514` check), or `undefined`. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError)) return undefined
  return error.code?.startsWith('23') ? error.constraint : undefined
}

/**
 * Lost connections and serialization failures become retryable faults; anything else stays what it is. What the system says of a socket
 * is one of the first, whichever word it is (a host that is gone, a name that is not found): what was sent may have been carried out, so
 * it must not pass for a refusal, which a batch answers by asking for each item once more.
 */
function asFault(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, syscall } = error as NodeJS.ErrnoException
  const lost =
    /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect/
  const isOfSocket = syscall !== undefined || error instanceof AggregateError
  if (isOfSocket || (code !== undefined && CONNECTION_FAULTS.has(code)) || lost.test(error.message))
    return new Fault('database_unavailable', { retryable: true, message: error.message, cause: error })
  return error
}

let statementCount = 0
const statementNames = new Map<string, string>()
/** A bound, because text composed from filters could otherwise grow the map for ever. */
const STATEMENT_NAMES_MAX = 2000

function statementName(text: string): string | undefined {
  const known = statementNames.get(text)
  if (known) return known
  if (statementNames.size >= STATEMENT_NAMES_MAX) return undefined
  const name = `u${++statementCount}`
  statementNames.set(text, name)
  return name
}

function queriesOn(run: Run, tx: Db['tx'], batched: Db['batched']): Db {
  return {
    async many(map, query) {
      return (await run(query)).rows.map(map)
    },
    async maybe(map, query) {
      const row = (await run(query)).rows[0]
      return row === undefined ? undefined : map(row)
    },
    async one(map, query) {
      const { rows } = await run(query)
      assert(rows.length === 1, `expected one row, got ${rows.length}`, sqlText(query))
      return map(rows[0] as Row)
    },
    async execute(query) {
      return (await run(query)).rowCount ?? 0
    },
    batched,
    tx,
  }
}

/** A pool on one database. `int8` and `numeric` arrive as bigint; timestamps as `Date`. */
export function createDb(options: DbOptions): DbPool {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.poolSizeMax ?? 10,
    types,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: IDLE_MS_MAX,
    ...noticingSilence,
    ...(options.prepared !== false && { options: options.keepsPlans ? PLANNING_ONCE : PLANNING }),
    ...(options.applicationName && { application_name: options.applicationName }),
  })
  // An idle connection that breaks must not end the process; the next query opens another.
  // While closing, the server may be quicker than the goodbye.
  pool.on('error', (error) => {
    if (!pool.ending) options.log?.warn({ reason: error.message }, 'database connection lost')
  })

  // From the first moment on: a connection can be made and cut in one and the same packet, before its taker has the chance to listen.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
  })

  const runOn = (client: pg.Pool | pg.PoolClient) => async (query: Sql) => {
    const text = sqlText(query)
    const values = query.values as unknown[]
    const isNamed = options.prepared !== false && !query.isPlannedAnew
    const name = isNamed ? statementName(text) : undefined
    try {
      return await (name === undefined
        ? client.query<Row>({ text, values })
        : queryNamed(client, { name, text, values }))
    } catch (error) {
      throw asFault(error)
    }
  }

  const tx: Db['tx'] = async (work) => {
    const client = await pool.connect().catch((error) => {
      throw asFault(error)
    })
    let broken: Error | undefined
    // A connection that is cut between two queries says so by an event, and an event that nobody hears ends the process.
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    const run = runOn(client)
    const inside: Db = queriesOn(run, (inner) => inner(inside), oneByOne(run))
    try {
      await client.query('begin')
      const result = await work(inside)
      const { command } = await client.query('commit')
      // A failed statement whose error was swallowed: Postgres answers the commit with a rollback, and no error.
      assert(command === 'COMMIT', 'a transaction with a failed statement cannot be committed')
      return result
    } catch (error) {
      await client.query('rollback').catch((rollbackError: Error) => {
        broken = rollbackError
      })
      throw asFault(error)
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  const dropOneIfDead = async (): Promise<void> => {
    const client = await pool.connect()
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(reject, SILENCE_MS, new Error('no answer'))
    })
    try {
      await Promise.race([client.query('select 1'), silence])
      client.release()
    } catch (error) {
      client.release(error as Error)
    } finally {
      clearTimeout(timer)
    }
  }

  const run = runOn(pool)
  return {
    ...queriesOn(run, tx, batchedStatements(run, createTurnstile())),
    connectionString: options.connectionString,
    async dropDead() {
      await Promise.allSettled(Array.from({ length: pool.idleCount }, dropOneIfDead))
    },
    close: () => pool.end(),
  }
}
