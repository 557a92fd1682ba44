import type { Logger } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { isFulfill } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { IncomingPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/**
 * Outermost: every packet gets an answer and is counted. A step that throws has moved no money, or has put it back, so T00 is
 * true; {@link AnswerUnknown} says the opposite and passes through.
 */
export const answerFaults =
  (ctx: { rejects: Rejects; log: Logger; counters: Counters }, next: Service<IncomingPacket>) =>
  async (packet: IncomingPacket) => {
    const { counters, log } = ctx
    counters.count('packets_received')
    try {
      const reply = await next(packet)
      counters.count(isFulfill(reply) ? 'packets_fulfilled' : 'packets_rejected')
      return reply
    } catch (error) {
      const { account, prepare } = packet
      const about = { err: error, accountId: account.id, destination: prepare.destination }
      if (error instanceof AnswerUnknown) {
        counters.count('unanswered_packets')
        log.error(about, 'packet left without an answer')
        throw error
      }
      log.error(about, 'packet failed')
      counters.count('packets_rejected')
      return ctx.rejects('T00', rejectMessages.internal)
    }
  }
