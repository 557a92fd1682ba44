import { hash, randomBytes } from 'node:crypto'
import { type Clock, uuidv7 } from '../../../shared/platform/index.ts'
import { type AccessItem, toWireAccess } from '../access/index.ts'

/** A token as its client receives it, the only time that its value is known. */
export interface IssuedToken {
  /** Of its management URL. */
  id: string
  value: string
  expiresAt: Date
  lifeSeconds: number
}

export interface TokenTerms {
  clock: Clock
  /** ACCESS_TOKEN_EXPIRY_SECONDS. */
  tokenLifeSeconds: number
  /** Without a slash at its end. */
  authServerUrl: string
}

/** 160 random bits in upper-case hexadecimal, as tokens have always looked. */
export const newSecret = (): string => randomBytes(20).toString('hex').toUpperCase()

export const hashSecret = (value: string): Buffer => hash('sha256', value, 'buffer')

export const createToken = (terms: TokenTerms): IssuedToken => ({
  id: uuidv7(terms.clock.nowMs()),
  value: newSecret(),
  expiresAt: terms.clock.fromNow(terms.tokenLifeSeconds * 1000),
  lifeSeconds: terms.tokenLifeSeconds,
})

/** `access_token` of an answer. Absent members are left out, never null: clients refuse nulls. */
export const toWireToken = (terms: TokenTerms, token: IssuedToken, access: readonly AccessItem[]) => ({
  access: toWireAccess(access),
  value: token.value,
  manage: `${terms.authServerUrl}/token/${token.id}`,
  expires_in: token.lifeSeconds,
})
