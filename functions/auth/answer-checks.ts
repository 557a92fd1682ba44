/** For tests only: every answer to a client of the authorization server is held against the specification. */
import { createAnswerGate, type UnlistedAnswer } from '../../shared/openapi/index.ts'

/** `{error: {code?, description, details?}}`, the code being GNAP's (contracts/open-payments/gnap.md). */
const errorSchema = {
  type: 'object',
  required: ['error'],
  additionalProperties: false,
  properties: {
    error: {
      type: 'object',
      required: ['description'],
      additionalProperties: false,
      properties: {
        code: { type: 'string', pattern: '^[a-z_]+$' },
        description: { type: 'string', minLength: 1 },
        details: { type: 'object' },
      },
    },
  },
}

const NO_KEYS = 'the keys of the client cannot be found out'

/** What the authorization server answers beyond the specification. */
const unlisted: UnlistedAnswer[] = [
  {
    operation: '*',
    status: 400,
    code: null,
    reason: 'what the schema refuses has always been answered without a code',
  },
  { operation: 'POST /', status: 404, code: 'invalid_request', reason: 'there is no such tenant' },
  {
    operation: 'POST /continue/{id}',
    status: 401,
    code: 'invalid_request',
    reason: 'the body has no interaction reference',
  },
  { operation: 'DELETE /continue/{id}', status: 400, code: 'invalid_client', reason: NO_KEYS },
  { operation: 'POST /token/{id}', status: 400, code: 'invalid_client', reason: NO_KEYS },
  { operation: 'DELETE /token/{id}', status: 400, code: 'invalid_client', reason: NO_KEYS },
  { operation: '*', status: 406, reason: 'JSON is not acceptable to the client' },
  { operation: '*', status: 413, reason: 'the body is too large' },
  { operation: '*', status: 415, reason: 'the body is not JSON' },
  { operation: '*', status: 429, reason: 'the source has tried too much that it could not prove' },
]

const gate = createAnswerGate({ spec: 'auth-server', unlisted, errorSchema })

/** Operations that were answered with success so far. */
export const succeeded = gate.succeeded

/** A grant request names its tenant where the specification has nothing. */
const GRANT_REQUEST = /^\/[^/]+\/*$/

/** What cannot be decoded is no path of any operation. */
function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Throws when an answer is not one of the specification or of the table above. */
export function checkAnswer(
  url: string,
  method: string,
  answer: { status: number; headers: Record<string, unknown>; text: string },
): void {
  const { pathname } = new URL(url)
  if (!isDecodable(pathname)) return
  const { status, text } = answer
  const contentType = answer.headers['content-type']
  // No such route: a tenant that can be none, or a method that the path does not have.
  if (status === 404 && text === 'Not Found') return
  // Headers too long even for the HTTP parser, which answers by itself.
  if (status === 431) return
  gate.check({
    method,
    path: GRANT_REQUEST.test(pathname) ? '/' : pathname,
    status,
    contentType: typeof contentType === 'string' ? contentType : undefined,
    text,
  })
}
