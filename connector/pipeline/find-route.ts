import type { PeerDirectory } from '../routing/index.ts'
import type { IdentifiedPacket, RoutedPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/** Chooses the next hop; F02 when no peer leads to the destination. */
export const findRoute =
  (
    ctx: { directory: Pick<PeerDirectory, 'findRoute'>; rejects: Rejects },
    next: Service<RoutedPacket>,
  ): Service<IdentifiedPacket> =>
  async (packet) => {
    const { account, prepare } = packet
    const peer = ctx.directory.findRoute({
      tenantId: account.tenantId,
      destination: prepare.destination,
      assetId: account.asset.id,
      ...(account.kind === 'peer' && { incomingPeerId: account.id }),
    })
    return peer ? await next({ ...packet, peer }) : ctx.rejects('F02', rejectMessages.unknownDestination)
  }
