import type { ConnectorClient } from '../connector-client/index.ts'
import { type Asset, identityRate, type Rate } from '../money/index.ts'

/** Price of one whole unit; only different currencies need the rates service. */
export async function priceBetween(
  connector: Pick<ConnectorClient, 'getPrice'>,
  input: { tenantId: string; source: Asset; destination: Asset },
): Promise<Rate> {
  const { source, destination } = input
  if (source.assetCode === destination.assetCode) return identityRate
  return await connector.getPrice({
    tenantId: input.tenantId,
    sourceAssetCode: source.assetCode,
    destinationAssetCode: destination.assetCode,
  })
}
