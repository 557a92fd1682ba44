import { randomBytes } from 'node:crypto'
import { type Asset, getAsset, LiquidityRefusal } from '../assets/index.ts'
import type { Ledger } from '../ledger/index.ts'
import { AMOUNT_MAX } from '../money/index.ts'
import {
  type Cache,
  type Clock,
  type Db,
  Fault,
  type HttpClient,
  type HttpResponse,
  isObject,
  parseJsonBody,
  type SecretBox,
  uuidv7,
} from '../platform/index.ts'
import { PeerRefusal } from './errors.ts'
import { checkEndpoint, checkIlpAddress, checkLimits, checkToken, type Peer } from './model.ts'
import { areRelated, mayBeReached } from './peering-rules.ts'
import { createPeer, depositPeerLiquidity, updatePeer } from './peers.ts'
import { selectPeerAt, selectPeerByUrl } from './store.ts'

type Context = {
  db: Db
  secretBox: SecretBox
  clock: Clock
  cache: Cache
  ledger: Ledger
  /** The URL is whoever's; so is what the other node says of itself. */
  guardedHttp: HttpClient
}

/** What this node says of itself. */
export interface PeeringIdentity {
  /** Of the tenant that peers: what leads to its accounts. */
  staticIlpAddress?: string
  /** ILP_CONNECTOR_URL. */
  ilpConnectorUrl?: string
  /** INSTANCE_NAME. */
  name?: string
}

export interface PeerByUrlInput {
  tenantId: string
  assetId: string
  peerUrl: string
  /** Default: what the other node calls itself. */
  name?: string
  maxPacketAmount?: bigint
  liquidityThreshold?: bigint
  liquidityToDeposit?: bigint
  /** Of the deposit. The same id deposits once. */
  transferId?: string
}

/** What the other node says of itself (connector.md §10). */
interface PeerDetails {
  staticIlpAddress: string
  endpoint: string
  /** What it will present. */
  httpToken: string
  name?: string
}

const TIMEOUT_MS = 10_000
const NAME_LENGTH_MAX = 255

const unreachable = (cause?: unknown) =>
  new PeerRefusal('peer_unreachable', { message: 'nobody to peer with was found at this URL', cause })
const badPeer = (message: string, cause?: unknown) =>
  new PeerRefusal('peer_ilp_configuration', { message: `the other node's configuration: ${message}`, cause })

/**
 * Asks the node behind a URL to peer in an asset, and keeps it as a peer: a new one, or the one with its ILP address. Each side
 * chooses the token that it will present. Asking again renews both. Throws {@link PeerRefusal} `peer_unreachable`,
 * `own_ilp_configuration`, `peer_lacks_asset`, `peering_refused`, `peer_ilp_configuration`, `peering_liquidity`, `duplicate_…`;
 * AssetRefusal `unknown_asset`.
 */
export async function createOrUpdatePeerByUrl(
  ctx: Context,
  own: PeeringIdentity,
  input: PeerByUrlInput,
): Promise<Peer> {
  checkLimits(input)
  const { liquidityToDeposit: deposit } = input
  if (deposit !== undefined && (deposit <= 0n || deposit > AMOUNT_MAX))
    throw new PeerRefusal('invalid_peer', { message: 'liquidityToDeposit must be greater than 0' })
  const asset = await getAsset(ctx, { tenantId: input.tenantId }, input.assetId)
  const authToken = randomBytes(32).toString('base64url')
  const details = await requestPeering(ctx, { own, input, asset, authToken })
  const peer = await keepPeer(ctx, input, details, authToken)
  if (deposit !== undefined) await depositFor(ctx, peer, { ...input, amount: deposit })
  return peer
}

async function requestPeering(
  ctx: Context,
  ask: { own: PeeringIdentity; input: PeerByUrlInput; asset: Asset; authToken: string },
): Promise<PeerDetails> {
  const { own, input, asset } = ask
  if (own.staticIlpAddress === undefined || own.ilpConnectorUrl === undefined)
    throw new PeerRefusal('own_ilp_configuration', {
      message: 'this node has no ILP address, or no connector URL, to give to a peer',
    })
  const body = JSON.stringify({
    staticIlpAddress: own.staticIlpAddress,
    ilpConnectorUrl: own.ilpConnectorUrl,
    asset: { code: asset.code, scale: asset.scale },
    httpToken: ask.authToken,
    ...(input.maxPacketAmount !== undefined && { maxPacketAmount: toNumber(input.maxPacketAmount) }),
    ...(own.name !== undefined && { name: own.name }),
  })
  const known = await selectPeerByUrl(ctx, { tenantId: input.tenantId }, input)
  const response = await post(ctx, input.peerUrl, body, known?.outgoing.authToken)
  if (response.status !== 200) throw refusalOf(response)
  return toDetails(ctx, response, own.staticIlpAddress)
}

/** The field is a JSON number. Naming less than we accept is safe, naming more is not. */
const toNumber = (amount: bigint): number =>
  Number(amount > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : amount)

/** `token`: what that node knows us by, if it does. It then changes what it knows at once. */
async function post(ctx: Context, url: string, body: string, token?: string): Promise<HttpResponse> {
  try {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    return await ctx.guardedHttp.request({ method: 'POST', url, headers, body, timeoutMs: TIMEOUT_MS })
  } catch (error) {
    // Whatever the reason, the answer is the same: it must not tell what listens where.
    if (error instanceof Fault) throw unreachable(error)
    throw error
  }
}

function parseBody(response: HttpResponse): Record<string, unknown> | undefined {
  try {
    const body = parseJsonBody(response.body)
    return isObject(body) ? body : undefined
  } catch {
    return undefined
  }
}

/** What the other node calls its peer's configuration is ours. */
function refusalOf(response: HttpResponse): PeerRefusal {
  const error = parseBody(response)?.error
  const type = isObject(error) ? error.type : undefined
  switch (type) {
    case 'InvalidPeerIlpConfiguration':
      return new PeerRefusal('own_ilp_configuration', {
        message: "the other node does not accept this node's ILP address or connector URL",
      })
    case 'UnknownAsset':
      return new PeerRefusal('peer_lacks_asset', { message: 'the other node does not have this asset' })
    default:
      return new PeerRefusal('peering_refused', {
        message: 'the other node refused to peer',
        details: { status: response.status, type },
      })
  }
}

function toDetails(ctx: Context, response: HttpResponse, ownAddress: string): PeerDetails {
  const { staticIlpAddress, ilpConnectorUrl, httpToken, name } = parseBody(response) ?? {}
  if (
    typeof staticIlpAddress !== 'string' ||
    typeof ilpConnectorUrl !== 'string' ||
    typeof httpToken !== 'string'
  )
    throw badPeer('its answer is not one about peering')
  try {
    checkIlpAddress(staticIlpAddress)
    checkEndpoint(ilpConnectorUrl)
    checkToken(httpToken)
  } catch (error) {
    throw badPeer('its ILP address, connector URL or token cannot be used', error)
  }
  // Packets for ourselves, and for what lies below us, must not have a route that leads away.
  if (areRelated(ownAddress, staticIlpAddress)) throw badPeer('its ILP address is also ours')
  if (!mayBeReached(ctx.guardedHttp, ilpConnectorUrl)) throw badPeer('its connector URL must be an https URL')
  return {
    staticIlpAddress,
    endpoint: ilpConnectorUrl,
    httpToken,
    ...(typeof name === 'string' && name !== '' && { name: name.slice(0, NAME_LENGTH_MAX) }),
  }
}

/** A peer is changed only at the word of a URL that it was made through, or that is at its own host: nobody may take another's place. */
function mayChange(peer: Peer, peerUrl: string): boolean {
  // One that asked named its own endpoint, on a port of its own.
  if (peer.peeringUrl !== undefined && !peer.acceptedAt)
    return new URL(peer.peeringUrl).origin === new URL(peerUrl).origin
  return new URL(peer.outgoing.endpoint).hostname === new URL(peerUrl).hostname
}

async function keepPeer(
  ctx: Context,
  input: PeerByUrlInput,
  details: PeerDetails,
  authToken: string,
): Promise<Peer> {
  const { tenantId, assetId, peerUrl, maxPacketAmount, liquidityThreshold } = input
  const { staticIlpAddress, endpoint, httpToken } = details
  const name = input.name ?? details.name
  const fields = {
    outgoing: { endpoint, authToken },
    incoming: { authTokens: [httpToken] },
    peeringUrl: peerUrl,
    ...(name !== undefined && { name }),
    ...(maxPacketAmount !== undefined && { maxPacketAmount }),
    ...(liquidityThreshold !== undefined && { liquidityThreshold }),
  }
  const scope = { tenantId }
  const change = async (): Promise<Peer | undefined> => {
    const known = await selectPeerAt(ctx, scope, { assetId, staticIlpAddress })
    if (!known) return undefined
    if (!mayChange(known, peerUrl))
      throw new PeerRefusal('duplicate_peer', {
        message: 'the asset has a peer with this ILP address that was not made through this URL',
      })
    return await updatePeer(ctx, scope, { id: known.id, ...fields })
  }
  const changed = await change()
  if (changed) return changed
  try {
    return await createPeer(ctx, { tenantId, assetId, staticIlpAddress, ...fields })
  } catch (error) {
    // Made meanwhile, most likely by the same request twice.
    const late = error instanceof PeerRefusal && error.code === 'duplicate_peer' ? await change() : undefined
    if (!late) throw error
    return late
  }
}

async function depositFor(
  ctx: Context,
  peer: Peer,
  { amount, transferId }: { amount: bigint; transferId?: string },
): Promise<void> {
  try {
    await depositPeerLiquidity(
      ctx,
      { tenantId: peer.tenantId },
      { peerId: peer.id, transferId: transferId ?? uuidv7(ctx.clock.nowMs()), amount, acceptRepeat: true },
    )
  } catch (error) {
    if (!(error instanceof LiquidityRefusal)) throw error
    throw new PeerRefusal('peering_liquidity', { message: error.message, cause: error })
  }
}
