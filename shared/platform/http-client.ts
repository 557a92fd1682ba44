import type { Agent, Dispatcher } from 'undici'
import { Fault, messageOf } from './errors.ts'

export interface HttpRequest {
  method: 'GET' | 'POST' | 'DELETE' | 'PATCH' | 'PUT'
  url: string
  headers?: Record<string, string>
  body?: string | Buffer
  /** Of the whole exchange, body included. */
  timeoutMs: number
  /** Bytes; more is a fault. Default 1 MiB. */
  responseSizeMax?: number
  /** Default 0. Only for unsigned GETs; each hop is checked again. */
  redirectsMax?: number
  signal?: AbortSignal
}

export interface HttpResponse {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/**
 * Outbound HTTP. Any status is an answer; no answer is a {@link Fault} with one of the codes `egress_denied` (not retryable),
 * `request_timeout`, `connection_failed` (of which {@link wasSent} tells more), `response_too_large` (not retryable),
 * `too_many_redirects` (not retryable).
 */
export interface HttpClient {
  request(input: HttpRequest): Promise<HttpResponse>
  /** The URL that will really be fetched (EGRESS_ALLOW_HTTP may turn https into http): sign this one. */
  effectiveUrl(url: string): string
  close(): Promise<void>
}

/** A client with connections of its own. */
export interface OpenHttpClient extends HttpClient {
  /** Sends nothing any more over the connections that there are; what is under way on them ends. */
  renew(): void
}

const RESPONSE_SIZE_MAX = 1024 * 1024

/** Whether a request that got no answer was begun to be sent, so that the other side may have acted on it. */
export const wasSent = (error: unknown): boolean => error instanceof Fault && error.details.wasSent === true

/** undici's errors as ours. A refusal of the guarded client comes as the error, or as its cause. */
function toFault(error: unknown, input: HttpRequest, isBegun: boolean): Fault {
  if (error instanceof Fault) return error
  if (error instanceof Error && error.cause instanceof Fault) return error.cause
  return new Fault('connection_failed', {
    retryable: true,
    message: `${hostOf(input)}: ${messageOf(error)}`,
    cause: error,
    details: { wasSent: isBegun },
  })
}

const hostOf = ({ url }: HttpRequest): string => (URL.canParse(url) ? new URL(url).host : 'an invalid URL')

/**
 * One request and its answer, read up to the limit. By undici's handler interface, because streams and abort signals cost more than the
 * exchange of a short message does. Shared by the trusted and the guarded client. Throws as {@link HttpClient} says.
 */
export function exchange(dispatcher: Agent, input: HttpRequest): Promise<HttpResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpResponse>()
  const sizeMax = input.responseSizeMax ?? RESPONSE_SIZE_MAX
  const { signal, timeoutMs } = input
  let request: Dispatcher.DispatchController | undefined
  let isOver = false
  let answer: Pick<HttpResponse, 'status' | 'headers'> | undefined
  const chunks: Buffer[] = []
  let size = 0

  const end = (): void => {
    isOver = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
  /** Nobody waits any longer than this, not even for a connection that is still being made: what is sent on it then is given up at once. */
  const giveUp = (fault: Fault): void => {
    if (isOver) return
    end()
    reject(fault)
    request?.abort(fault)
  }
  const onAbort = () => giveUp(toFault(signal?.reason, input, request !== undefined))
  const timer = setTimeout(() => {
    const message = `no answer from ${hostOf(input)} within ${timeoutMs} ms`
    giveUp(new Fault('request_timeout', { retryable: true, message }))
  }, timeoutMs)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  if (isOver) return promise

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(controller) {
      request = controller
      if (isOver) controller.abort(new Error('nobody waits for it any more'))
    },
    onResponseStart(_controller, status, headers) {
      // Those before are about the way.
      if (status >= 200) answer = { status, headers }
    },
    onResponseData(_controller, chunk) {
      size += chunk.length
      if (size <= sizeMax) chunks.push(chunk)
      else
        giveUp(
          new Fault('response_too_large', {
            retryable: false,
            message: `more than ${sizeMax} bytes from ${hostOf(input)}`,
          }),
        )
    },
    onResponseEnd() {
      if (isOver || !answer) return
      end()
      resolve({ ...answer, body: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) })
    },
    onResponseError(_controller, error) {
      if (isOver) return
      end()
      reject(toFault(error, input, request !== undefined))
    },
  }
  try {
    const { origin, pathname, search } = new URL(input.url)
    dispatcher.dispatch(
      {
        origin,
        path: pathname + search,
        method: input.method,
        ...(input.headers && { headers: input.headers }),
        ...(input.body !== undefined && { body: input.body }),
      },
      handler,
    )
  } catch (error) {
    giveUp(toFault(error, input, false))
  }
  return promise
}

export interface LazyAgent {
  get(): Promise<Agent>
  /** Another one from now on; that of before ends when it has nothing to do. */
  renew(): void
  /** Ends what was opened, and opens nothing any more. */
  end(close: (agent: Agent) => Promise<void>): Promise<void>
}

/** The library is loaded by the first request: it is large, and much is answered without asking anybody. */
export function createLazyAgent(create: (library: typeof import('undici')) => Agent): LazyAgent {
  let opening: Promise<Agent> | undefined
  let isEnded = false
  const open = async () => create(await import('undici'))
  return {
    async get() {
      if (isEnded && opening === undefined)
        throw new Fault('connection_failed', { retryable: true, message: 'the client is closed' })
      opening ??= open()
      return await opening
    },
    renew() {
      const former = opening
      opening = undefined
      // Whatever its connections say at their end, nobody waits for it.
      former?.then((agent) => agent.close()).catch(() => undefined)
    },
    async end(close) {
      isEnded = true
      if (opening) await close(await opening)
    },
  }
}

/** For URLs from the environment and the operator: webhooks, rates, auth, own peers. No address rule, no redirects. */
export function createTrustedHttp(options: { connectionsPerHost?: number } = {}): OpenHttpClient {
  const agent = createLazyAgent(
    ({ Agent }) =>
      new Agent({
        connections: options.connectionsPerHost ?? 64,
        keepAliveTimeout: 30_000,
        // Bundles have nothing that speaks it.
        allowH2: false,
      }),
  )
  return {
    request: async (input) => exchange(await agent.get(), input),
    effectiveUrl: (url) => url,
    renew: agent.renew,
    close: () => agent.end((opened) => opened.close()),
  }
}
