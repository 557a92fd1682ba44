import type { Ledger } from '../../shared/ledger/index.ts'
import type { PeerDirectory } from '../routing/index.ts'
import { rejectIfNew } from './forwarded-before.ts'
import type { ForeignPacket, RoutedPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

/** Chooses the next hop; F02 when no peer leads to the destination. */
export const findRoute =
  (
    ctx: {
      directory: Pick<PeerDirectory, 'findRoute'>
      rejects: Rejects
      ledger: Pick<Ledger, 'lookupTransfers'>
    },
    next: Service<RoutedPacket>,
  ): Service<ForeignPacket> =>
  (packet) => {
    const { account, prepare, ownAddress } = packet
    const peer = ctx.directory.findRoute({
      tenantId: account.tenantId,
      destination: prepare.destination,
      assetId: account.asset.id,
      ...(account.kind === 'peer' && { incomingPeerId: account.id }),
      ...(ownAddress !== undefined && { ownAddress }),
    })
    return peer
      ? next({ ...packet, peer })
      : rejectIfNew(ctx, packet, ctx.rejects('F02', rejectMessages.unknownDestination))
  }
