import { setTimeout as sleep } from 'node:timers/promises'
import { Fault, type Logger, messageOf } from '../../platform/index.ts'
import { type ReplicaAddress, resolveReplicas } from './addresses.ts'
import { CLIENT_CLOSED, codeOf, EVICTIONS, type Native, type NativeClient, TOO_MUCH_DATA } from './native.ts'

/** The process's session with the cluster. The client behind it is replaced when it falls silent. */
export interface Session {
  /**
   * Sends one request, again on a new client when the old one said nothing or was evicted, until `timeoutMs` have passed; then
   * throws a retryable Fault `onTimeout`. Requests must be safe to repeat: what was sent may have been applied.
   */
  run<T>(request: (client: NativeClient) => Promise<T>, onTimeout: string): Promise<T>
  /** What is under way ends as if its time had passed. */
  close(): void
}

export interface SessionOptions {
  native: Native
  clusterId: bigint
  replicas: readonly ReplicaAddress[]
  log: Logger
  timeoutMs: number
  /** A client that is silent for so long is replaced: the cluster may have moved to other addresses. */
  silenceMsMax: number
  /** The same for one that was never answered. Its first answer takes a second even when all is well. */
  connectMsMax: number
}

interface Connection {
  client: NativeClient
  isDead: boolean
}

/** Whether there is such an account does not matter. */
const ANY_ID = 1n
const BACK_OFF_MS = [10, 50, 200, 500, 1000]

class Silence extends Error {}

export function createSession(options: SessionOptions): Session {
  const { native, log } = options
  const waits = new Set<(reason: string) => void>()
  let current: Promise<Connection> | undefined
  let closed = false

  /**
   * A client that was answered. Requests go to such clients only: those that give up before are not yet in one that would send them
   * when nobody expects it any more, and a client that is about to be answered is not thrown away because a caller has no more time.
   */
  const open = async (): Promise<Connection> => {
    const addresses = await resolveReplicas(options.replicas)
    if (closed) throw new Silence('the ledger is closed')
    const client = native.createClient({ cluster_id: options.clusterId, replica_addresses: addresses })
    try {
      await within(waits, client.lookupAccounts([ANY_ID]), options.connectMsMax)
    } catch (error) {
      if (!EVICTIONS.includes(codeOf(error))) client.destroy()
      throw error
    }
    return { client, isDead: false }
  }
  const connect = (): Promise<Connection> => {
    if (current) return current
    const opening = open()
    current = opening
    opening.catch(() => {
      if (current === opening) current = undefined
    })
    return opening
  }
  /**
   * A request that nobody waits for any more must not be sent when the cluster comes back: the client forgets it with the rest of
   * what it has. Whoever else waits on this client sends again on the next.
   */
  const discard = (opening: Promise<Connection> | undefined, connection: Connection, reason: unknown) => {
    if (current === opening) current = undefined
    if (connection.isDead) return
    connection.isDead = true
    if (!EVICTIONS.includes(codeOf(reason))) connection.client.destroy()
  }

  const attempt = async <T>(
    request: (client: NativeClient) => Promise<T>,
    patienceMs: number,
  ): Promise<T> => {
    const until = performance.now() + patienceMs
    const opening = connect()
    const connection = await within(waits, opening, patienceMs)
    try {
      return await within(waits, request(connection.client), until - performance.now())
    } catch (error) {
      if (isPassing(error)) discard(opening, connection, error)
      throw error
    }
  }

  return {
    async run(request, onTimeout) {
      const deadline = performance.now() + options.timeoutMs
      for (let count = 0; ; count++) {
        const remainingMs = Math.max(1, deadline - performance.now())
        try {
          return await attempt(request, Math.min(options.silenceMsMax, remainingMs))
        } catch (error) {
          if (!isPassing(error)) throw error
          const pauseMs = BACK_OFF_MS[Math.min(count, BACK_OFF_MS.length - 1)] ?? 1000
          const isOver = closed || performance.now() + pauseMs >= deadline
          log.warn({ reason: messageOf(error), attempt: count + 1 }, 'TigerBeetle did not answer')
          if (isOver) throw new Fault(onTimeout, { retryable: true, message: messageOf(error), cause: error })
          await sleep(pauseMs)
        }
      }
    },
    close() {
      closed = true
      for (const giveUp of waits) giveUp('the ledger is closed')
      const opening = current
      opening?.then(
        (connection) => discard(opening, connection, undefined),
        () => undefined,
      )
    },
  }
}

/** Nothing is known of the request, and another client may be answered: silence, the end of a session, a name that does not resolve. */
const isPassing = (error: unknown): boolean => {
  if (error instanceof Silence) return true
  const code = codeOf(error)
  return (
    code === CLIENT_CLOSED || EVICTIONS.includes(code) || (isSystemError(error) && code !== TOO_MUCH_DATA)
  )
}
/** Of the resolver. */
const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error

/** The work's end, or {@link Silence} when it takes too long. */
const within = <T>(waits: Set<(reason: string) => void>, work: Promise<T>, ms: number): Promise<T> =>
  new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      waits.delete(giveUp)
    }
    const giveUp = (reason: string) => {
      end()
      reject(new Silence(reason))
    }
    const timer = setTimeout(giveUp, Math.max(1, ms), `no answer within ${Math.round(ms)} ms`)
    waits.add(giveUp)
    work.then(resolve, reject).finally(end)
  })
