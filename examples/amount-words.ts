interface Asset {
  assetCode: string
  assetScale: number
}

/** `1,234.50 USD` from 123450 units of scale 2: by text, so no digit is lost. */
export function amountInWords({ value, assetCode, assetScale }: Asset & { value: bigint | string }): string {
  const digits = BigInt(value)
    .toString()
    .padStart(assetScale + 1, '0')
  const whole = digits.slice(0, digits.length - assetScale).replace(/\B(?=(?:\d{3})+$)/g, ',')
  return `${whole}${assetScale > 0 ? `.${digits.slice(-assetScale)}` : ''} ${assetCode}`
}

/** The units of `1234.5` in an asset of scale 2: 123450. Throws a RangeError when it is no amount of that asset. */
export function unitsOf(text: string, { assetCode, assetScale }: Asset): bigint {
  const [, whole, fraction = ''] = /^(\d{1,15})(?:\.(\d{1,255}))?$/.exec(text) ?? []
  if (whole === undefined || fraction.length > assetScale)
    throw new RangeError(`${text} is no amount of ${assetCode}, which has ${assetScale} decimals`)
  return BigInt(whole + fraction.padEnd(assetScale, '0'))
}
