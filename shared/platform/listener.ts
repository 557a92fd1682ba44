import pg from 'pg'
import { type Db, noticingSilence } from './db.ts'
import { messageOf } from './errors.ts'
import { isWorthALine, type Logger } from './log.ts'
import { sql } from './sql.ts'

export type NoticeHandler = (payload: string | undefined) => unknown

export interface Listener {
  /**
   * Calls `handler` with each payload that arrives on `channel`, and with `undefined` whenever listening begins, at first and after a
   * lost connection came back: whatever happened before was missed. A promise that it returns is waited for where time only passes
   * while somebody waits; its failures are the handler's own.
   */
  listen(channel: string, handler: NoticeHandler): void
  close(): Promise<void>
}

const RECONNECT_MS_MAX = 5_000
/** A server that takes a connection and says nothing, at once or to LISTEN, must not keep the listener from trying again, or from closing. */
const ANSWER_MS_MAX = 5_000
const CHANNEL = /^[a-z_][a-z0-9_]{0,62}$/

const sessionName = (deployable: string | undefined): string =>
  deployable === undefined ? 'upesi-listener' : `upesi-listener-${deployable}`

/** How many processes of a deployable listen on this database now. A process that is cut off counts until Postgres notices. */
export const countListeners = (db: Db, deployable: string): Promise<number> =>
  db.one(
    (row) => Number(row.count),
    sql`select count(*) as count from pg_stat_activity
        where datname = current_database() and application_name = ${sessionName(deployable)}`,
  )

/** One Postgres connection for LISTEN, kept alive. Notifications only wake workers; nothing is lost when one is. */
export function createListener(options: {
  connectionString: string
  log: Logger
  /** Of the deployable, in the name of the session. */
  name?: string
}): Listener {
  const handlers = new Map<string, Set<NoticeHandler>>()
  let client: pg.Client | undefined
  let closed = false
  let attempt = 0
  let timer: NodeJS.Timeout | undefined
  let connecting: Promise<void> | undefined
  let statements: Promise<unknown> = Promise.resolve()

  /** A client takes one statement at a time, and rooms ask for their channels when they like. */
  const ask = (asked: pg.Client, channel: string): Promise<unknown> => {
    const answer = statements.then(() => asked.query(`listen ${channel}`))
    statements = answer.catch(() => undefined)
    return answer
  }

  /** A standby takes connections and lets nobody listen. Its connection is not kept beside the next attempt's. */
  const drop = (deaf: pg.Client) => {
    if (client === deaf) client = undefined
    deaf.end().catch(() => undefined)
  }

  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      connectionString: options.connectionString,
      application_name: sessionName(options.name),
      connectionTimeoutMillis: ANSWER_MS_MAX,
      query_timeout: ANSWER_MS_MAX,
      // Nothing is asked over it once it listens: that it is dead would never be noticed.
      ...noticingSilence,
    })
    const lost = (error?: Error) => {
      if (client !== next) return
      client = undefined
      if (closed) return
      options.log.warn({ reason: error?.message }, 'listener connection lost')
      schedule()
    }
    next.on('error', lost)
    next.on('end', () => lost())
    next.on('notification', ({ channel, payload }) => {
      for (const handler of handlers.get(channel) ?? []) void handler(payload)
    })
    await next.connect()
    if (closed) {
      await next.end()
      return
    }
    client = next
    try {
      for (const channel of handlers.keys()) await ask(next, channel)
    } catch (error) {
      drop(next)
      throw error
    }
    attempt = 0
    for (const set of handlers.values()) for (const handler of set) void handler(undefined)
  }

  const start = () => {
    connecting = connect().catch((error: unknown) => {
      if (isWorthALine(attempt + 1))
        options.log.warn({ failures: attempt + 1, reason: messageOf(error) }, 'listener cannot connect')
      schedule()
    })
  }

  const schedule = () => {
    if (closed || timer) return
    attempt++
    timer = setTimeout(
      () => {
        timer = undefined
        start()
      },
      Math.min(100 * 2 ** attempt, RECONNECT_MS_MAX),
    )
    timer.unref()
  }

  start()
  return {
    listen(channel, handler) {
      if (!CHANNEL.test(channel)) throw new TypeError(`not a channel name: ${channel}`)
      const known = handlers.get(channel) ?? new Set<NoticeHandler>()
      handlers.set(channel, known.add(handler))
      // Asking twice for one channel is harmless; while there is no connection, the next one asks for all.
      const asked = client
      if (!asked) return
      ask(asked, channel).then(
        () => handler(undefined),
        (error: unknown) => {
          // The next connection asks for all, this channel too.
          if (closed || client !== asked) return
          options.log.warn({ reason: messageOf(error), channel }, 'listen failed')
          drop(asked)
          schedule()
        },
      )
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await connecting
      const last = client
      client = undefined
      await last?.end()
    },
  }
}
