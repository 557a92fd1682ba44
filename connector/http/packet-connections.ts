import { hash } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Peer, PeerDirectory } from '../routing/index.ts'
import { BODY_MS, type DirectConnections, HEADERS_MS, KEEP_ALIVE_MS } from './draining-server.ts'
import { type PacketHead, parsePacketHead } from './packet-head.ts'

export interface PacketConnectionsOptions {
  directory: Pick<PeerDirectory, 'findPeerByTokenHash'>
  /** The bytes of the answer; undefined when no answer is true. */
  answer: (peer: Peer, body: Buffer) => Promise<Buffer | undefined>
  /** Sent with the answers of packets, and when there is none. */
  header: string
  bodySizeMax: number
  log: Logger
}

/** In the HTTP 500 that stands for no true answer. */
export const OUTCOME_UNKNOWN = 'the outcome of this packet is not known'

const HEAD_SIZE_MAX = 8 * 1024
const HEAD_END = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)
/** What a client has sent ahead while its packet was under way; more is not read before that is answered. */
const AHEAD_SIZE_MAX = 64 * 1024
/** More are put together: a byte that comes alone takes a hundred others. */
const PIECES_MAX = 64
const TICK_MS = 1_000
const ticks = (milliseconds: number) => Math.ceil(milliseconds / TICK_MS)

interface Connection {
  socket: Socket
  isUnderWay: boolean
  /** Ends when nothing has happened by then. */
  lastTick: number
}

interface KnownHead extends PacketHead {
  bytes: Buffer
  tokenHash: string
}

/**
 * Packets of known peers, read from the socket and answered on it without node:http, whose share of a forwarded packet was the largest
 * (ADR 12). One packet at a time on a connection. Whatever is not plainly that, health checks and strangers among it, is left to
 * node:http with all its bytes, and the connection with it.
 */
export function createPacketConnections(options: PacketConnectionsOptions): DirectConnections {
  const connections = new Set<Connection>()
  let tick = 0
  let date = new Date().toUTCString()
  let isEnding = false
  const sweep = setInterval(() => {
    tick++
    date = new Date().toUTCString()
    for (const { socket, lastTick } of connections) if (lastTick < tick) socket.destroy()
  }, TICK_MS)
  sweep.unref()

  const message = (status: string, fields: string, body: Buffer): Buffer => {
    const persistence = isEnding ? 'close' : `keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}`
    const head = `HTTP/1.1 ${status}\r\n${fields}\r\nContent-Length: ${body.length}\r\nDate: ${date}\r\nConnection: ${persistence}\r\n\r\n`
    const bytes = Buffer.allocUnsafe(head.length + body.length)
    bytes.write(head, 'latin1')
    body.copy(bytes, head.length)
    return bytes
  }
  const serverError = (fields: string, words: string) =>
    message('500 Internal Server Error', fields, Buffer.from(words))
  const octets = `Content-Type: application/octet-stream\r\n${options.header}`
  const text = 'Content-Type: text/plain; charset=utf-8'

  const answerOf = async (peer: Peer, body: Buffer): Promise<Buffer> => {
    try {
      const answer = await options.answer(peer, body)
      if (answer) return message('200 OK', octets, answer)
      return serverError(`${text}\r\n${options.header}`, OUTCOME_UNKNOWN)
    } catch (error) {
      options.log.warn({ reason: messageOf(error) }, 'request failed')
      return serverError(text, 'Internal Server Error')
    }
  }

  return {
    receive(socket, leaveToNode) {
      const connection: Connection = { socket, isUnderWay: false, lastTick: tick + ticks(HEADERS_MS) }
      connections.add(connection)
      let unread: Buffer[] = []
      let unreadSize = 0
      /** There is nothing to do before so much has come. */
      let wantedSize = 0
      /** From a whole request until the socket has taken its answer. */
      let isAnswering = false
      let hasEnded = false
      // A client's heads are alike, but for lengths.
      let known: KnownHead | undefined

      const headOf = (bytes: Buffer): KnownHead | undefined => {
        if (known?.bytes.equals(bytes)) return known
        const head = parsePacketHead(bytes.toString('latin1'))
        known = head && {
          ...head,
          bytes: Buffer.from(bytes),
          tokenHash: head.token === known?.token ? known.tokenHash : hash('sha256', head.token, 'hex'),
        }
        return known
      }

      const keep = (bytes: Buffer) => {
        unread = bytes.length > 0 ? [bytes] : []
        unreadSize = bytes.length
      }

      const advance = (): void => {
        const [first = NOTHING] = unread
        const bytes = unread.length > 1 ? Buffer.concat(unread) : first
        const end = bytes.indexOf(HEAD_END)
        const head = end === -1 || end > HEAD_SIZE_MAX ? undefined : headOf(bytes.subarray(0, end))
        const peer = head && options.directory.findPeerByTokenHash(head.tokenHash)
        if (!head || !peer || head.contentLength > options.bodySizeMax) {
          leave(bytes)
          return
        }
        const start = end + HEAD_END.length
        wantedSize = start + head.contentLength
        connection.isUnderWay = true
        if (bytes.length < wantedSize) {
          // Nothing more will come.
          if (hasEnded) return void socket.end()
          keep(bytes)
          connection.lastTick = tick + ticks(BODY_MS)
          return
        }
        keep(bytes.subarray(wantedSize))
        connection.lastTick = Number.POSITIVE_INFINITY
        isAnswering = true
        void answerOf(peer, bytes.subarray(start, wantedSize)).then(answered)
      }

      const answered = (bytes: Buffer): void => {
        connection.isUnderWay = false
        wantedSize = 0
        connection.lastTick = tick + ticks(KEEP_ALIVE_MS)
        if (socket.destroyed) return void connections.delete(connection)
        const isTaken = socket.write(bytes)
        if (isEnding) finish()
        else if (isTaken) goOn()
        else {
          // Answers of a client that does not read them are not piled up.
          socket.pause()
          socket.once('drain', goOn)
        }
      }

      const goOn = (): void => {
        isAnswering = false
        if (hasEnded && unreadSize === 0) return void socket.end()
        socket.resume()
        if (unreadSize > 0) advance()
      }

      /** The answer has said that it is the last: packets after it are not taken, their sender takes them elsewhere (RFC 9112 §9.6). */
      const finish = (): void => {
        keep(NOTHING)
        socket.off('data', onData).resume()
        socket.end()
      }

      const onData = (bytes: Buffer): void => {
        unread.push(bytes)
        unreadSize += bytes.length
        if (isAnswering) {
          if (unreadSize > AHEAD_SIZE_MAX) socket.pause()
        } else if (unreadSize >= wantedSize) advance()
        if (unread.length > PIECES_MAX) keep(Buffer.concat(unread))
      }
      const onEnd = (): void => {
        hasEnded = true
        if (!isAnswering) socket.end()
      }
      // A packet goes on when its client has gone, and the node must not end before it.
      const onClose = (): void => {
        if (!isAnswering || !connection.isUnderWay) connections.delete(connection)
      }

      /** From here on node:http reads, as if nothing had been read before. */
      const leave = (bytes: Buffer): void => {
        // It would not see the end that has been.
        if (hasEnded) return void socket.end()
        connections.delete(connection)
        socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
        socket.unshift(bytes)
        leaveToNode()
      }

      socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    },
    get underWay() {
      let count = 0
      for (const connection of connections) if (isBusy(connection)) count++
      return count
    },
    announceEnd() {
      isEnding = true
    },
    closeIdle() {
      for (const connection of connections) if (!isBusy(connection)) connection.socket.destroy()
    },
    closeAll() {
      clearInterval(sweep)
      for (const { socket } of connections) socket.destroy()
    },
  }
}

const isBusy = ({ isUnderWay, socket }: Connection): boolean => isUnderWay || socket.writableLength > 0

/** The socket closes by itself. */
const onError = (): void => undefined
