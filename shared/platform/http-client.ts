import { Agent, request } from 'undici'
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
 * `request_timeout`, `connection_failed`, `response_too_large` (not retryable), `too_many_redirects` (not retryable).
 */
export interface HttpClient {
  request(input: HttpRequest): Promise<HttpResponse>
  /** The URL that will really be fetched (EGRESS_ALLOW_HTTP may turn https into http): sign this one. */
  effectiveUrl(url: string): string
  close(): Promise<void>
}

const RESPONSE_SIZE_MAX = 1024 * 1024

/** undici notices an abort only once it is connected; a name or a host that does not answer must not hold the caller that long. */
async function unlessAborted<T>(pending: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  // Whoever loses the race may still reject, and nobody listens any more.
  pending.catch(() => undefined)
  aborted.catch(() => undefined)
  try {
    return await Promise.race([pending, aborted])
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}

/** Aborts after `timeoutMs`, or with the caller's signal. Unlike AbortSignal.timeout it leaves nothing behind that fires after the answer. */
function deadlineOf({ timeoutMs, signal: given }: HttpRequest) {
  const controller = new AbortController()
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    controller.abort(new DOMException('the request took too long', 'TimeoutError'))
  }, timeoutMs)
  const onAbort = () => controller.abort(given?.reason)
  if (given?.aborted) onAbort()
  else given?.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    isTimedOut: () => timedOut,
    release() {
      clearTimeout(timer)
      given?.removeEventListener('abort', onAbort)
    },
  }
}

/** Reads the body up to the limit and turns undici's errors into faults. Shared by the trusted and the guarded client. */
export async function exchange(dispatcher: Agent, input: HttpRequest): Promise<HttpResponse> {
  const sizeMax = input.responseSizeMax ?? RESPONSE_SIZE_MAX
  const { signal, isTimedOut, release } = deadlineOf(input)
  try {
    const pending = request(input.url, {
      dispatcher,
      method: input.method,
      signal,
      ...(input.headers && { headers: input.headers }),
      ...(input.body !== undefined && { body: input.body }),
    })
    const response = await unlessAborted(pending, signal)
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response.body) {
      size += (chunk as Buffer).length
      if (size > sizeMax) {
        response.body.destroy()
        throw new Fault('response_too_large', {
          retryable: false,
          message: `more than ${sizeMax} bytes from ${new URL(input.url).host}`,
        })
      }
      chunks.push(chunk as Buffer)
    }
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
  } catch (error) {
    if (error instanceof Fault) throw error
    const host = URL.canParse(input.url) ? new URL(input.url).host : 'an invalid URL'
    if (isTimedOut())
      throw new Fault('request_timeout', {
        retryable: true,
        message: `no answer from ${host} within ${input.timeoutMs} ms`,
        cause: error,
      })
    if (error instanceof Error && error.cause instanceof Fault) throw error.cause
    throw new Fault('connection_failed', {
      retryable: true,
      message: `${host}: ${messageOf(error)}`,
      cause: error,
    })
  } finally {
    release()
  }
}

/** For URLs from the environment and the operator: webhooks, rates, auth, own peers. No address rule, no redirects. */
export function createTrustedHttp(options: { connectionsPerHost?: number } = {}): HttpClient {
  const agent = new Agent({ connections: options.connectionsPerHost ?? 64, keepAliveTimeout: 30_000 })
  return {
    request: (input) => exchange(agent, input),
    effectiveUrl: (url) => url,
    close: () => agent.close(),
  }
}
