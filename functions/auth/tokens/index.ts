/**
 * Tokens owns access tokens: their values (known to the client only; the database has hashes), their lives, their rotation and
 * what they are good for. A token acts only while it is neither revoked nor expired and its grant was not revoked; an expired
 * one may still be rotated. Every change is one statement, so that of parallel attempts exactly one succeeds.
 */
export { type Introspection, introspectToken } from './introspect-token.ts'
export { type RotateContext, revokeToken, rotateToken } from './manage-token.ts'
export {
  createToken,
  hashSecret,
  type IssuedToken,
  newSecret,
  type TokenTerms,
  toWireToken,
} from './model.ts'
export { deleteOldTokens, insertTokenSql } from './store.ts'
