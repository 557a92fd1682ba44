import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import {
  Fault,
  isWorthALine,
  type Logger,
  messageOf,
  noticingSilence,
  queryNamed,
} from '../../platform/index.ts'
import { fenceFault } from './fence.ts'

export interface Connections {
  /**
   * Runs one statement, again if the connection was lost or the server refused for a passing reason, until `timeoutMs` have
   * passed; then throws a retryable Fault with code `onTimeout`. `statement` is asked anew for each attempt.
   */
  run(
    statement: (attempt: number) => Statement,
    options: { onTimeout: string },
  ): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** The Fault's code when a write's outcome, or a read, could not be had in time. */
export const OUTCOME_UNKNOWN = { onTimeout: 'ledger_outcome_unknown' } as const
export const UNAVAILABLE = { onTimeout: 'ledger_unavailable' } as const

export interface Statement {
  text: string
  values: unknown[]
}

export interface ConnectionOptions {
  connectionString: string
  log: Logger
  sizeMax: number
  timeoutMs: number
  prepared: boolean
  /** A connection was lost, or an answer did not come. */
  onLost: () => void
}

/** SQLSTATEs after which nothing was applied and the same statement may succeed. */
const PASSING = /^(08|53|57P0|57014|40001|40P01|55P03|25006)/
const BACK_OFF_MS = [10, 50, 200, 500, 1000]

const isDatabaseError = (error: unknown): error is pg.DatabaseError => error instanceof pg.DatabaseError
/** Anything that is not the server's own word about the statement: sockets, time limits, a connection that ended. */
const isPassing = (error: unknown): boolean => !isDatabaseError(error) || PASSING.test(error.code ?? '')

/** The names of prepared statements. Each statement of this room is a constant text, so the map stays small. */
const names = new Map<string, string>()
function nameOf(text: string): string {
  const name = names.get(text) ?? `ledger_${names.size + 1}`
  names.set(text, name)
  return name
}

export function createConnections(options: ConnectionOptions): Connections {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.sizeMax,
    connectionTimeoutMillis: options.timeoutMs,
    application_name: 'upesi-ledger',
    ...noticingSilence,
  })
  // Idle or in use, a connection that ends by itself must not end the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) =>
    client.on('error', (error) => {
      // While closing, the server may be quicker than the goodbye.
      if (pool.ending) return
      options.onLost()
      options.log.warn({ reason: error.message }, 'ledger connection lost')
    }),
  )

  const attempt = async (statement: Statement, timeoutMs: number) => {
    const client = await pool.connect()
    try {
      const { rows } = await (options.prepared
        ? queryNamed(client, { ...statement, name: nameOf(statement.text), timeoutMs })
        : client.query<Record<string, unknown>>({ ...statement, query_timeout: timeoutMs } as pg.QueryConfig))
      client.release()
      return rows
    } catch (error) {
      // A connection that lost an answer would give it to the next question.
      client.release(!isDatabaseError(error))
      throw error
    }
  }

  return {
    async run(statement, { onTimeout }) {
      const deadline = performance.now() + options.timeoutMs
      for (let count = 0; ; count++) {
        const remainingMs = Math.max(1, deadline - performance.now())
        const next = statement(count)
        try {
          return await attempt(next, remainingMs)
        } catch (error) {
          if (!isPassing(error)) throw fenceFault(error) ?? error
          options.onLost()
          const pauseMs = BACK_OFF_MS[Math.min(count, BACK_OFF_MS.length - 1)] ?? 1000
          if (isWorthALine(count + 1))
            options.log.warn({ reason: messageOf(error), attempt: count + 1 }, 'ledger statement failed')
          if (performance.now() + pauseMs >= deadline)
            throw new Fault(onTimeout, { retryable: true, message: messageOf(error), cause: error })
          await sleep(pauseMs)
        }
      }
    },
    close: () => pool.end(),
  }
}
