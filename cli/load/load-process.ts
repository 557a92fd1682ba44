// The load generator, in a process of its own so that its CPU is told apart: a closed loop over raw sockets with requests that were
// written and signed beforehand. It reads no more of an answer than where it ends and whether it is the expected one.
import { connect, type Socket } from 'node:net'

export interface LoadOrder {
  port: number
  connections: number
  /** Whole requests, sent in turn. */
  requests: readonly Uint8Array[]
  /** Any other status is a failure. */
  expectedStatus: number
  warmUpMs: number
  measuredMs: number
}

export type LoadReport =
  | { kind: 'measuring' }
  | {
      kind: 'measured'
      answers: number
      elapsedMs: number
      p50Ms: number
      p99Ms: number
      failures: number
      /** The first answer that was not expected. */
      firstFailure?: string
    }
  | { kind: 'failed'; reason: string }

const HEADERS_END = Buffer.from('\r\n\r\n')
const SAMPLES_MAX = 1_000_000

const report = (message: LoadReport) => process.send?.(message)

/** Length of the first answer in `bytes` and its status; `undefined` while it is incomplete. Only answers with Content-Length. */
function firstAnswer(bytes: Buffer): { length: number; status: number } | undefined {
  const headersEnd = bytes.indexOf(HEADERS_END)
  if (headersEnd < 0) return undefined
  const headers = bytes.toString('latin1', 0, headersEnd)
  const [, contentLength] = /\r\ncontent-length: *(\d+)/i.exec(headers) ?? []
  if (contentLength === undefined) throw new Error(`an answer without Content-Length: ${headers}`)
  const length = headersEnd + HEADERS_END.length + Number(contentLength)
  return bytes.length < length ? undefined : { length, status: Number(headers.slice(9, 12)) }
}

interface State {
  measuring: boolean
  ended: boolean
  next: number
  samples: Float64Array
  answers: number
  failures: number
  firstFailure?: string
}

/** Sends, waits for the answer, sends the next, until the load ends. */
function drive(socket: Socket, order: LoadOrder, state: State, onError: (error: Error) => void): void {
  let received: Buffer = Buffer.alloc(0)
  let sentAt = 0
  const send = () => {
    sentAt = performance.now()
    socket.write(order.requests[state.next++ % order.requests.length] as Uint8Array)
  }
  const record = (answer: { length: number; status: number }) => {
    if (answer.status !== order.expectedStatus) {
      state.failures++
      state.firstFailure ??= received.subarray(0, answer.length).toString('utf8')
    } else if (state.measuring && state.answers < SAMPLES_MAX)
      state.samples[state.answers++] = performance.now() - sentAt
  }
  socket.on('error', onError)
  socket.on('close', () => {
    if (!state.ended) onError(new Error('the server closed a connection'))
  })
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const answer = firstAnswer(received)
    if (!answer) return
    record(answer)
    received = received.subarray(answer.length)
    if (state.ended) socket.end()
    else send()
  })
  send()
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const open = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: 'localhost', noDelay: true }, () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })

async function run(order: LoadOrder): Promise<void> {
  const state: State = {
    measuring: false,
    ended: false,
    next: 0,
    samples: new Float64Array(SAMPLES_MAX),
    answers: 0,
    failures: 0,
  }
  const sockets = await Promise.all(Array.from({ length: order.connections }, () => open(order.port)))
  const broken = new Promise<never>((_resolve, reject) => {
    for (const socket of sockets) drive(socket, order, state, reject)
  })
  broken.catch(() => undefined)
  await Promise.race([sleep(order.warmUpMs), broken])
  report({ kind: 'measuring' })
  state.measuring = true
  const startedAt = performance.now()
  await Promise.race([sleep(order.measuredMs), broken])
  state.measuring = false
  const elapsedMs = performance.now() - startedAt
  const sorted = state.samples.subarray(0, state.answers).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  report({
    kind: 'measured',
    answers: state.answers,
    elapsedMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failures: state.failures,
    ...(state.firstFailure !== undefined && { firstFailure: state.firstFailure }),
  })
  state.ended = true
}

process.on('message', (order: LoadOrder) => {
  run(order).catch((error: unknown) => report({ kind: 'failed', reason: String(error) }))
})
process.on('disconnect', () => process.exit(0))
