import type { Clock } from '../../shared/platform/index.ts'
import { ILDCP_DESTINATION, type IlpReject, ildcpFulfill, isIldcpCondition } from '../packet/index.ts'
import type { IdentifiedPacket, Reply, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/**
 * Addresses of the scheme `peer` mean the next node and nobody else (RFC 31, RFC 34): they are answered here and never forwarded.
 * `peer.config` tells a peer its own address and asset, as this node has them, and nothing about others.
 */
export const answerPeer =
  (ctx: { clock: Clock; rejects: Rejects }, next: Service<IdentifiedPacket>): Service<IdentifiedPacket> =>
  (packet) =>
    packet.prepare.destination.startsWith('peer.') ? Promise.resolve(answerHere(ctx, packet)) : next(packet)

function answerHere(ctx: { clock: Clock; rejects: Rejects }, packet: IdentifiedPacket): Reply {
  const { prepare, account } = packet
  if (prepare.destination !== ILDCP_DESTINATION || account.peerAddress === undefined)
    return ctx.rejects('F02', rejectMessages.unknownDestination)
  return refuseQuestion(ctx, packet) ?? ildcpFulfill({ ...account.asset, clientAddress: account.peerAddress })
}

function refuseQuestion(
  ctx: { clock: Clock; rejects: Rejects },
  { prepare }: IdentifiedPacket,
): IlpReject | undefined {
  // A Fulfill says that the amount was paid, and nothing is paid here.
  if (prepare.amount !== 0n) return ctx.rejects('F00', 'a question about configuration has no amount')
  if (!isIldcpCondition(prepare.executionCondition))
    return ctx.rejects('F00', 'packet does not have the condition of a peer protocol')
  if (prepare.expiresAt.getTime() <= ctx.clock.nowMs()) return ctx.rejects('F00', rejectMessages.expired)
  return undefined
}
