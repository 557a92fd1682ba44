/**
 * Money owns amounts, assets and exact rates. Amounts of different assets only meet here, every rounding is in a name
 * (`convertFloor`, `convertCeil`), and nothing here does I/O or touches a float.
 */
export {
  AMOUNT_MAX,
  type Amount,
  type Asset,
  InvalidAmount,
  isSameAsset,
  maximum,
  minimum,
  parseAmount,
  parseUint64,
  toWireAmount,
  type WireAmount,
} from './amount.ts'
export {
  compareRates,
  convertCeil,
  convertFloor,
  formatRate,
  InvalidRate,
  identityRate,
  invertRate,
  multiplyRates,
  parseRate,
  type Rate,
  rate,
  scaleRate,
} from './rate.ts'
