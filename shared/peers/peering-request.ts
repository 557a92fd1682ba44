import { isObject } from '../platform/index.ts'
import { PeerRefusal } from './errors.ts'
import { checkEndpoint, checkIlpAddress, checkToken } from './model.ts'

/** What a node says of itself that wants to be a peer (connector.md §10). */
export interface PeeringRequest {
  staticIlpAddress: string
  ilpConnectorUrl: string
  asset: { code: string; scale: number }
  /** What it will present. */
  httpToken: string
  maxPacketAmount?: bigint
  name?: string
}

const NAME_LENGTH_MAX = 255
/** Whoever guesses a token spends its peer's money. */
const TOKEN_LENGTH_MIN = 16
/** `peer`, `self` and `local` are nobody's from outside. */
const PUBLIC_SCHEME = /^(g|private|example|test[1-3]?)\./

const refuse = (message: string) => new PeerRefusal('peering_refused', { message })

/** Throws {@link PeerRefusal} `peering_refused`, `peer_ilp_configuration`. */
export function parsePeeringRequest(body: unknown): PeeringRequest {
  if (!isObject(body)) throw refuse('the request must be a JSON object')
  const { staticIlpAddress, ilpConnectorUrl, asset, httpToken, maxPacketAmount, name } = body
  if (
    typeof staticIlpAddress !== 'string' ||
    typeof ilpConnectorUrl !== 'string' ||
    typeof httpToken !== 'string'
  )
    throw refuse('staticIlpAddress, ilpConnectorUrl and httpToken must be text')
  if (!isObject(asset) || typeof asset.code !== 'string' || !isScale(asset.scale))
    throw refuse('asset must have a code and a scale')
  if (name != null && typeof name !== 'string') throw refuse('name must be text')
  checkConfiguration(staticIlpAddress, ilpConnectorUrl, httpToken)
  return {
    staticIlpAddress,
    ilpConnectorUrl,
    asset: { code: asset.code, scale: asset.scale },
    httpToken,
    ...(maxPacketAmount != null && { maxPacketAmount: parseAmount(maxPacketAmount) }),
    ...(name != null && name !== '' && { name: name.slice(0, NAME_LENGTH_MAX) }),
  }
}

const isScale = (scale: unknown): scale is number =>
  typeof scale === 'number' && Number.isInteger(scale) && scale >= 0 && scale <= 255

/** A JSON number, as nodes in the field send it. */
function parseAmount(amount: unknown): bigint {
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount <= 0)
    throw refuse('maxPacketAmount must be a whole number above 0')
  return BigInt(amount)
}

function checkConfiguration(address: string, endpoint: string, token: string): void {
  try {
    checkIlpAddress(address)
    checkEndpoint(endpoint)
    checkToken(token)
  } catch (error) {
    throw new PeerRefusal('peer_ilp_configuration', {
      message: 'the ILP address, connector URL or token cannot be used',
      cause: error,
    })
  }
  if (!PUBLIC_SCHEME.test(address))
    throw new PeerRefusal('peer_ilp_configuration', { message: 'the ILP address is not one for peers' })
  if (token.length < TOKEN_LENGTH_MIN)
    throw refuse(`httpToken must have at least ${TOKEN_LENGTH_MIN} characters`)
}
