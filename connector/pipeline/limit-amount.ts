import { amountTooLargeReject } from '../packet/index.ts'
import type { IncomingPacket, Service } from './model.ts'

/** F08 above the account's maximum, with both amounts, so that the sender finds its packet size in one step. */
export const limitAmount =
  (ctx: { ilpAddress: string }, next: Service<IncomingPacket>): Service<IncomingPacket> =>
  async (packet) => {
    const { maxPacketAmount } = packet.account
    const { amount } = packet.prepare
    if (maxPacketAmount === undefined || amount <= maxPacketAmount) return await next(packet)
    return amountTooLargeReject({
      triggeredBy: ctx.ilpAddress,
      receivedAmount: amount,
      maximumAmount: maxPacketAmount,
    })
  }
