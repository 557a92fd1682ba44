import type { Ledger } from '../../shared/ledger/index.ts'
import { messageOf } from '../../shared/platform/index.ts'
import type { CredentialReader } from '../../shared/stream-credentials/index.ts'
import { receiveStreamPacket, type StreamRejects } from '../stream/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { LocalPacket, Reply } from './model.ts'
import { transferId, transferReason } from './movement.ts'
import { type ReceiptContext, receiptTotal } from './receipt-total.ts'

export interface AnswerAgainContext extends ReceiptContext {
  reader: CredentialReader
  streamRejects: StreamRejects
  ledger: Pick<Ledger, 'lookupTransfers'>
}

/**
 * A Reject says that the packet moved nothing, and the same packet may have come before: to another connector, or to this one before
 * a restart. If it was credited then, it is fulfilled again, whatever has become of its payment; `undefined` if not. Throws
 * {@link AnswerUnknown} when the ledger cannot tell, and for a packet that was credited with another amount.
 */
export async function answerAgain(ctx: AnswerAgainContext, packet: LocalPacket): Promise<Reply | undefined> {
  const { prepare, account, ownAddress } = packet
  if (prepare.amount === 0n || account.kind === 'probe') return undefined
  const [source, destination] = await ctx.ledger
    .lookupTransfers([transferId(packet, 'source', 'move'), transferId(packet, 'destination', 'move')])
    .catch((error: unknown) => {
      throw new AnswerUnknown('a packet may have been delivered before', { reason: messageOf(error) })
    })
  // A pending one is the hold of a packet that was forwarded when the payment was not here yet.
  if (source?.kind !== 'posted' || source.userData32 !== transferReason.delivered) return undefined
  if (source.amount !== prepare.amount)
    throw new AnswerUnknown('the packet was delivered before, with another amount')
  const decision = receiveStreamPacket({
    reader: ctx.reader,
    ilpAddress: ownAddress,
    prepare: { ...prepare, amount: (destination ?? source).amount },
    rejects: ctx.streamRejects,
  })
  if (decision.kind !== 'money')
    throw new AnswerUnknown('a packet that was delivered cannot be read any more')
  const { receiptConnectionId } = decision
  if (receiptConnectionId === undefined) return decision.fulfill()
  // It counted when it was credited.
  return decision.fulfill(await receiptTotal(ctx, receiptConnectionId, 0n))
}
