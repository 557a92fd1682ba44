import {
  currentLogContext,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  REQUEST_ID_HEADER,
} from '../platform/index.ts'
import type { Telemetry } from './model.ts'
import { outcomeOf } from './timed.ts'

/**
 * Times what goes out, and puts it into a span with the host that it went to. `trusted` requests go to parts of this node, its
 * wallets and services that its operator named: they carry the trace and the request's id along. Strangers learn nothing of either.
 */
export function observeHttpClient(
  telemetry: Telemetry,
  client: HttpClient,
  name: 'trusted' | 'guarded',
): HttpClient {
  const times = telemetry.instruments.histogram('upesi_http_client_ms')
  const measured = async (asked: HttpRequest): Promise<HttpResponse> => {
    const requestId = name === 'trusted' ? currentLogContext().requestId : undefined
    const input =
      requestId === undefined
        ? asked
        : { ...asked, headers: { [REQUEST_ID_HEADER]: requestId, ...asked.headers } }
    const startedAt = performance.now()
    let outcome = 'error'
    try {
      const response = await client.request(input)
      outcome = `${Math.floor(response.status / 100)}xx`
      return response
    } catch (error) {
      outcome = outcomeOf(error)
      throw error
    } finally {
      times.record(performance.now() - startedAt, { client: name, outcome })
    }
  }
  if (!telemetry.traces) return { ...client, request: measured }
  const { tracing } = telemetry
  const request = (input: HttpRequest): Promise<HttpResponse> => {
    // Outside of any work there is nothing to belong to.
    if (tracing.carried() === undefined) return measured(input)
    const host = URL.canParse(input.url) ? new URL(input.url).host : ''
    return tracing.span(
      input.method,
      { kind: 'client', attributes: { 'http.request.method': input.method, 'server.address': host } },
      () => {
        const carried = name === 'trusted' ? tracing.carried() : undefined
        return measured(
          carried === undefined ? input : { ...input, headers: { ...input.headers, ...carried } },
        )
      },
    )
  }
  return { ...client, request }
}
