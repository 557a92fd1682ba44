import type { Counters } from '../counters.ts'
import { isFulfill } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { IncomingPacket, Service } from './model.ts'

/** Each packet counts, repeats too, by what its sender gets for it. */
export const countPackets =
  ({ counters }: { counters: Counters }, next: Service<IncomingPacket>): Service<IncomingPacket> =>
  async (packet) => {
    counters.count('packets_received')
    try {
      const reply = await next(packet)
      counters.count(isFulfill(reply) ? 'packets_fulfilled' : 'packets_rejected')
      return reply
    } catch (error) {
      if (error instanceof AnswerUnknown) counters.count('unanswered_packets')
      throw error
    }
  }
