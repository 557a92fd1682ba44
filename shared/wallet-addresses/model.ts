import type { AssetRef } from '../assets/index.ts'
import { parseJwk as parsePublicJwk, SignatureRefusal } from '../http-signatures/index.ts'
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
