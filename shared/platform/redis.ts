import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { messageOf } from './errors.ts'
import type { Logger } from './log.ts'

export type { Redis }

export interface RedisOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** PEM files; a CA or a client certificate turns TLS on. The server's certificate is verified always. */
  caFile?: string
  keyFile?: string
  certFile?: string
  log: Logger
  /** For a connection whose commands may wait at the server for so long. */
  blockMs?: number
}

const RECONNECT_MS_MAX = 2_000
const COMMAND_MS = 500
/** A connection that is silent for so long, while it owes an answer, is given up: what waits on it would pile up otherwise. */
const SILENCE_MS = 2_000

/**
 * A Redis connection for what may be lost: commands fail at once while there is none, and after half a second without an answer.
 * Throws when a file cannot be read.
 */
export async function connectRedis(options: RedisOptions): Promise<Redis> {
  // Loaded when it is needed: most deployables never do, and it costs their cold start. Of a package of CommonJS bundles have no other
  // name than `default`.
  const { default: ioredis } = await import('ioredis')
  const pem = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const files = { ca: pem(options.caFile), key: pem(options.keyFile), cert: pem(options.certFile) }
  const usesTls = options.url.startsWith('rediss:') || Object.values(files).some((file) => file !== undefined)
  const { blockMs = 0 } = options
  const redis = new ioredis.Redis(options.url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_MS + blockMs,
    socketTimeout: SILENCE_MS + blockMs,
    // The server that this connection goes to is a replica since a fail-over: by its name we find the one that is not.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
    retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 6), RECONNECT_MS_MAX),
    ...(usesTls && {
      tls: {
        rejectUnauthorized: true,
        ...Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined)),
      },
    }),
  })
  let isAway = false
  redis.on('ready', () => {
    if (isAway) options.log.info('redis is back')
    isAway = false
  })
  redis.on('error', (error: unknown) => {
    // Once per outage: every attempt to reconnect fails with the same words.
    if (!isAway) options.log.warn({ reason: messageOf(error) }, 'redis is away')
    isAway = true
  })
  return redis
}
