import type { FastifyReply } from 'fastify'
import { RequestInvalid } from '../../shared/openapi/index.ts'
import { Fault, type Logger, messageOf } from '../../shared/platform/index.ts'
import { AuthRefusal, type AuthRefusalCode } from './errors.ts'

type Answer = readonly [status: number, code: string, description: string]

/** Status, code and words are contract (contracts/open-payments/gnap.md). */
const answers = {
  signature_headers_invalid: [401, 'invalid_client', 'invalid signature headers'],
  signature_input_invalid: [401, 'invalid_client', 'invalid signature input'],
  signature_invalid: [401, 'invalid_client', 'invalid signature'],
  client_undetermined: [400, 'invalid_client', 'could not determine client'],
  tenant_unknown: [404, 'invalid_request', 'Not Found'],
  nothing_requested: [400, 'invalid_request', 'subject or access_token required'],
  identifier_required: [400, 'invalid_request', 'access identifier required'],
  identifier_invalid: [
    400,
    'invalid_request',
    'access identifier must be the url of a wallet address, of at most 2048 characters',
  ],
  interact_required: [400, 'invalid_request', "missing required request field 'interact'"],
  tenant_without_idp: [400, 'invalid_request', 'invalid tenant'],
  both_amounts: [400, 'invalid_request', 'only one access amount allowed'],
  limits_malformed: [400, 'invalid_request', 'access limits are malformed'],
  interval_invalid: [400, 'invalid_request', 'access limits have no valid interval'],
  subject_id_invalid: [400, 'invalid_request', 'subject id must be a valid https url'],
  subject_format_invalid: [400, 'invalid_request', 'subject format is invalid'],
  finish_uri_invalid: [400, 'invalid_request', 'interact finish uri must be a plain https url'],
  finish_nonce_invalid: [400, 'invalid_request', 'interact finish nonce must be printable text'],
  key_cannot_interact: [400, 'invalid_client', 'JWK client identifier cannot be used for interactive grants'],
  client_without_name: [400, 'invalid_client', "missing required request field 'client'"],
  grant_unknown: [401, 'invalid_continuation', 'invalid grant'],
  grant_not_continuable: [401, 'request_denied', 'grant cannot be continued'],
  polled_too_fast: [400, 'too_fast', 'polled grant faster than "wait" period'],
  grant_not_pollable: [401, 'request_denied', 'grant cannot be polled'],
  grant_not_approved: [401, 'request_denied', 'grant interaction not approved'],
  continued_too_fast: [400, 'too_fast', 'continued grant faster than "wait" period'],
  reference_missing: [401, 'invalid_request', 'missing interaction reference'],
  reference_unknown: [404, 'invalid_continuation', 'grant not found'],
  start_unknown: [400, 'unknown_interaction', 'unknown interaction'],
  start_expired: [403, 'invalid_interaction', 'interaction expired'],
  start_closed: [403, 'invalid_interaction', 'invalid interaction'],
  interaction_unknown: [404, 'unknown_interaction', 'unknown interaction'],
  interaction_expired: [401, 'invalid_interaction', 'interaction expired'],
  interaction_not_active: [401, 'invalid_interaction', 'interaction is not active'],
  session_invalid: [401, 'invalid_request', 'invalid session'],
  details_secret_invalid: [401, 'invalid_request', 'invalid x-idp-secret'],
  choice_secret_invalid: [401, 'invalid_interaction', 'invalid x-idp-secret'],
  choice_denied: [401, 'user_denied', 'user denied interaction'],
  choice_closed: [400, 'invalid_interaction', 'invalid interaction'],
  token_unknown: [401, 'invalid_client', 'invalid access token'],
  rotation_lost: [404, 'invalid_rotation', 'access token was rotated or revoked meanwhile'],
  too_many_attempts: [429, 'too_many_attempts', 'too many unproven requests'],
} as const satisfies Record<AuthRefusalCode, Answer>

const INTERNAL: Answer = [500, 'request_denied', 'internal server error']

interface Rendered {
  status: number
  error: { code?: string; description: string; details?: Record<string, unknown> }
}

/** Fastify's own refusals: malformed JSON, too large a body, and the like. */
function renderHttpError(error: unknown): Rendered | undefined {
  const { statusCode } = error as { statusCode?: unknown }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) return undefined
  const description = statusCode === 413 ? 'request entity too large' : messageOf(error)
  return { status: statusCode, error: { code: 'invalid_request', description } }
}

function render(error: unknown): Rendered | undefined {
  // A request that the schema refuses has always been answered without a code.
  if (error instanceof RequestInvalid) return { status: error.status, error: { description: error.message } }
  if (!(error instanceof AuthRefusal)) return renderHttpError(error)
  const [status, code, description] = answers[error.code]
  const { reason } = error.details
  return { status, error: { code, description, ...(reason !== undefined && { details: { reason } }) } }
}

/** Always the object form of an error: clients do not understand the short one. */
export function answerError(log: Logger, error: unknown, reply: FastifyReply): FastifyReply {
  const rendered = render(error)
  if (rendered) {
    if (rendered.status === 429) reply.header('retry-after', '1')
    return reply.status(rendered.status).send({ error: rendered.error })
  }
  log.error({ err: error, retryable: error instanceof Fault && error.retryable }, 'request failed')
  const [status, code, description] = INTERNAL
  return reply.status(status).send({ error: { code, description } })
}

/** As internal listeners do it: the status and its name as text. */
export function answerErrorAsText(log: Logger, error: unknown, reply: FastifyReply): FastifyReply {
  const { status } = renderHttpError(error) ?? { status: 500 }
  if (status >= 500) log.error({ err: error }, 'internal request failed')
  return reply
    .status(status)
    .type('text/plain')
    .send(status >= 500 ? 'Internal Server Error' : 'Bad Request')
}
