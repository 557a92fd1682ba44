/** For tests only: every answer of the listener is held against the specification. */
import { createAnswerGate, type Exchange, type UnlistedAnswer } from '../../shared/openapi/index.ts'

/** `{error: {code, description, details?}}`, the code being the status as text (contracts/open-payments/routes.md §0). */
const errorSchema = {
  type: 'object',
  required: ['error'],
  additionalProperties: false,
  properties: {
    error: {
      type: 'object',
      required: ['code', 'description'],
      additionalProperties: false,
      properties: {
        code: { type: 'string', pattern: '^[45][0-9][0-9]$' },
        description: { type: 'string', minLength: 1 },
        details: { type: 'object' },
      },
    },
  },
}

const NOT_AS_SPECIFIED = 'the request is not as the specification says, or what it names cannot be used'

/** What the resource server answers beyond the specification, which lists success, 401, 403 and some 404. */
const unlistedOfResources: UnlistedAnswer[] = [
  ...[
    'POST /incoming-payments',
    'GET /incoming-payments',
    'GET /incoming-payments/{id}',
    'POST /incoming-payments/{id}/complete',
    'POST /outgoing-payments',
    'GET /outgoing-payments',
    'GET /outgoing-payments/{id}',
    'GET /outgoing-payment-grant',
    'GET /quotes/{id}',
  ].map((operation) => ({ operation, status: 400, reason: NOT_AS_SPECIFIED })),
  { operation: 'POST /outgoing-payments', status: 404, reason: 'there is no such quote' },
  { operation: 'POST /outgoing-payments', status: 409, reason: 'the quote or payment is in another state' },
  { operation: 'POST /incoming-payments/{id}/complete', status: 409, reason: 'it has ended already' },
  { operation: '*', status: 406, reason: 'JSON is not acceptable to the client' },
  { operation: '*', status: 413, reason: 'the body is too large' },
  { operation: '*', status: 415, reason: 'the body is not JSON' },
  { operation: '*', status: 429, reason: 'the source has tried too much that it could not prove' },
  { operation: '*', status: 500, reason: 'a dependency is away, or the grant is ambiguous' },
]

const unlistedOfWalletAddresses: UnlistedAnswer[] = [
  { operation: '*', status: 400, reason: 'SPSP: half a receipt setup; or the path cannot be decoded' },
  { operation: '*', status: 406, reason: 'JSON is not acceptable to the client' },
  { operation: '*', status: 429, reason: 'the source has made wallets wait too often' },
  { operation: '*', status: 500, reason: 'a dependency is away' },
]

const resources = createAnswerGate({ spec: 'resource-server', unlisted: unlistedOfResources, errorSchema })
const walletAddresses = createAnswerGate({
  spec: 'wallet-address-server',
  unlisted: unlistedOfWalletAddresses,
  errorSchema,
})

/** Operations that were answered with success so far. */
export const succeeded = (): Set<string> => new Set([...resources.succeeded, ...walletAddresses.succeeded])

const TENANT = /^\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\/)/i
const COLLECTION = /^\/(incoming-payments|outgoing-payments|quotes|outgoing-payment-grant)(\/|$)/i
/** No part of Open Payments. */
const OTHER = /^\/(healthz|livez|readyz|openapi\.json|docs)?\/?$/i

/** Throws when an answer is not one of the specification or of the tables above. */
export function checkAnswer(url: string, answer: Omit<Exchange, 'path'>): void {
  const { pathname } = new URL(url)
  const path = pathname.replace(TENANT, '')
  if (OTHER.test(pathname) || isElsewhere(answer)) return
  if (COLLECTION.test(path)) resources.check({ ...answer, path })
  else walletAddresses.check({ ...answer, path: /.\/jwks\.json\/*$/i.test(pathname) ? '/jwks.json' : '/' })
}

/** Answers that have no JSON: routes that do not exist, the way to a page for people, and SPSP, which is its own specification. */
const isElsewhere = ({ status, contentType, text }: Omit<Exchange, 'path'>): boolean =>
  (status === 404 && text === 'Not Found' && contentType?.startsWith('text/plain') === true) ||
  status === 302 ||
  contentType?.startsWith('application/spsp4+json') === true
