import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  ConnectorRefusal,
  type ConnectorRefusalCode,
  parseProbeInput,
  parseRateInput,
  parseRpcRequest,
  parseSendInput,
  parseSettleInput,
  RPC_SIGNATURE_HEADER,
  RPC_SIGNATURE_VERSION,
  RPC_SIGNATURE_WINDOW_MS,
  type RpcRequest,
  toWireProbeResult,
  toWireRate,
  toWireSendResult,
  toWireSettleResult,
} from '../../shared/connector-client/index.ts'
import { type Ledger, serveLedgerCall } from '../../shared/ledger/index.ts'
import {
  type Clock,
  Fault,
  type Logger,
  parseHmacSignature,
  Refusal,
  verifyHmacDigest,
} from '../../shared/platform/index.ts'
import { PROMETHEUS_CONTENT_TYPE, type Telemetry, toPrometheus } from '../../shared/telemetry/index.ts'
import { answerHealth, createDrainingServer, type DrainingServer, readBody, text } from '../http/index.ts'
import { type Rates, RatesRefusal } from '../rates/index.ts'
import type { ObserveCall } from './observe-calls.ts'
import { type ProbeContext, probe, ratesUnavailable } from './probe.ts'
import type { Sessions } from './sessions.ts'

export interface RpcServerOptions extends ProbeContext {
  /** For functions, which hold no session with it. */
  ledger: Ledger
  sessions: Pick<Sessions, 'send' | 'settle'>
  rates: Rates
  telemetry: Telemetry
  observeCall: ObserveCall
  clock: Clock
  log: Logger
  /** See `connectorRpcSecrets`. */
  secrets: readonly string[]
  ready: () => Promise<void>
}

/** A full call of ledger events has some 400 bytes for each. */
const BODY_SIZE_MAX = 1024 * 1024

interface Answer {
  status: number
  body: Record<string, unknown>
}

/** The functions' way in: signed JSON over HTTP on a private port. Also answers health checks and `/metrics`. */
export const createRpcServer = (options: RpcServerOptions): DrainingServer =>
  createDrainingServer({ log: options.log }, async (request, response) => {
    if (request.method === 'GET') return await answerGet(options, request.url ?? '', response)
    if (request.method !== 'POST') return text(response, 405, 'Method Not Allowed')
    const { status, body } = await answer(options, request)
    const bytes = Buffer.from(JSON.stringify(body))
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length })
    response.end(bytes)
  })

async function answerGet(options: RpcServerOptions, path: string, response: ServerResponse): Promise<void> {
  if (await answerHealth(options, path, response)) return
  if (path !== '/metrics') return text(response, 404, 'Not Found')
  const metrics = Buffer.from(toPrometheus(await options.telemetry.instruments.collect()))
  response.writeHead(200, { 'Content-Type': PROMETHEUS_CONTENT_TYPE, 'Content-Length': metrics.length })
  response.end(metrics)
}

const failure = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message } },
})

async function answer(options: RpcServerOptions, request: IncomingMessage): Promise<Answer> {
  const raw = await readBody(request, BODY_SIZE_MAX)
  if (!raw) return failure(413, 'invalid_request', 'the request is too large')
  const body = parseJson(raw)
  if (body === undefined) return failure(400, 'invalid_request', 'the request is not JSON')
  if (!isSigned(options, request.headers[RPC_SIGNATURE_HEADER], body))
    return failure(401, 'unauthorized', 'the signature is missing, wrong or out of its time window')
  try {
    const call = parseRpcRequest(body)
    const { headers } = request
    const result = await options.observeCall({ ...call, headers }, () => dispatch(options, call))
    return { status: 200, body: { result } }
  } catch (error) {
    return toAnswer(options, error)
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

/** A repeat within the window is harmless, since every call may be repeated: it is not remembered. */
function isSigned(options: RpcServerOptions, header: unknown, body: unknown): boolean {
  const signature = parseHmacSignature(header)
  return (
    signature !== undefined &&
    signature.version === RPC_SIGNATURE_VERSION &&
    Math.abs(options.clock.nowMs() - signature.timestampMs) <= RPC_SIGNATURE_WINDOW_MS &&
    options.secrets.some((secret) => verifyHmacDigest(signature, { secret, body }))
  )
}

async function dispatch(options: RpcServerOptions, { method, params }: RpcRequest): Promise<unknown> {
  switch (method) {
    case 'probe':
      return toWireProbeResult(await probe(options, parseProbeInput(params)))
    case 'send':
      return toWireSendResult(await options.sessions.send(parseSendInput(params)))
    case 'settle':
      return toWireSettleResult(await options.sessions.settle(parseSettleInput(params)))
    case 'getPrice':
      return toWireRate(await options.rates.price({ ...parseRateInput(params), tolerance: 'fresh' }))
    default:
      return await serveLedgerCall(options.ledger, method, params)
  }
}

const refusalStatus = {
  no_route: 404,
  rates_unavailable: 503,
  insufficient_exchange_rate: 409,
  probe_failed: 504,
  invalid_request: 400,
} as const satisfies Record<ConnectorRefusalCode, number>

function toAnswer(options: RpcServerOptions, error: unknown): Answer {
  if (error instanceof RatesRefusal) return toAnswer(options, ratesUnavailable(error))
  if (error instanceof ConnectorRefusal) return failure(refusalStatus[error.code], error.code, error.message)
  // Malformed, or of a payment that is not there.
  if (error instanceof Refusal)
    return failure(refusalStatus.invalid_request, 'invalid_request', error.message)
  if (error instanceof Fault) {
    options.log.warn({ code: error.code, reason: error.message }, 'RPC call failed')
    return failure(503, error.code, 'a dependency of the connector is away')
  }
  options.log.error({ err: error }, 'RPC call failed')
  return failure(500, 'internal_error', 'unexpected internal error')
}
