import type { Ledger } from '../../shared/ledger/index.ts'
import { type Clock, type Logger, messageOf } from '../../shared/platform/index.ts'
import type { CredentialReader } from '../../shared/stream-credentials/index.ts'
import type { Counters } from '../counters.ts'
import { type IncomingMoney, receiveStreamPacket, type StreamRejects } from '../stream/index.ts'
import { answerAgain } from './answer-again.ts'
import { type AskPayeeContext, askPayee } from './ask-payee.ts'
import type { Conversion } from './convert.ts'
import { ABANDONED_CALL_MS, type Credit, creditPayee } from './credit-payee.ts'
import type { Deliveries, Delivery } from './deliveries.ts'
import { AnswerUnknown } from './errors.ts'
import type { LocalPacket, Reply, Service } from './model.ts'
import { type ReceiptContext, receiptTotal } from './receipt-total.ts'
import type { ProgressRecorder } from './record-progress.ts'
import { type Rejects, rejectMessages } from './rejects.ts'
import { withinMs } from './within-ms.ts'

export interface DeliverContext extends AskPayeeContext, ReceiptContext {
  reader: CredentialReader
  /** STREAM_REJECTS. */
  streamRejects: StreamRejects
  convert: Conversion
  deliveries: Deliveries
  progress: ProgressRecorder
  ledger: Ledger
  clock: Clock
  log: Logger
  counters: Counters
  rejects: Rejects
  abandoned: AbandonedPackets
}

/** Packets whose credit was tried and may still happen: see `withhold-answer`. */
export type AbandonedPackets = Set<string>

/**
 * Delivery to one of this node's incoming payments or wallet addresses. Money moves in one step, and only after the STREAM receiver has said yes,
 * so a Fulfill means that the payee has the money and a Reject that it has not. A payment takes the packet that reaches its
 * amount, even past it, and refuses every later one: with an authentic F99 while its state follows, with F02 afterwards.
 * Packets of one payee are decided one after the other, by reserving; their credits go to the ledger together.
 */
export function deliver(ctx: DeliverContext): Service<LocalPacket> {
  return async (packet) => {
    const { prepare, account } = packet
    if (isExpired(ctx, packet)) return await refuse(ctx, packet, expired(ctx))
    const delivery = await ctx.deliveries.find(packet.paymentTag)
    // The token is not bound to a tenant's address, the payee is.
    if (delivery?.payee.tenantId !== account.tenantId)
      return ctx.rejects('F02', rejectMessages.unknownDestination)
    if (prepare.amount !== 0n && isClosed(ctx, delivery)) return await refuse(ctx, packet, closed(ctx))
    const amount = await ctx.convert(account, delivery.payee.asset, prepare.amount)
    if (typeof amount !== 'bigint') return await refuse(ctx, packet, amount)

    const decision = receiveStreamPacket({
      reader: ctx.reader,
      ilpAddress: packet.ownAddress,
      prepare: { ...prepare, amount },
      rejects: ctx.streamRejects,
    })
    switch (decision.kind) {
      case 'reject':
        // Too little at the price of today. Otherwise the same packet is always judged alike, and the probes of quotes ask the ledger nothing.
        return decision.isTooLittle && isConverted(packet, delivery)
          ? await refuse(ctx, packet, decision.reject)
          : decision.reject
      case 'fulfill': {
        const offer = { payee: delivery.payee, offer: decision }
        const refusal = isClosed(ctx, delivery) ? undefined : await askPayee(ctx, packet, offer)
        return refusal ?? decision.fulfill
      }
      case 'money': {
        const refusal = await askPayee(ctx, packet, { payee: delivery.payee, offer: decision })
        return refusal ? await refuse(ctx, packet, refusal) : await takeMoney(ctx, packet, decision)
      }
    }
  }
}

/** Unless the same packet was credited before: see {@link answerAgain}. */
const refuse = async (ctx: DeliverContext, packet: LocalPacket, reject: Reply): Promise<Reply> =>
  (await answerAgain(ctx, packet)) ?? reject

const isConverted = ({ account }: LocalPacket, { payee }: Delivery): boolean =>
  account.asset.id !== payee.asset.id

const expired = (ctx: DeliverContext): Reply => ctx.rejects('R00', rejectMessages.expired)
const closed = (ctx: DeliverContext): Reply => ctx.rejects('F02', rejectMessages.wrongState)

const isExpired = (ctx: DeliverContext, packet: LocalPacket): boolean =>
  packet.prepare.expiresAt.getTime() <= ctx.clock.nowMs()

const isClosed = (ctx: DeliverContext, { payee }: Delivery): boolean =>
  payee.state === 'COMPLETED' ||
  payee.state === 'EXPIRED' ||
  payee.state === 'INACTIVE' ||
  (payee.expiresAt !== undefined && payee.expiresAt.getTime() <= ctx.clock.nowMs())

async function takeMoney(ctx: DeliverContext, packet: LocalPacket, money: IncomingMoney): Promise<Reply> {
  const admission = await admit(ctx, packet, money)
  if ('reply' in admission) return admission.reply
  const { delivery } = admission
  let outcome: Credit
  try {
    outcome = await credit(ctx, packet, delivery, money.amount)
  } finally {
    await reportProgress(ctx, delivery)
  }
  if (outcome.kind === 'refused') return outcome.reject
  if (outcome.kind === 'closed') return await refuse(ctx, packet, closed(ctx))
  if (outcome.kind === 'abandoned')
    throw new AnswerUnknown('a packet may have been delivered', { reason: outcome.reason })
  ctx.counters.count('packets_delivered')
  // What arrived before did so at the price of then.
  if (outcome.kind === 'uncertain' && isConverted(packet, delivery))
    return await answerFromLedger(ctx, packet)
  if (money.receiptConnectionId === undefined) return money.fulfill()
  // A receipt states what arrived: a packet that was credited before counts once.
  const counted = outcome.kind === 'credited' ? money.amount : 0n
  return money.fulfill(await receiptTotal(ctx, money.receiptConnectionId, counted))
}

/** Timers take no more than 24 days, and packets of peers may claim to live for years. */
const WAIT_MS_MAX = 60_000

/** Where its money is reserved, or the answer of a packet for which there is no room. */
async function admit(
  ctx: DeliverContext,
  packet: LocalPacket,
  money: IncomingMoney,
): Promise<{ delivery: Delivery } | { reply: Reply }> {
  for (let waited = false; ; waited = true) {
    // Rates, the wallet or others' credits may have been waited for: the state must be young when the money moves.
    const delivery = await ctx.deliveries.find(packet.paymentTag)
    if (!delivery || isClosed(ctx, delivery)) return { reply: await refuse(ctx, packet, closed(ctx)) }
    await delivery.open()
    if (isExpired(ctx, packet)) return { reply: await refuse(ctx, packet, expired(ctx)) }
    const room = delivery.reserve(money.amount)
    if (room === 'reserved') return { delivery }
    if (room === 'full') return { reply: await refuse(ctx, packet, money.decline()) }
    // Only new money waits: who repeats what was credited might not live until then.
    const again = waited ? undefined : await answerAgain(ctx, packet)
    if (again) return { reply: again }
    const restMs = packet.prepare.expiresAt.getTime() - ctx.clock.nowMs()
    await withinMs(delivery.clearer(), Math.min(restMs, WAIT_MS_MAX))
  }
}

async function answerFromLedger(ctx: DeliverContext, packet: LocalPacket): Promise<Reply> {
  const reply = await answerAgain(ctx, packet)
  if (!reply) throw new AnswerUnknown('a packet was delivered, and the ledger does not show it')
  return reply
}

/** What was reserved is settled either way. */
async function credit(
  ctx: DeliverContext,
  packet: LocalPacket,
  delivery: Delivery,
  amount: bigint,
): Promise<Credit> {
  const mayCredit = async () => {
    const current = await ctx.deliveries.find(delivery.payee.id)
    return current && !isClosed(ctx, current) ? current.readAtMs : undefined
  }
  try {
    const outcome = await creditPayee(ctx, {
      packet,
      payee: delivery.payee,
      amount,
      newAccount: delivery.newAccount(),
      mayCredit,
    })
    if (outcome.kind === 'abandoned') settleLater(ctx, packet, delivery, amount)
    else if (outcome.kind === 'refused' || outcome.kind === 'closed') delivery.settle(amount, 'unchanged')
    else delivery.settle(amount, outcome.kind)
    return outcome
  } catch (error) {
    delivery.settle(amount, 'uncertain')
    throw error
  }
}

/** Its room stays taken until nothing can arrive any more. */
function settleLater(ctx: DeliverContext, packet: LocalPacket, delivery: Delivery, amount: bigint): void {
  ctx.abandoned.add(packet.packetId)
  ctx.progress.later(ABANDONED_CALL_MS, async () => {
    ctx.abandoned.delete(packet.packetId)
    delivery.settle(amount, 'uncertain')
    await reportProgress(ctx, delivery)
  })
}

/** How long another connector may have counted alone: its view of the payee was that old at most, and a credit takes a moment. */
const SECOND_LOOK_MS = 1_500

/** Never fails: the money has moved, or not, whatever becomes of the record. */
async function reportProgress(ctx: DeliverContext, delivery: Delivery): Promise<void> {
  try {
    await delivery.open()
    if (delivery.takeSecondLook()) lookLater(ctx, delivery)
    const receivedAmount = delivery.takeReport()
    if (receivedAmount === undefined) return
    await ctx.progress.record({ incomingPaymentId: delivery.payee.id, receivedAmount })
    ctx.deliveries.forgetState(delivery.payee.id)
  } catch (error) {
    ctx.log.error(
      { incomingPaymentId: delivery.payee.id, reason: messageOf(error) },
      'progress is not recorded',
    )
    // It may have been the last packet: nobody else would see that the payment has all its money.
    lookLater(ctx, delivery)
  }
}

/** One look for each is enough, however many packets ask for it. */
const awaited = new WeakSet<Delivery>()

function lookLater(ctx: DeliverContext, delivery: Delivery): void {
  if (awaited.has(delivery)) return
  awaited.add(delivery)
  ctx.progress.later(SECOND_LOOK_MS, async () => {
    awaited.delete(delivery)
    await lookAgain(ctx, delivery)
  })
}

async function lookAgain(ctx: DeliverContext, delivery: Delivery): Promise<void> {
  let current: Delivery | undefined
  try {
    current = await ctx.deliveries.find(delivery.payee.id)
  } catch {
    lookLater(ctx, delivery)
    return
  }
  if (current && !isClosed(ctx, current)) await reportProgress(ctx, current)
}
