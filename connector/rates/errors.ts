import { Refusal } from '../../shared/platform/index.ts'

export type RatesRefusalCode =
  /** The tenant and the node name no rates service. */
  | 'no_rates_service'
  /** The service is away or answered something other than 200, and nothing recent enough is known. */
  | 'rates_unavailable'
  | 'malformed_rates'
  | 'wrong_base'
  /** The answer says of itself that it is older than EXCHANGE_RATES_AGE_MAX. */
  | 'stale_rates'
  /** The service has no usable price for that code. */
  | 'no_price'
  /** Its price for that code is the pair's inverse, or further from the last one than EXCHANGE_RATES_CHANGE_MAX. */
  | 'implausible_price'

export class RatesRefusal extends Refusal<RatesRefusalCode> {}
