import type { CredentialReader } from '../../shared/stream-credentials/index.ts'
import type { ForeignPacket, IdentifiedPacket, LocalPacket, Service } from './model.ts'

export interface ChooseContext {
  reader: CredentialReader
  /** The address under which the tenant receives; `undefined` when it has none. */
  ilpAddressOf: (tenantId: string) => Promise<string | undefined>
}

/**
 * A packet whose address this node made is delivered here, any other is forwarded. The tenant of the account that it came in on
 * decides which address is the node's own: tenants are not reachable through each other (tenancy.md §7).
 */
export const chooseDestination =
  (
    ctx: ChooseContext,
    local: Service<LocalPacket>,
    forward: Service<ForeignPacket>,
  ): Service<IdentifiedPacket> =>
  async (packet) => {
    const ownAddress = await ctx.ilpAddressOf(packet.account.tenantId)
    if (ownAddress === undefined) return await forward(packet)
    const paymentTag = ctx.reader.read(packet.prepare.destination, ownAddress)?.paymentTag
    if (paymentTag === undefined) return await forward({ ...packet, ownAddress })
    return await local({ ...packet, ownAddress, paymentTag })
  }
