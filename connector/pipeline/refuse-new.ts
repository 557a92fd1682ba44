import type { Ledger } from '../../shared/ledger/index.ts'
import { messageOf } from '../../shared/platform/index.ts'
import type { IlpReject } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { IdentifiedPacket, Reply, Service } from './model.ts'

/**
 * The answer to a packet above a limit. A Reject says that it moved nothing, and the same packet may have come before: to another
 * connector, or to this one before a restart. What the ledger knows goes on, and is answered as repeats are; it moves nothing
 * again. Throws {@link AnswerUnknown} when the ledger cannot tell.
 */
export async function refuseNew(
  ctx: { ledger: Pick<Ledger, 'lookupTransfers'> },
  packet: IdentifiedPacket,
  reject: IlpReject,
  next: Service<IdentifiedPacket>,
): Promise<Reply> {
  if (packet.prepare.amount === 0n) return reject
  const [known] = await ctx.ledger.lookupTransfers([packet.packetId]).catch((error: unknown) => {
    throw new AnswerUnknown('a packet above a limit may have come before', { reason: messageOf(error) })
  })
  return known ? await next(packet) : reject
}
