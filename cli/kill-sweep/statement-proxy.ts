import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'

/** Before the statement: the server never sees it. After it: it was carried out, and its answer is not heard. */
export type Moment = 'before' | 'after'

/** Counts the statements of a process, over all of its databases, and stops it at one of them. */
export interface StatementCounter {
  readonly count: number
  /** Nothing passes while it is closed. */
  readonly isClosed: boolean
  /** At the statement with this number, counted from now, it closes and `reached` runs. */
  stopAt(statement: number, moment: Moment, reached: (text: string) => void): void
  /** Lets everything pass, and counts anew. */
  open(): void
  /** For proxies: another statement. Says on which side of it to close, if this is the one. */
  add(text: string): Moment | undefined
  /** For proxies. */
  close(): void
}

export interface StatementProxy {
  connectionString: string
  close(): Promise<void>
}

interface Message {
  /** Absent: the first message of a client. */
  type?: string
  bytes: Buffer
}

/** Cuts what one side sends into the messages of PostgreSQL's protocol: a type but for a client's first, then a length. */
function createCutter(beginsUntyped: boolean): (chunk: Buffer) => Message[] {
  let rest: Buffer = Buffer.alloc(0)
  let isFirst = beginsUntyped
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const messages: Message[] = []
    for (;;) {
      const head = isFirst ? 0 : 1
      if (rest.length < head + 4) return messages
      const length = head + rest.readUInt32BE(head)
      if (rest.length < length) return messages
      const bytes = rest.subarray(0, length)
      messages.push(isFirst ? { bytes } : { type: String.fromCharCode(bytes[0] ?? 0), bytes })
      isFirst = false
      rest = rest.subarray(length)
    }
  }
}

const textAt = (bytes: Buffer, from: number): [text: string, next: number] => {
  const end = bytes.indexOf(0, from)
  return [bytes.toString('utf8', from, end), end + 1]
}

/** What the statement that a client's messages lead up to says; texts of prepared ones are remembered by connection. */
function createReader(): (message: Message) => string | undefined {
  const texts = new Map<string, string>()
  let current = ''
  return ({ type, bytes }) => {
    if (type === 'Q') return textAt(bytes, 5)[0]
    if (type === 'P') {
      const [name, next] = textAt(bytes, 5)
      texts.set(name, textAt(bytes, next)[0])
    }
    if (type === 'B') current = texts.get(textAt(bytes, textAt(bytes, 5)[1])[0]) ?? ''
    return type === 'S' ? current : undefined
  }
}

/** Messages that lead up to a statement: kept until it is complete, so that none is carried out by halves. */
const PARTS = new Set(['P', 'B', 'D', 'E', 'C'])
const READY = 'Z'

export function createStatementCounter(): StatementCounter {
  let count = 0
  let isClosed = false
  let stop: { statement: number; moment: Moment; reached: (text: string) => void } | undefined
  let stoppedAt = ''
  return {
    get count() {
      return count
    },
    get isClosed() {
      return isClosed
    },
    stopAt(statement, moment, reached) {
      count = 0
      stop = { statement, moment, reached }
    },
    open() {
      count = 0
      isClosed = false
      stop = undefined
    },
    add(text) {
      count++
      if (count !== stop?.statement) return undefined
      stoppedAt = text
      return stop.moment
    },
    close() {
      isClosed = true
      stop?.reached(stoppedAt)
    },
  }
}

/** Stands between a process and one of its databases. */
export async function startStatementProxy(
  connectionString: string,
  counter: StatementCounter,
): Promise<StatementProxy> {
  const target = new pg.Client(connectionString)
  const to = target.host.startsWith('/')
    ? { path: `${target.host}/.s.PGSQL.${target.port}` }
    : { host: target.host, port: target.port }
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(to)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    serve(client, upstream, counter)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('a listening server has an address')
  const user = `${target.user ?? ''}:${encodeURIComponent(target.password ?? '')}`
  return {
    connectionString: `postgresql://${user}@127.0.0.1:${address.port}/${target.database ?? ''}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function serve(client: Socket, upstream: Socket, counter: StatementCounter): void {
  const cutRequests = createCutter(true)
  const cutAnswers = createCutter(false)
  const read = createReader()
  let parts: Buffer[] = []
  let stopsAfterAnswer = false
  client.on('data', (chunk: Buffer) => {
    for (const message of cutRequests(chunk)) {
      if (counter.isClosed) return
      const text = read(message)
      parts.push(message.bytes)
      if (message.type !== undefined && PARTS.has(message.type)) continue
      const moment = text === undefined ? undefined : counter.add(text)
      if (moment === 'before') {
        counter.close()
        return
      }
      stopsAfterAnswer ||= moment === 'after'
      upstream.write(Buffer.concat(parts))
      parts = []
    }
  })
  upstream.on('data', (chunk: Buffer) => {
    if (counter.isClosed) return
    if (!stopsAfterAnswer) {
      client.write(chunk)
      return
    }
    if (cutAnswers(chunk).some(({ type }) => type === READY)) counter.close()
  })
}
