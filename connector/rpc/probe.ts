import { ConnectorRefusal, type ProbeInput, type ProbeResult } from '../../shared/connector-client/index.ts'
import { type Clock, unreachable } from '../../shared/platform/index.ts'
import type { Pipeline } from '../pipeline/index.ts'
import { type Rates, RatesRefusal } from '../rates/index.ts'
import type { PeerDirectory } from '../routing/index.ts'
import { InvalidDestination, ProbeFailed, probePath } from '../stream/index.ts'

export interface ProbeContext {
  pipeline: Pick<Pipeline, 'send'>
  directory: Pick<PeerDirectory, 'findRoute'>
  rates: Rates
  clock: Clock
}

/** Nobody can fulfil a probe and none moves money, so it needs no account. */
const NO_ACCOUNT = 'probe'

/** What the path to a receiver takes and yields. Throws {@link ConnectorRefusal}. */
export async function probe(ctx: ProbeContext, input: ProbeInput): Promise<ProbeResult> {
  const { tenantId, sourceAsset, destination } = input
  try {
    await requireRates(ctx, input)
    const account = { kind: 'probe' as const, id: NO_ACCOUNT, tenantId, asset: sourceAsset }
    const send = (prepare: Parameters<Pipeline['send']>[1]) => ctx.pipeline.send(account, prepare)
    return await probePath({ send, clock: ctx.clock }, { sourceAsset, destination })
  } catch (error) {
    throw asRefusal(error)
  }
}

/** A T00 of the first hop could mean anything: whether this node itself can convert is asked beforehand. */
async function requireRates(
  ctx: ProbeContext,
  { tenantId, sourceAsset, destination }: ProbeInput,
): Promise<void> {
  const peer = ctx.directory.findRoute({
    tenantId,
    destination: destination.ilpAddress,
    assetId: sourceAsset.id,
  })
  await ctx.rates.price({
    tenantId,
    sourceAssetCode: sourceAsset.assetCode,
    // Without a peer on the way the receiver is this node's own.
    destinationAssetCode: peer?.asset.assetCode ?? destination.assetCode,
    tolerance: 'fresh',
  })
}

function asRefusal(error: unknown): unknown {
  if (error instanceof RatesRefusal) return ratesUnavailable(error)
  if (error instanceof InvalidDestination)
    return new ConnectorRefusal('invalid_request', { message: error.message, cause: error })
  if (!(error instanceof ProbeFailed)) return error
  const { code, message, details } = error
  switch (code) {
    case 'no_route':
      return new ConnectorRefusal('no_route', { message, details, cause: error })
    case 'closed_by_receiver':
    case 'probe_failed':
      return new ConnectorRefusal('probe_failed', { message, details, cause: error })
    default:
      return unreachable(code)
  }
}

export const ratesUnavailable = (error: RatesRefusal): ConnectorRefusal =>
  new ConnectorRefusal('rates_unavailable', { message: error.message, cause: error })
