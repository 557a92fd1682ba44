import { type Clock, Fault, type HttpClient, messageOf, signHmac } from '../platform/index.ts'
import { ConnectorRefusal, type ConnectorRefusalCode } from './errors.ts'
import type { ConnectorClient } from './model.ts'
import {
  MalformedRpc,
  parseProbeResult,
  parseRpcAnswer,
  parseSendResult,
  parseSettleResult,
  parseWireRate,
  type RpcError,
  type RpcMethod,
  toWireProbeInput,
  toWireRateInput,
  toWireSendInput,
  toWireSettleInput,
} from './schema.ts'
import { RPC_SIGNATURE_HEADER, RPC_SIGNATURE_VERSION } from './secret.ts'

export interface ConnectorClientOptions {
  /** CONNECTOR_RPC_URL. */
  url: string
  /** See {@link connectorRpcSecret}. */
  secret: string
  http: HttpClient
  clock: Clock
}

/** A probe gives up by itself after 10 s; a price after the rates service's 5 s. */
const ANSWER_MS = 15_000
/** What a call of `send` may take beyond its budget before the connector counts as gone. */
const GRACE_MS = 10_000

const refusalCodes: Record<ConnectorRefusalCode, true> = {
  no_route: true,
  rates_unavailable: true,
  insufficient_exchange_rate: true,
  probe_failed: true,
  invalid_request: true,
}
const isRefusalCode = (code: string): code is ConnectorRefusalCode => Object.hasOwn(refusalCodes, code)

const unavailable = (message: string, cause?: unknown) =>
  new Fault('connector_unavailable', { retryable: true, message, cause })

/** Whatever is not a refusal of the world means that the connector could not do its work now: a later call may. */
const errorOf = ({ code, message }: RpcError): Error =>
  isRefusalCode(code)
    ? new ConnectorRefusal(code, { message })
    : unavailable(`the connector answered ${code}: ${message}`)

/** Speaks to the connector's RPC. The HTTP client stays its owner's: closing this one does not close that one. */
export function createConnectorClient(options: ConnectorClientOptions): ConnectorClient {
  const call = async (method: RpcMethod, params: unknown, timeoutMs: number): Promise<unknown> => {
    const request = { method, params }
    const signature = signHmac({
      secret: options.secret,
      version: RPC_SIGNATURE_VERSION,
      timestampMs: options.clock.nowMs(),
      body: request,
    })
    const response = await options.http
      .request({
        method: 'POST',
        url: options.url,
        headers: { 'content-type': 'application/json', [RPC_SIGNATURE_HEADER]: signature },
        body: JSON.stringify(request),
        timeoutMs,
      })
      .catch((error: unknown) => {
        throw unavailable(`the connector does not answer: ${messageOf(error)}`, error)
      })
    const answer = parseBody(response.status, response.body)
    if ('error' in answer) throw errorOf(answer.error)
    return answer.result
  }

  /** A result that does not parse is the other side's fault, and worth another try after its upgrade. */
  const parsed = <T>(parse: (value: unknown) => T, value: unknown): T => {
    try {
      return parse(value)
    } catch (error) {
      if (error instanceof MalformedRpc) throw unavailable(`the connector's answer: ${error.message}`, error)
      throw error
    }
  }

  const parseBody = (status: number, body: Buffer) =>
    parsed((text: unknown) => {
      try {
        return parseRpcAnswer(JSON.parse(text as string))
      } catch {
        throw new MalformedRpc(`HTTP ${status} without a readable body`)
      }
    }, body.toString('utf8'))

  return {
    probe: async (input) => parsed(parseProbeResult, await call('probe', toWireProbeInput(input), ANSWER_MS)),
    send: async (input) =>
      parsed(parseSendResult, await call('send', toWireSendInput(input), input.budgetMs + GRACE_MS)),
    settle: async (input) =>
      parsed(parseSettleResult, await call('settle', toWireSettleInput(input), input.budgetMs + GRACE_MS)),
    getPrice: async (input) =>
      parsed(parseWireRate, await call('getPrice', toWireRateInput(input), ANSWER_MS)),
    close: async () => {},
  }
}
