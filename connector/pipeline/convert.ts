import type { Ledger } from '../../shared/ledger/index.ts'
import { AMOUNT_MAX, convertFloor, identityRate, type Rate, scaleRate } from '../../shared/money/index.ts'
import { amountTooLargeReject, type IlpReject } from '../packet/index.ts'
import { type Rates, RatesRefusal } from '../rates/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { rejectIfNew } from './forwarded-before.ts'
import type { IncomingAccount, OutgoingPacket, Reply, ScheduledPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

export interface ConversionContext {
  rates: Rates
  rejects: Rejects
  ilpAddress: string
}

/**
 * Converts an amount of `account` into `asset`, rounded down. Refusals are answers: a Reject instead of an amount. Promises one only
 * when a price has to be waited for.
 */
export type Conversion = (
  account: IncomingAccount,
  asset: LedgerAsset,
  amount: bigint,
) => Promise<bigint | IlpReject> | bigint | IlpReject

export function createConversion(ctx: ConversionContext): Conversion {
  // Scaling a price costs a greatest common divisor of long numbers; a price object lives as long as its rates do.
  const scaled = new WeakMap<Rate, Map<string, Rate>>()

  const scaledRate = (price: Rate, source: LedgerAsset, destination: LedgerAsset): Rate => {
    const key = `${source.assetScale} ${destination.assetScale}`
    let known = scaled.get(price)
    if (!known) {
      known = new Map()
      scaled.set(price, known)
    }
    let rate = known.get(key)
    if (!rate) {
      rate = scaleRate(price, { source, destination })
      known.set(key, rate)
    }
    return rate
  }

  const rateBetween = (account: IncomingAccount, destination: LedgerAsset): Promise<Rate> | Rate => {
    if (account.asset.id === destination.id) return identityRate
    const query = {
      tenantId: account.tenantId,
      sourceAssetCode: account.asset.assetCode,
      destinationAssetCode: destination.assetCode,
      // A probe becomes a promise; a packet keeps to one that was made before.
      tolerance: account.kind === 'probe' ? ('fresh' as const) : ('recent' as const),
    }
    const price = ctx.rates.priceNow(query)
    if (price) return scaledRate(price, account.asset, destination)
    return ctx.rates.price(query).then((asked) => scaledRate(asked, account.asset, destination))
  }

  const refusal = (error: unknown): IlpReject => {
    if (!(error instanceof RatesRefusal)) throw error
    return error.code === 'no_price'
      ? ctx.rejects('F07', rejectMessages.noPrice)
      : ctx.rejects('T00', rejectMessages.internal)
  }

  const convertAt = (rate: Rate, amount: bigint): bigint | IlpReject => {
    const converted = convertFloor(amount, rate)
    if (converted === 0n) return ctx.rejects('R01', rejectMessages.convertsToNothing)
    if (converted <= AMOUNT_MAX) return converted
    return amountTooLargeReject({
      triggeredBy: ctx.ilpAddress,
      receivedAmount: amount,
      maximumAmount: (AMOUNT_MAX * rate.denominator) / rate.numerator,
    })
  }

  return (account, asset, amount) => {
    if (amount === 0n) return 0n
    try {
      const rate = rateBetween(account, asset)
      return rate instanceof Promise
        ? rate.then((found) => convertAt(found, amount), refusal)
        : convertAt(rate, amount)
    } catch (error) {
      return refusal(error)
    }
  }
}

/** The amount in the next hop's asset. */
export const convertAmount =
  (
    ctx: { ledger: Pick<Ledger, 'lookupTransfers'> },
    convert: Conversion,
    next: Service<OutgoingPacket>,
  ): Service<ScheduledPacket> =>
  (packet) => {
    const goOn = (converted: bigint | IlpReject): Promise<Reply> =>
      typeof converted === 'bigint'
        ? next({ ...packet, destinationAmount: converted })
        : rejectIfNew(ctx, packet, converted)
    const converted = convert(packet.account, packet.peer.asset, packet.prepare.amount)
    return converted instanceof Promise ? converted.then(goOn) : goOn(converted)
  }
