/**
 * Rates knows what one currency is worth in another, as the account servicing entity's own service says
 * (EXCHANGE_RATES_URL). Always true here: prices are exact decimals above zero, belong to the base that was asked for, can follow
 * the last ones of their pair, and are young enough for what they are used for. Equal codes need no service.
 */
export { RatesRefusal, type RatesRefusalCode } from './errors.ts'
export { createRates, type PriceInput, type Rates, type RatesOptions, type RatesSource } from './rates.ts'
