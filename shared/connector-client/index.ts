/**
 * How functions reach the connector: the RPC's schema and its client. The server is `connector/rpc`. Requests are signed with
 * CONNECTOR_RPC_SECRET; amounts travel as decimal strings. Always true here: every call may be repeated, and no repeat moves
 * money that an earlier call moved.
 */
export { createRpcCall, parsedAnswer, type RpcCall, type RpcCallOptions } from './call.ts'
export { createConnectorClient } from './client.ts'
export { ConnectorRefusal, type ConnectorRefusalCode } from './errors.ts'
export { amountOf, type Fields, fieldsOf, MalformedRpc, textOf, wholeOf } from './fields.ts'
export type {
  ConnectorClient,
  PacketCounts,
  ProbeInput,
  ProbeResult,
  RateInput,
  SendFailure,
  SendInput,
  SendResult,
  SettleInput,
  SettleResult,
  SourceAsset,
  StreamDestination,
} from './model.ts'
export { observeConnector } from './observe-connector.ts'
export {
  BUDGET_MS_MAX,
  type LedgerMethod,
  parseProbeInput,
  parseRateInput,
  parseRpcRequest,
  parseSendInput,
  parseSettleInput,
  type RpcError,
  type RpcMethod,
  type RpcRequest,
  toWireProbeResult,
  toWireRate,
  toWireSendResult,
  toWireSettleResult,
} from './schema.ts'
export {
  connectorRpcSecret,
  connectorRpcSecrets,
  RPC_SIGNATURE_HEADER,
  RPC_SIGNATURE_VERSION,
  RPC_SIGNATURE_WINDOW_MS,
} from './secret.ts'
