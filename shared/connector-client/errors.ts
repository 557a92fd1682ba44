import { Refusal } from '../platform/index.ts'

export type ConnectorRefusalCode =
  /** No peer leads to the receiver. */
  | 'no_route'
  /** The rates service is away, or has no price for the asset. */
  | 'rates_unavailable'
  /** The path's rate is below what slippage allows. */
  | 'insufficient_exchange_rate'
  /** The receiver did not answer authentically within the deadline. */
  | 'probe_failed'
  | 'invalid_request'

export class ConnectorRefusal extends Refusal<ConnectorRefusalCode> {}
