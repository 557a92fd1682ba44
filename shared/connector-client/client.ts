import { createCache } from '../platform/index.ts'
import { connectorUnavailable, createRpcCall, parsedAnswer, type RpcCallOptions } from './call.ts'
import { ConnectorRefusal, type ConnectorRefusalCode } from './errors.ts'
import type { ConnectorClient, RateInput } from './model.ts'
import {
  parseProbeResult,
  parseSendResult,
  parseSettleResult,
  parseWireRate,
  type RpcError,
  toWireProbeInput,
  toWireRateInput,
  toWireSendInput,
  toWireSettleInput,
} from './schema.ts'

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

/** Whatever is not a refusal of the world means that the connector could not do its work now: a later call may. */
const errorOf = ({ code, message }: RpcError): Error =>
  isRefusalCode(code)
    ? new ConnectorRefusal(code, { message })
    : connectorUnavailable(`the connector answered ${code}: ${message}`)

/** Speaks to the connector's RPC. The HTTP client stays its owner's: closing this one does not close that one. */
export function createConnectorClient(options: RpcCallOptions): ConnectorClient {
  const call = createRpcCall(options, errorOf)
  const askPrice = async (input: RateInput) =>
    parsedAnswer(parseWireRate, await call('getPrice', toWireRateInput(input), ANSWER_MS))
  // Many payments between the same two currencies ask for one price in the same moment: the call costs both sides more than its answer is
  // worth. Nothing is kept: the connector knows for how long a price is good.
  const prices = createCache({ clock: options.clock, lifeMs: 0 })
  return {
    probe: async (input) =>
      parsedAnswer(parseProbeResult, await call('probe', toWireProbeInput(input), ANSWER_MS)),
    send: async (input) =>
      parsedAnswer(parseSendResult, await call('send', toWireSendInput(input), input.budgetMs + GRACE_MS)),
    settle: async (input) =>
      parsedAnswer(
        parseSettleResult,
        await call('settle', toWireSettleInput(input), input.budgetMs + GRACE_MS),
      ),
    getPrice: (input) => {
      const { tenantId, sourceAssetCode, destinationAssetCode } = input
      return prices.get(JSON.stringify([tenantId, sourceAssetCode, destinationAssetCode]), () =>
        askPrice(input),
      )
    },
    close: async () => {},
  }
}
