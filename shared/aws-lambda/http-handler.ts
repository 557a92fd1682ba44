import awsLambdaFastify from '@fastify/aws-lambda'
import type { ALBResult, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import type { FastifyInstance } from 'fastify'
import { withGatewayRequest } from '../platform/index.ts'
import { type HttpCall, type HttpEventKind, toHttpCall } from './http-event.ts'
import { createHandler, type Sandbox } from './invocation.ts'

export type HttpAnswer = APIGatewayProxyStructuredResultV2 | ALBResult

export type HttpHandler = (event: unknown, context: Context) => Promise<HttpAnswer>

/** An app that is open. */
export interface HttpSandbox extends Sandbox {
  app: FastifyInstance
}

interface LibraryAnswer {
  statusCode: number
  headers: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded: boolean
}

/** The event as the library takes it. The target is not in it: `withGatewayRequest` says what that is. */
const toLibraryEvent = (call: HttpCall) => ({
  ...(call.kind === 'httpApi' && { version: '2.0' }),
  httpMethod: call.method,
  path: '/',
  headers: call.headers,
  requestContext: { http: { method: call.method, sourceIp: call.source } },
  body: call.body,
  isBase64Encoded: call.isBase64,
  cookies: call.cookies,
})

/** A load balancer that sends lists of values wants lists, of all headers. */
function toMultiValue(answer: LibraryAnswer): ALBResult {
  const { headers, multiValueHeaders, statusCode, body, isBase64Encoded } = answer
  const single = Object.entries(headers).map(([name, value]): [string, string[]] => [name, [value]])
  return {
    statusCode,
    multiValueHeaders: { ...Object.fromEntries(single), ...multiValueHeaders },
    body,
    isBase64Encoded,
  }
}

/**
 * A Fastify app as a function of Lambda, behind the kinds of gateway that are named. Scheme, host, path, query and source address
 * are the gateway's word and never the client's: signatures cover them and limits count by them.
 */
export function createHttpHandler(
  open: () => Promise<HttpSandbox>,
  options: { events: readonly HttpEventKind[]; opensLater?: boolean },
): HttpHandler {
  const openApp = async () => {
    const { app, invocation } = await open()
    const answer = awsLambdaFastify(app, { decorateRequest: false })
    await app.ready()
    return { answer, invocation }
  }
  return createHandler(
    openApp,
    async ({ answer }, event: unknown, context) => {
      const call = toHttpCall(event, options.events)
      const answered = (await withGatewayRequest(call.gateway, () =>
        answer(toLibraryEvent(call), context),
      )) as unknown as LibraryAnswer
      return call.hasMultiValueHeaders ? toMultiValue(answered) : answered
    },
    options,
  )
}
