import { randomUUID } from 'node:crypto'
import type { ALBEvent, APIGatewayProxyEventV2 } from 'aws-lambda'
import { ACCOUNT_ID, REGION } from './invoke.ts'

export interface HttpRequest {
  method: string
  /** As it stands in the request line. */
  target: string
  /** Names and values by turns, in the order of arrival. */
  rawHeaders: readonly string[]
  body: Buffer
  sourceIp: string
  /** What the client called, as the proxy in front knows it. */
  publicUrl: URL
}

export interface HttpAnswer {
  status: number
  headers: [name: string, value: string][]
  body: Buffer
}

const TEXT = /^(?:text\/|application\/(?:[a-z0-9.-]+\+)?(?:json|xml|javascript)\b)/i

function headersOf({ rawHeaders, publicUrl, sourceIp }: HttpRequest): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[index + 1] ?? ''])
  }
  for (const name of ['connection', 'keep-alive', 'transfer-encoding']) headers.delete(name)
  headers.set('host', [publicUrl.host])
  headers.set('x-forwarded-for', [...(headers.get('x-forwarded-for') ?? []), sourceIp])
  headers.set('x-forwarded-proto', [publicUrl.protocol.slice(0, -1)])
  headers.set('x-forwarded-port', [publicUrl.port || (publicUrl.protocol === 'https:' ? '443' : '80')])
  return headers
}

function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?')
  return mark < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** Text goes as it is, anything else as base64: by the content type alone, for the gateway does not look inside. */
function bodyOf(body: Buffer, headers: Map<string, string[]>): { body?: string; isBase64Encoded: boolean } {
  if (body.length === 0) return { isBase64Encoded: false }
  const text = TEXT.test(headers.get('content-type')?.[0] ?? '') && !headers.has('content-encoding')
  return { body: body.toString(text ? 'utf8' : 'base64'), isBase64Encoded: !text }
}

/** What an HTTP API sends to a function (payload format 2.0). */
export function toHttpApiEvent(request: HttpRequest): APIGatewayProxyEventV2 {
  const headers = headersOf(request)
  const { path, query } = splitTarget(request.target)
  const cookies = (headers.get('cookie') ?? []).flatMap((line) => line.split(/; ?/)).filter(Boolean)
  headers.delete('cookie')
  const parameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(query))
    parameters[name] = name in parameters ? `${parameters[name]},${value}` : value
  const now = new Date()
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    ...(cookies.length > 0 && { cookies }),
    headers: Object.fromEntries([...headers].map(([name, values]) => [name, values.join(',')])),
    ...(query && { queryStringParameters: parameters }),
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId: 'simulated',
      domainName: request.publicUrl.host,
      domainPrefix: request.publicUrl.hostname.split('.')[0] ?? '',
      http: {
        method: request.method,
        path,
        protocol: 'HTTP/1.1',
        sourceIp: request.sourceIp,
        userAgent: headers.get('user-agent')?.[0] ?? '',
      },
      requestId: randomUUID(),
      routeKey: '$default',
      stage: '$default',
      time: now.toUTCString(),
      timeEpoch: now.getTime(),
    },
    ...bodyOf(request.body, headers),
  }
}

/** What a load balancer sends to a function whose target group has multi-value headers. Queries stay encoded. */
export function toAlbEvent(request: HttpRequest): ALBEvent {
  const headers = headersOf(request)
  const { path, query } = splitTarget(request.target)
  const parameters: Record<string, string[]> = {}
  for (const part of query.split('&').filter(Boolean)) {
    const mark = part.indexOf('=')
    const name = mark < 0 ? part : part.slice(0, mark)
    parameters[name] = [...(parameters[name] ?? []), mark < 0 ? '' : part.slice(mark + 1)]
  }
  const { body = '', isBase64Encoded } = bodyOf(request.body, headers)
  return {
    requestContext: {
      elb: {
        targetGroupArn: `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT_ID}:targetgroup/simulated/0000000000000000`,
      },
    },
    httpMethod: request.method,
    path,
    multiValueHeaders: Object.fromEntries(headers),
    multiValueQueryStringParameters: parameters,
    body,
    isBase64Encoded,
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const listOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]).map(String)

function headersOfAnswer(answer: Record<string, unknown>): [string, string][] {
  const several = isRecord(answer.multiValueHeaders) ? answer.multiValueHeaders : {}
  const single = isRecord(answer.headers) ? answer.headers : {}
  const names = new Set(Object.keys(several).map((name) => name.toLowerCase()))
  return [
    ...Object.entries(several),
    ...Object.entries(single).filter(([name]) => !names.has(name.toLowerCase())),
    ['set-cookie', answer.cookies],
  ].flatMap(([name, value]) => listOf(value).map((text): [string, string] => [String(name), text]))
}

/** What the client gets for what the function answered; undefined for what is no answer to a request. */
export function toHttpAnswer(answer: unknown): HttpAnswer | undefined {
  if (!isRecord(answer)) return undefined
  const { statusCode, body, isBase64Encoded } = answer
  if (typeof statusCode !== 'number' || !Number.isInteger(statusCode)) return undefined
  if (body !== undefined && body !== null && typeof body !== 'string') return undefined
  return {
    status: statusCode,
    headers: headersOfAnswer(answer),
    body: Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'),
  }
}
