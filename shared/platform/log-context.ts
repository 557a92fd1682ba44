import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'

/** What every line that is logged during some work says of it. */
export interface LogContext {
  /** Of the request that began it, here or at another part of this node. */
  requestId?: string
  queue?: string
  job?: string
  rpc?: string
  outgoingPaymentId?: string
  incomingPaymentId?: string
}

const storage = new AsyncLocalStorage<LogContext>()

/** Runs `work` with `context` added to what is said already. */
export const withLogContext = <T>(context: LogContext, work: () => T): T =>
  storage.run({ ...storage.getStore(), ...context }, work)

/** A copy: loggers write into what they get. */
export const currentLogContext = (): LogContext => ({ ...storage.getStore() })

/** Goes with requests to parts of this node, to its wallets, and back to who asked. */
export const REQUEST_ID_HEADER = 'x-request-id'

const REQUEST_ID = /^[A-Za-z0-9_.:=+/-]{1,128}$/

/** The caller's id where callers are believed and it is one; a new one otherwise. */
export function requestIdOf(header: unknown): string {
  return typeof header === 'string' && REQUEST_ID.test(header) ? header : randomUUID()
}
