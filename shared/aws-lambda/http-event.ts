import type { ALBEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import type { GatewayRequest } from '../platform/index.ts'
import { EventRefused } from './errors.ts'

/** Events of an HTTP API or a function URL (payload format 2.0). */
export type HttpApiEvent = APIGatewayProxyEventV2
export type LoadBalancerEvent = ALBEvent

export type HttpEventKind = 'httpApi' | 'loadBalancer'

/** An event as the app is to see it. */
export interface HttpCall {
  kind: HttpEventKind
  method: string
  gateway: GatewayRequest
  /** Several values where a name came several times. */
  headers: Record<string, string | string[]>
  source?: string
  body?: string
  isBase64: boolean
  cookies?: string[]
  /** The load balancer takes answers in the form of its requests. */
  hasMultiValueHeaders: boolean
}

/**
 * What a proxy says about its client. Each gateway says it in the event, and passes on under these names what the client
 * wrote or made up.
 */
const FORWARDED = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/

/** Characters that no client leaves unescaped in a path: where they are, the gateway has decoded them. */
const DECODED = /%(?![0-9a-f]{2})|[^\x21-\x7e]|["#<>?^`{}]/giu

/** Paths come as they were sent, or decoded by the gateway; what a URL cannot hold is escaped again, as every client does. */
export const toSentPath = (path: string): string =>
  path.replace(DECODED, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  )

const withQuery = (path: string, query: string) => (query === '' ? path : `${path}?${query}`)

function headersWithoutForwarded(headers: Readonly<Record<string, string | string[] | undefined>>) {
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (value !== undefined && !FORWARDED.test(lower)) kept[lower] = value
  }
  return kept
}

function callOfHttpApi(event: HttpApiEvent): HttpCall {
  const { http, domainName, requestId } = event.requestContext
  const headers = headersWithoutForwarded(event.headers)
  // Two of them are refused as two lines of them are over a socket; one says no more than the name that the gateway was called by.
  headers.host =
    typeof headers.host === 'string' && headers.host.includes(',') ? headers.host.split(',') : domainName
  return {
    kind: 'httpApi',
    method: http.method,
    gateway: {
      target: withQuery(toSentPath(event.rawPath), event.rawQueryString),
      isTls: true,
      id: requestId,
    },
    headers,
    source: http.sourceIp,
    ...(event.body !== undefined && { body: event.body }),
    isBase64: event.isBase64Encoded,
    ...(event.cookies && { cookies: event.cookies }),
    hasMultiValueHeaders: false,
  }
}

/** A load balancer leaves names and values of a query as they were sent. */
function queryOfLoadBalancer(event: LoadBalancerEvent): string {
  const several = event.multiValueQueryStringParameters
  const pairs = several
    ? Object.entries(several).flatMap(([name, values]) => (values ?? []).map((value) => [name, value]))
    : Object.entries(event.queryStringParameters ?? {})
  return pairs.map(([name, value = '']) => `${name}=${value}`).join('&')
}

function callOfLoadBalancer(event: LoadBalancerEvent): HttpCall {
  const several = event.multiValueHeaders
  const sent: Record<string, string | string[] | undefined> = several
    ? Object.fromEntries(
        Object.entries(several).map(([name, values]) => [name, values?.length === 1 ? values[0] : values]),
      )
    : { ...event.headers }
  const lastOf = (name: string) => {
    const [, value] = Object.entries(sent).find(([key]) => key.toLowerCase() === name) ?? []
    return String(value ?? '')
      .split(',')
      .at(-1)
      ?.trim()
  }
  const source = lastOf('x-forwarded-for')
  return {
    kind: 'loadBalancer',
    method: event.httpMethod,
    gateway: {
      target: withQuery(event.path, queryOfLoadBalancer(event)),
      isTls: lastOf('x-forwarded-proto') === 'https',
    },
    headers: headersWithoutForwarded(sent),
    ...(source && { source }),
    ...(event.body && { body: event.body }),
    isBase64: event.isBase64Encoded,
    hasMultiValueHeaders: several !== undefined,
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** Throws {@link EventRefused} for what is no request over HTTP of a kind that `kinds` names. */
export function toHttpCall(event: unknown, kinds: readonly HttpEventKind[]): HttpCall {
  const context = isObject(event) && isObject(event.requestContext) ? event.requestContext : {}
  if (isObject(context.elb) && kinds.includes('loadBalancer'))
    return callOfLoadBalancer(event as LoadBalancerEvent)
  const isHttpApi = isObject(event) && event.version === '2.0' && isObject(context.http)
  if (isHttpApi && typeof context.domainName === 'string' && kinds.includes('httpApi'))
    return callOfHttpApi(event as unknown as HttpApiEvent)
  throw new EventRefused(`the event is none of ${kinds.join(', ')}`)
}
