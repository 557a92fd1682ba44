import type { AssetRef } from '../assets/index.ts'
import { parseJwk as parsePublicJwk, SignatureRefusal } from '../http-signatures/index.ts'
import { isBelowPrefix } from '../tenants/index.ts'
import { WalletAddressRefusal } from './errors.ts'

export interface AdditionalProperty {
  key: string
  value: string
  /** Shown in the public document. */
  visibleInOpenPayments: boolean
}

/** A public address of an account, and the asset that it is paid in. */
export interface WalletAddress {
  id: string
  tenantId: string
  assetId: string
  asset: AssetRef
  /** Lower-case https URL without a trailing slash. */
  address: string
  publicName?: string
  additionalProperties: AdditionalProperty[]
  /** Set: no new payments or quotes. */
  deactivatedAt?: Date
  createdAt: Date
}

export const isActive = (walletAddress: WalletAddress): boolean => walletAddress.deactivatedAt === undefined

/** An Ed25519 public key as JSON Web Key, with exactly these members. */
export interface Jwk {
  kid: string
  x: string
  alg: 'EdDSA'
  kty: 'OKP'
  crv: 'Ed25519'
}

export interface WalletAddressKey {
  id: string
  walletAddressId: string
  jwk: Jwk
  revokedAt?: Date
  createdAt: Date
}

const invalid = (message: string) => new WalletAddressRefusal('invalid_wallet_address', { message })

/** Paths of the listener that serves wallet addresses, exact; and its collections, anywhere in a path (tenancy.md §4). */
const RESERVED_PATHS = new Set(['/healthz', '/livez', '/readyz', '/openapi.json', '/docs'])
const RESERVED_SEGMENTS = new Set([
  'incoming-payments',
  'outgoing-payments',
  'quotes',
  'outgoing-payment-grant',
])
/** Documents below a wallet address. */
const RESERVED_LAST_SEGMENTS = new Set(['jwks.json', 'did.json'])

/** The form in which addresses are stored and looked up: https, lower-case, no query, no trailing slash. `undefined`: cannot be one. */
export function normaliseAddress(url: string): string | undefined {
  if (url.length > 2048 || !URL.canParse(url)) return undefined
  const parsed = new URL(url)
  if (parsed.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '') return undefined
  return `${parsed.origin}${parsed.pathname}`.toLowerCase().replace(/\/+$/, '')
}

/**
 * The address to store for what the wallet asked: a full URL below `prefix` (by path segment), or a path that is put behind it. Throws
 * {@link WalletAddressRefusal} `invalid_wallet_address`.
 */
export function addressBelow(prefix: string, input: string): string {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(input)
  const address = isUrl ? input : `${prefix.replace(/\/+$/, '')}/${input.replace(/^\/+/, '')}`
  if (!URL.canParse(address)) throw invalid('the address must be a URL')
  const { protocol, pathname, search, hash, username, password } = new URL(address)
  if (protocol !== 'https:') throw invalid('the address must be an https URL')
  if (search !== '' || hash !== '') throw invalid('the address must not have a query or a fragment')
  if (username !== '' || password !== '') throw invalid('the address must not have credentials')
  const segments = pathname
    .toLowerCase()
    .split('/')
    .filter((segment) => segment !== '')
  const last = segments.at(-1)
  if (last === undefined) throw invalid('the address must have a path')
  if (pathname.includes('//')) throw invalid('the path must not have empty segments')
  if (segments.some((segment) => RESERVED_SEGMENTS.has(segment)))
    throw invalid('the path must not contain the name of an Open Payments collection')
  if (RESERVED_PATHS.has(`/${segments.join('/')}`) || RESERVED_LAST_SEGMENTS.has(last))
    throw invalid('the path is reserved')
  const normalised = normaliseAddress(address)
  // The prefix is compared in its normal form too, so that a default port or an upper-case host does not matter.
  if (normalised === undefined || !isBelowPrefix(normalised, new URL(prefix).href))
    throw invalid(`the address must lie below ${prefix}`)
  return normalised
}

/** Properties to store: trimmed keys, blank ones dropped, later ones win. */
export function propertiesOf(properties: readonly AdditionalProperty[]): AdditionalProperty[] {
  const kept = new Map<string, AdditionalProperty>()
  for (const { key, value, visibleInOpenPayments } of properties) {
    if (key.trim() === '' || value.trim() === '') continue
    if (key.length > 255 || value.length > 10_000)
      throw new WalletAddressRefusal('invalid_property', { message: 'an additional property is too long' })
    kept.set(key.trim(), { key: key.trim(), value: value.trim(), visibleInOpenPayments })
  }
  return [...kept.values()]
}

/** A strict public Ed25519 key, as http-signatures will want it, with a `kid`. Throws {@link WalletAddressRefusal} `invalid_key`. */
export function parseJwk(input: unknown): Jwk {
  try {
    const { kid, x, alg, kty, crv } = parsePublicJwk(input)
    return { kid, x, alg, kty, crv }
  } catch (error) {
    if (!(error instanceof SignatureRefusal)) throw error
    throw new WalletAddressRefusal('invalid_key', { message: error.message, cause: error })
  }
}
