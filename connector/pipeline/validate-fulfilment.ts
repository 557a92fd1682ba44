import { hash } from 'node:crypto'
import { isFulfill } from '../packet/index.ts'
import type { OutgoingPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/** F05 unless the fulfilment is the preimage of the condition: the only proof that the money arrived. */
export const validateFulfilment =
  (ctx: { rejects: Rejects }, next: Service<OutgoingPacket>): Service<OutgoingPacket> =>
  (packet) =>
    next(packet).then((reply) => {
      if (!isFulfill(reply)) return reply
      return hash('sha256', reply.fulfillment, 'hex') === packet.conditionHex
        ? reply
        : ctx.rejects('F05', rejectMessages.wrongFulfilment)
    })
