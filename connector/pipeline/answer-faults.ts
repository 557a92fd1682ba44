import type { Logger } from '../../shared/platform/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { IdentifiedPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/**
 * Whatever breaks becomes an answer. A step that throws has moved no money, or has put it back, so T00 is true; {@link AnswerUnknown} says
 * the opposite and passes through.
 */
export const answerFaults =
  (ctx: { rejects: Rejects; log: Logger }, next: Service<IdentifiedPacket>): Service<IdentifiedPacket> =>
  async (packet) => {
    try {
      return await next(packet)
    } catch (error) {
      const { account, prepare } = packet
      const about = { err: error, accountId: account.id, destination: prepare.destination }
      if (error instanceof AnswerUnknown) {
        ctx.log.error(about, 'packet left without an answer')
        throw error
      }
      ctx.log.error(about, 'packet failed')
      return ctx.rejects('T00', rejectMessages.internal)
    }
  }
