import type { CredentialReader } from '../../shared/stream-credentials/index.ts'
import type { ForeignPacket, IdentifiedPacket, LocalPacket, Reply, Service } from './model.ts'

export interface ChooseContext {
  reader: CredentialReader
  /** The address under which the tenant receives; `undefined` when it has none. Promised only when it has to be waited for. */
  ilpAddressOf: (tenantId: string) => Promise<string | undefined> | string | undefined
}

/**
 * A packet whose address this node made is delivered here, any other is forwarded. The tenant of the account that it came in on
 * decides which address is the node's own: tenants are not reachable through each other (tenancy.md §7).
 */
export function chooseDestination(
  ctx: ChooseContext,
  local: Service<LocalPacket>,
  forward: Service<ForeignPacket>,
): Service<IdentifiedPacket> {
  const choose = (packet: IdentifiedPacket, ownAddress: string | undefined): Promise<Reply> => {
    if (ownAddress === undefined) return forward(packet)
    const paymentTag = ctx.reader.read(packet.prepare.destination, ownAddress)?.paymentTag
    return paymentTag === undefined
      ? forward({ ...packet, ownAddress })
      : local({ ...packet, ownAddress, paymentTag })
  }
  return (packet) => {
    const ownAddress = ctx.ilpAddressOf(packet.account.tenantId)
    return ownAddress instanceof Promise
      ? ownAddress.then((address) => choose(packet, address))
      : choose(packet, ownAddress)
  }
}
