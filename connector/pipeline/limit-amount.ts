import type { Ledger } from '../../shared/ledger/index.ts'
import { amountTooLargeReject } from '../packet/index.ts'
import type { IdentifiedPacket, IncomingAccount, Service } from './model.ts'
import { refuseNew } from './refuse-new.ts'

/** A packet above all that may pass in a whole interval would never pass. */
function maximumOf({ maxPacketAmount, amountLimit }: IncomingAccount): bigint | undefined {
  if (maxPacketAmount === undefined || amountLimit === undefined)
    return maxPacketAmount ?? amountLimit?.amount
  return maxPacketAmount < amountLimit.amount ? maxPacketAmount : amountLimit.amount
}

/** F08 above the account's maximum, with both amounts, so that the sender finds its packet size in one step. */
export const limitAmount =
  (
    ctx: { ilpAddress: string; ledger: Pick<Ledger, 'lookupTransfers'> },
    next: Service<IdentifiedPacket>,
  ): Service<IdentifiedPacket> =>
  (packet) => {
    const maximum = maximumOf(packet.account)
    const { amount } = packet.prepare
    if (maximum === undefined || amount <= maximum) return next(packet)
    const reject = amountTooLargeReject({
      triggeredBy: ctx.ilpAddress,
      receivedAmount: amount,
      maximumAmount: maximum,
    })
    return refuseNew(ctx, packet, reject, next)
  }
