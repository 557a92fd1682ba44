import { Refusal } from '../../shared/platform/index.ts'

export type RatesRefusalCode =
  /** The tenant and the node name no rates service. */
  | 'no_rates_service'
  /** The service is away or answered something other than 200, and nothing recent enough is known. */
  | 'rates_unavailable'
  | 'malformed_rates'
  | 'wrong_base'
  /** The service has no usable price for that code. */
  | 'no_price'

export class RatesRefusal extends Refusal<RatesRefusalCode> {}
