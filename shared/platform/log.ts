import pino from 'pino'
import { currentLogContext } from './log-context.ts'

export type Logger = pino.Logger
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** Names of fields whose values never reach a log, wherever in the logged object they are (two levels are checked by path). */
const SECRET_FIELDS = [
  'authorization',
  'signature',
  'rafiki-signature',
  'x-idp-secret',
  'cookie',
  'token',
  'accessToken',
  'access_token',
  'authToken',
  'outgoingToken',
  'continueToken',
  'interact_ref',
  'secret',
  'sharedSecret',
  'shared_secret',
  'apiSecret',
  'idpSecret',
  'privateKey',
  'streamSecret',
  'password',
  'connectionString',
]

const redactedPaths = SECRET_FIELDS.flatMap((field) => {
  const key = `["${field}"]`
  return [key, `*${key}`, `*.*${key}`, `*.*.*${key}`]
})

/** By its number: to ask Node for its stream of it would make one. */
const STDOUT = 1

/** JSON lines on stdout, secrets redacted by field name. Each says what work it belongs to (`withLogContext`). */
export function createLogger(options: {
  level: LogLevel
  name: string
  destination?: pino.DestinationStream
}): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    name: options.name,
    redact: { paths: redactedPaths, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: currentLogContext,
    formatters: { level: (label) => ({ level: label }) },
  }
  return pino(settings, options.destination ?? pino.destination(STDOUT))
}

/** Of a row of failures the first, second, fourth, eighth … are worth a line: an outage must not fill the log. */
export const isWorthALine = (failuresInARow: number): boolean => (failuresInARow & (failuresInARow - 1)) === 0
