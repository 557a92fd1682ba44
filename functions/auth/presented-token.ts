import type { FastifyRequest } from 'fastify'
import { AuthRefusal } from './errors.ts'

/** The value of `Authorization: GNAP <token>`: two parts, one blank, scheme in upper case. */
export function presentedToken(request: FastifyRequest): string {
  const [, value] = /^GNAP ([\x21-\x7e]+)$/.exec(request.headers.authorization ?? '') ?? []
  if (value === undefined)
    throw new AuthRefusal('signature_headers_invalid', { details: { reason: 'authorization_missing' } })
  return value
}
