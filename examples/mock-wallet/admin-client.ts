import { createTrustedHttp, type HttpResponse, signHmac } from '../../shared/platform/index.ts'

export interface AdminClient {
  /** Sends one signed operation and returns its `data`. Throws {@link AdminApiError}, or a Fault when nobody answers. */
  graphql<T>(query: string, variables?: Record<string, unknown>): Promise<T>
}

/** The Admin API refused. `code` is one of its documented codes, `reason` the finer and stable one where there is one. */
export class AdminApiError extends Error {
  readonly code: string
  readonly reason: string | undefined
  /** The API says so where its code would not. */
  readonly isRetryable: boolean

  constructor(message: string, code: string, input: { reason?: string; retryable?: boolean } = {}) {
    super(message)
    this.name = 'AdminApiError'
    this.code = code
    this.reason = input.reason
    this.isRetryable = input.retryable === true
  }

  /** Asking again later will not help. */
  get isFinal(): boolean {
    return FINAL_CODES.has(this.code) && !this.isRetryable && this.reason !== 'idempotency_in_progress'
  }
}

const FINAL_CODES = new Set(['BAD_USER_INPUT', 'CONFLICT', 'DUPLICATE', 'FORBIDDEN', 'INACTIVE', 'NOT_FOUND'])
const TIMEOUT_MS = 60_000
/** One pool of connections for all clients; idle ones hold up no process. */
const http = createTrustedHttp()

interface GraphqlAnswer<T> {
  data?: T | null
  errors?: { message: string; extensions?: { code?: string; reason?: string; retryable?: boolean } }[]
}

/**
 * A client of the Admin API. Every request is signed: HMAC-SHA256 over the time in milliseconds, a dot, and the canonical form
 * (RFC 8785) of the whole body. A signature is good for one mutation, so each request gets its own.
 */
export function createAdminClient(options: { url: string; tenantId: string; secret: string }): AdminClient {
  let lastMs = 0
  // Two equal mutations in one millisecond would carry equal signatures, and the second would pass for a replay of the first.
  const timestamp = () => {
    lastMs = Math.max(Date.now(), lastMs + 1)
    return lastMs
  }
  return {
    async graphql<T>(query: string, variables: Record<string, unknown> = {}) {
      const body = { query, variables }
      const response = await http.request({
        method: 'POST',
        url: options.url,
        headers: {
          'content-type': 'application/json',
          'tenant-id': options.tenantId,
          signature: signHmac({ secret: options.secret, version: 1, timestampMs: timestamp(), body }),
        },
        body: JSON.stringify(body),
        timeoutMs: TIMEOUT_MS,
      })
      return readAnswer<T>(response)
    },
  }
}

function readAnswer<T>(response: HttpResponse): T {
  const text = response.body.toString()
  let answer: GraphqlAnswer<T>
  try {
    answer = JSON.parse(text) as GraphqlAnswer<T>
  } catch {
    throw new AdminApiError(
      `the Admin API answered ${response.status}: ${text.slice(0, 200)}`,
      `HTTP_${response.status}`,
    )
  }
  const first = answer.errors?.[0]
  if (first)
    throw new AdminApiError(
      first.message,
      first.extensions?.code ?? 'INTERNAL_SERVER_ERROR',
      first.extensions,
    )
  if (!answer.data)
    throw new AdminApiError(
      `the Admin API answered ${response.status} without data`,
      `HTTP_${response.status}`,
    )
  return answer.data
}
