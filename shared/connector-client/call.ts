import { type Clock, Fault, type HttpClient, messageOf, signHmac } from '../platform/index.ts'
import { MalformedRpc } from './fields.ts'
import { parseRpcAnswer, type RpcError, type RpcMethod } from './schema.ts'
import { RPC_SIGNATURE_HEADER, RPC_SIGNATURE_VERSION } from './secret.ts'

export interface RpcCallOptions {
  /** CONNECTOR_RPC_URL. */
  url: string
  /** See {@link connectorRpcSecret}. */
  secret: string
  http: HttpClient
  clock: Clock
}

/** One call of the connector's RPC: its result as it came. */
export type RpcCall = (method: RpcMethod, params: unknown, timeoutMs: number) => Promise<unknown>

export const connectorUnavailable = (message: string, cause?: unknown) =>
  new Fault('connector_unavailable', { retryable: true, message, cause })

/** Signs and sends. `errorOf` decides what an error of the connector is here; no answer is the fault `connector_unavailable`. */
export const createRpcCall =
  (options: RpcCallOptions, errorOf: (error: RpcError) => Error): RpcCall =>
  async (method, params, timeoutMs) => {
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
        throw connectorUnavailable(`the connector does not answer: ${messageOf(error)}`, error)
      })
    const answer = parsedAnswer((text: unknown) => {
      try {
        return parseRpcAnswer(JSON.parse(text as string))
      } catch {
        throw new MalformedRpc(`HTTP ${response.status} without a readable body`)
      }
    }, response.body.toString('utf8'))
    if ('error' in answer) throw errorOf(answer.error)
    return answer.result
  }

/** A result that does not parse is the other side's fault, and worth another try after its upgrade. */
export function parsedAnswer<T>(parse: (value: unknown) => T, value: unknown): T {
  try {
    return parse(value)
  } catch (error) {
    if (error instanceof MalformedRpc)
      throw connectorUnavailable(`the connector's answer: ${error.message}`, error)
    throw error
  }
}
