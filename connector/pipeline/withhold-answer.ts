import { AnswerUnknown } from './errors.ts'
import type { IdentifiedPacket, Service } from './model.ts'

/**
 * A packet whose credit may still happen gets no answer when it comes again: neither would be true, and it would reserve its payee's room a
 * second time. Before the limits, whose Rejects would not be true either.
 */
export const withholdAnswer =
  (ctx: { abandoned: ReadonlySet<string> }, next: Service<IdentifiedPacket>): Service<IdentifiedPacket> =>
  (packet) => {
    if (ctx.abandoned.has(packet.packetId))
      throw new AnswerUnknown('the packet may still be delivered by what it came with before')
    return next(packet)
  }
