import type { Ledger } from '../../shared/ledger/index.ts'
import type { Logger } from '../../shared/platform/index.ts'
import { AnswerUnknown } from './errors.ts'
import { rejectIfNew } from './forwarded-before.ts'
import type { IdentifiedPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/**
 * Whatever breaks becomes an answer. A step that throws has moved no money, or has put it back, so T00 is true of a packet that did not come
 * before. {@link AnswerUnknown} says the opposite and passes through.
 */
export const answerFaults =
  (
    ctx: { rejects: Rejects; log: Logger; ledger: Pick<Ledger, 'lookupTransfers'> },
    next: Service<IdentifiedPacket>,
  ): Service<IdentifiedPacket> =>
  async (packet) => {
    const { account, prepare } = packet
    const about = { accountId: account.id, destination: prepare.destination }
    // Not every step is async.
    const answer = async () => await next(packet)
    try {
      return await answer().catch((error: unknown) => {
        if (error instanceof AnswerUnknown) throw error
        ctx.log.error({ ...about, err: error }, 'packet failed')
        return rejectIfNew(ctx, packet, ctx.rejects('T00', rejectMessages.internal))
      })
    } catch (error) {
      ctx.log.error({ ...about, err: error }, 'packet left without an answer')
      throw error
    }
  }
