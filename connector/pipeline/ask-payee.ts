import type { PartialDecisions } from '../../shared/incoming-payments/index.ts'
import { partialIncomingPaymentIdOf } from '../../shared/incoming-payments/index.ts'
import { accountCode } from '../../shared/ledger/index.ts'
import { type Logger, messageOf } from '../../shared/platform/index.ts'
import type { IncomingMoney, IncomingNothing } from '../stream/index.ts'
import type { Payee } from './deliveries.ts'
import type { LocalPacket, Reply } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

export interface AskPayeeContext {
  /** ENABLE_PARTIAL_PAYMENT_DECISION; absent: words of senders are not read. */
  partialDecisions?: PartialDecisions
  log: Logger
  rejects: Rejects
}

/**
 * A packet for an incoming payment that brings words of its sender is shown to the wallet first (connector.md §8). Nothing is
 * reserved or held meanwhile. The answer if it is to be refused: with the wallet's reason and a close, so that the sender stops.
 */
export async function askPayee(
  ctx: AskPayeeContext,
  packet: LocalPacket,
  { payee, offer }: { payee: Payee; offer: IncomingMoney | IncomingNothing },
): Promise<Reply | undefined> {
  const { partialDecisions } = ctx
  if (!partialDecisions || !offer.data || payee.accountCode !== accountCode.incomingPayment) return undefined
  const partial = {
    partialIncomingPaymentId: partialIncomingPaymentIdOf(packet.packetId),
    incomingPaymentId: payee.id,
    dataFromSender: offer.data.toString('utf8'),
  }
  try {
    const decision = await partialDecisions.decide(partial, packet.prepare.expiresAt)
    return decision.accepted
      ? undefined
      : offer.decline({ close: true, data: Buffer.from(decision.reason, 'utf8') })
  } catch (error) {
    ctx.log.error(
      { incomingPaymentId: payee.id, reason: messageOf(error) },
      'the wallet cannot be asked about a packet',
    )
    return ctx.rejects('T00', rejectMessages.internal)
  }
}
