/**
 * How functions reach the connector: the RPC's schema and its client. The server is `connector/rpc`. Requests are signed with
 * CONNECTOR_RPC_SECRET; amounts travel as decimal strings.
 */
export { ConnectorRefusal, type ConnectorRefusalCode } from './errors.ts'
export type {
  ConnectorClient,
  PacketCounts,
  ProbeInput,
  ProbeResult,
  RateInput,
  SendFailure,
  SendInput,
  SendResult,
  SourceAsset,
  StreamDestination,
} from './model.ts'
