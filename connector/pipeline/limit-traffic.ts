import type { Ledger } from '../../shared/ledger/index.ts'
import type { Limit, Limits, Taken } from '../limits/index.ts'
import { isReject } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { AmountLimit, IdentifiedPacket, Reply, Service } from './model.ts'
import { refuseNew } from './refuse-new.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

export interface LimitContext {
  limits: Limits
  ledger: Pick<Ledger, 'lookupTransfers'>
  rejects: Rejects
}

const MINUTE_MS = 60_000

/**
 * T05 when an account sends more packets than its limit per minute, T04 when it sends more money than its limit per interval. Every
 * packet counts, whatever becomes of it. Money counts that moved or is held: what is rejected is given back, so that probes and
 * packets that fail use up nothing. What nobody knows the outcome of is not given back.
 */
export function limitTraffic(ctx: LimitContext, next: Service<IdentifiedPacket>): Service<IdentifiedPacket> {
  const withinMoney = (packet: IdentifiedPacket): Promise<Reply> => {
    const { amountLimit } = packet.account
    if (!amountLimit || packet.prepare.amount === 0n) return next(packet)
    return withinLimit(packet, amountLimit)
  }
  const withinLimit = async (packet: IdentifiedPacket, amountLimit: AmountLimit): Promise<Reply> => {
    const { account, prepare } = packet
    const { limit, quantity } = inUnits(amountLimit, prepare.amount)
    const taken = await ctx.limits.take(`amount:${account.id}`, limit, quantity)
    if (taken) return await spend(taken, packet, next)
    return await refuseNew(ctx, packet, ctx.rejects('T04', rejectMessages.tooMuchMoney), next)
  }

  const counted = (packet: IdentifiedPacket, taken: Taken | undefined): Promise<Reply> =>
    taken ? withinMoney(packet) : refuseNew(ctx, packet, ctx.rejects('T05', rejectMessages.throttled), next)

  return (packet) => {
    const { id, packetsPerMinute } = packet.account
    if (packetsPerMinute === undefined) return withinMoney(packet)
    const limit = { capacity: packetsPerMinute, periodMs: MINUTE_MS }
    const taken = ctx.limits.take(`packets:${id}`, limit, 1)
    return taken instanceof Promise ? taken.then((answer) => counted(packet, answer)) : counted(packet, taken)
  }
}

async function spend(
  taken: Taken,
  packet: IdentifiedPacket,
  next: Service<IdentifiedPacket>,
): Promise<Reply> {
  try {
    const reply = await next(packet)
    if (isReject(reply)) taken.giveBack()
    return reply
  } catch (error) {
    if (!(error instanceof AnswerUnknown)) taken.giveBack()
    throw error
  }
}

/** Limits count in numbers. Above 2^53 a unit of theirs is several of the asset's, rounded up: never more passes than the limit. */
function inUnits({ amount, seconds }: AmountLimit, packetAmount: bigint): { limit: Limit; quantity: number } {
  let unit = 1n
  while (amount / unit > BigInt(Number.MAX_SAFE_INTEGER)) unit *= 2n
  const capacity = Number(amount / unit)
  const quantity = Number((packetAmount + unit - 1n) / unit)
  return { limit: { capacity, periodMs: seconds * 1000 }, quantity: Math.min(quantity, capacity) }
}
