import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { messageOf } from '../../shared/platform/index.ts'
import { type Answer, type AnswerReader, createAnswerReader } from './answer-reader.ts'

export interface PeerConnectionsOptions {
  /** Connections to one origin, and so requests on their way to it at the same time; others wait. */
  connectionsMax: number
  /** An idle connection ends before the other side ends it (its `Keep-Alive` hint counts too), or requests would die on closed ones. */
  keepAliveMs: number
  connectMs: number
  answerSizeMax: number
}

/** Keep-alive HTTP/1.1 connections, one request at a time on each. */
export interface PeerConnections {
  /** `origin`: scheme, host and port. `request` is the whole of it, as bytes. Rejects with a {@link ConnectionFault}. */
  exchange(origin: string, request: Buffer, timeoutMs: number): Promise<Answer>
  /** Ends what is idle and what is under way. */
  close(): void
}

/** No answer. */
export class ConnectionFault extends Error {
  readonly kind: 'timeout' | 'failed'
  /** Before a request is written to a connection nothing can have arrived. */
  readonly wasSent: boolean
  constructor(kind: 'timeout' | 'failed', wasSent: boolean, cause?: unknown) {
    super(kind === 'timeout' ? 'no answer in time' : messageOf(cause), { cause })
    this.kind = kind
    this.wasSent = wasSent
  }
}

const closedFault = () => new ConnectionFault('failed', false, new Error('the connector ends'))

/** A hint of so many milliseconds is cut by this: what is on its way when the other side closes is lost. */
const KEEP_ALIVE_MARGIN_MS = 2_000
const SWEEP_MS = 1_000
/** Answers are small; larger ones come in several reads. */
const READ_SIZE = 4 * 1024
const PROBE_MS = 60_000

interface Exchange {
  request: Buffer
  connection?: Connection
  isOver: boolean
  settle(answer: Answer): void
  fail(error: ConnectionFault): void
}

interface Connection {
  socket: Socket
  exchange: Exchange | undefined
  /** By `performance.now()`. */
  idleUntilMs: number
}

export function createPeerConnections(options: PeerConnectionsOptions): PeerConnections {
  const origins = new Map<string, Origin>()
  let isClosed = false
  const sweep = setInterval(() => {
    const nowMs = performance.now()
    for (const [key, origin] of origins) if (origin.sweep(nowMs) === 0) origins.delete(key)
  }, SWEEP_MS)
  sweep.unref()

  return {
    exchange(name, request, timeoutMs) {
      if (isClosed) return Promise.reject(closedFault())
      let origin = origins.get(name)
      if (!origin) {
        origin = createOrigin(new URL(name), options)
        origins.set(name, origin)
      }
      return origin.exchange(request, timeoutMs)
    },
    close() {
      isClosed = true
      clearInterval(sweep)
      for (const origin of origins.values()) origin.close()
      origins.clear()
    },
  }
}

interface Origin {
  exchange(request: Buffer, timeoutMs: number): Promise<Answer>
  /** Ends connections that have been idle for long, and says how many are left. */
  sweep(nowMs: number): number
  close(): void
}

function createOrigin(url: URL, options: PeerConnectionsOptions): Origin {
  const connect = createConnect(url)
  const connections = new Set<Connection>()
  // The last is used first, so that those that nobody needs grow old.
  const idle: Connection[] = []
  const waiting: Exchange[] = []
  let opening = 0
  let isClosed = false

  const nextWaiting = (): Exchange | undefined => {
    for (let next = waiting.shift(); next; next = waiting.shift()) if (!next.isOver) return next
    return undefined
  }

  const takeIdle = (): Connection | undefined => {
    for (let found = idle.pop(); found; found = idle.pop()) {
      if (!found.socket.destroyed && found.idleUntilMs > performance.now()) return found
      found.socket.destroy()
    }
    return undefined
  }

  const run = (connection: Connection, exchange: Exchange): void => {
    connection.exchange = exchange
    exchange.connection = connection
    connection.socket.write(exchange.request)
  }

  const use = (connection: Connection, idleMs = options.keepAliveMs): void => {
    const next = nextWaiting()
    if (next) {
      run(connection, next)
      return
    }
    connection.exchange = undefined
    connection.idleUntilMs = performance.now() + idleMs
    if (idleMs > 0) idle.push(connection)
    else connection.socket.destroy()
  }

  const answered = (connection: Connection, answer: Answer): void => {
    const { exchange } = connection
    connection.exchange = undefined
    const { isPersistent, keepAliveMs } = answer.head
    // An answer to a request that is still being written: what is left of it is not read by whoever answers so, and would pile up.
    if (!isPersistent || connection.socket.writableLength > 0) connection.socket.destroy()
    else if (keepAliveMs === undefined) use(connection)
    else use(connection, Math.min(options.keepAliveMs, keepAliveMs - KEEP_ALIVE_MARGIN_MS))
    exchange?.settle(answer)
  }

  const open = (): void => {
    opening++
    let isOpen = false
    let failure: unknown
    const reader = createAnswerReader(options.answerSizeMax)
    const socket = connect((bytes) => {
      try {
        if (!connection.exchange) throw new Error('an answer that nobody asked for')
        const answer = reader.read(bytes)
        if (answer) answered(connection, answer)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    const connection: Connection = { socket, exchange: undefined, idleUntilMs: 0 }
    connections.add(connection)
    const late = setTimeout(() => socket.destroy(new Error('no connection in time')), options.connectMs)
    socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      clearTimeout(late)
      opening--
      isOpen = true
      use(connection)
    })
    socket.on('end', () => endOf(connection, reader))
    socket.on('error', (error) => {
      failure = error
    })
    socket.once('close', () => {
      clearTimeout(late)
      connections.delete(connection)
      if (!isOpen) opening--
      const at = connection.exchange ? -1 : idle.indexOf(connection)
      if (at !== -1) idle.splice(at, 1)
      const cause = failure ?? new Error('the other side closed the connection')
      connection.exchange?.fail(new ConnectionFault('failed', true, cause))
      if (!isOpen) nextWaiting()?.fail(new ConnectionFault('failed', false, cause))
      openForWaiting()
    })
  }

  const endOf = (connection: Connection, reader: AnswerReader): void => {
    const answer = connection.exchange && reader.end()
    if (answer) answered(connection, answer)
    connection.socket.destroy()
  }

  const openForWaiting = (): void => {
    while (!isClosed && waiting.length > opening && connections.size < options.connectionsMax) open()
  }

  return {
    exchange(request, timeoutMs) {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const over = () => {
        exchange.isOver = true
        clearTimeout(timer)
      }
      const exchange: Exchange = {
        request,
        isOver: false,
        settle(answer) {
          over()
          resolve(answer)
        },
        fail(error) {
          over()
          reject(error)
        },
      }
      const timer = setTimeout(() => {
        const { connection } = exchange
        exchange.fail(new ConnectionFault('timeout', connection !== undefined))
        if (connection?.exchange === exchange) connection.socket.destroy()
      }, timeoutMs)
      const connection = takeIdle()
      if (connection) run(connection, exchange)
      else {
        waiting.push(exchange)
        openForWaiting()
      }
      return promise
    },
    sweep(nowMs) {
      for (const { socket, idleUntilMs } of idle) if (idleUntilMs <= nowMs) socket.destroy()
      return connections.size
    },
    close() {
      isClosed = true
      for (const { socket } of connections) socket.destroy()
      for (let next = nextWaiting(); next; next = nextWaiting()) next.fail(closedFault())
    },
  }
}

type Connect = (onBytes: (bytes: Buffer) => void) => Socket

function createConnect(url: URL): Connect {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  let session: Buffer | undefined
  return (onBytes) => {
    const common = {
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: PROBE_MS,
      // Read into one buffer for as long as the connection lives: nothing is allocated for a read, and no stream is in between.
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_SIZE),
        callback: (size: number, buffer: Uint8Array) => {
          onBytes((buffer as Buffer).subarray(0, size))
          return true
        },
      },
    }
    if (url.protocol !== 'https:') return connectTcp(common)
    const socket = connectTls({
      ...common,
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: ['http/1.1'],
      ...(session && { session }),
    })
    socket.on('session', (given) => {
      session = given
    })
    return socket
  }
}
