import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestInvalid } from '../../shared/openapi/index.ts'
import { Fault, Refusal } from '../../shared/platform/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { AccessRefusal } from './errors.ts'
import { answerTo, publicDetails } from './refusal-answers.ts'

interface ErrorAnswer {
  status: number
  description: string
  details?: Record<string, unknown>
}

const INTERNAL: ErrorAnswer = { status: 500, description: 'Internal Server Error' }

/** What the caller is told. Anything that is not a known refusal says nothing of itself. */
export function toErrorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof RequestInvalid) return { status: error.status, description: error.message }
  if (error instanceof Refusal) return refused(error)
  // Somebody else's node is away, not ours.
  if (error instanceof Fault && error.code === 'receiver_unreachable')
    return { status: 400, description: 'invalid receiver' }
  return (error instanceof Error && transportAnswer(error)) || INTERNAL
}

/**
 * Whether what keeps a receiver from being asked is what this node's resolver and network say of its host. Addresses and states of
 * ports are for logs; and a name that leads to a private address is answered as one that leads nowhere, or strangers could try names.
 */
function isOfOurNetwork(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const isOurs =
    error instanceof Fault &&
    (error.code === 'connection_failed' || (error.code === 'egress_denied' && 'addresses' in error.details))
  return isOurs || isOfOurNetwork(error.cause)
}

const UNREACHABLE: ErrorAnswer = {
  status: 400,
  description: "the receiver's node cannot be reached",
  details: { reason: 'receiver_unreachable', retryable: true },
}

function refused(refusal: Refusal): ErrorAnswer {
  const answer = answerTo(refusal)
  if (!answer) return INTERNAL
  const isAboutReceiver = refusal.code === 'receiver_unreachable' || refusal.code === 'invalid_receiver'
  if (isAboutReceiver && isOfOurNetwork(refusal)) return UNREACHABLE
  const details = publicDetails(refusal)
  return {
    status: answer.status,
    description: answer.description ?? refusal.message,
    ...(details && { details }),
  }
}

/** What the HTTP server itself refused: a body too large, or no JSON. */
function transportAnswer(error: Error & { statusCode?: unknown }): ErrorAnswer | undefined {
  const { statusCode: status } = error
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  return { status, description: status === 413 ? 'request entity too large' : error.message }
}

/** The one way errors leave: `{error: {code, description, details?}}`, the code being the status as text. */
export function renderError(
  ctx: Pick<OpenPaymentsContext, 'log' | 'settings'>,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { status, description, details } = toErrorAnswer(error)
  if (status >= 500) {
    const { method, routeOptions } = request
    ctx.log.error({ err: error, method, route: routeOptions.url }, 'request failed')
  }
  if (error instanceof AccessRefusal)
    reply.header('www-authenticate', `GNAP as_uri=${ctx.settings.authServerGrantUrl}`)
  if (status === 429) reply.header('retry-after', '1')
  return reply
    .status(status)
    .send({ error: { code: String(status), description, ...(details && { details }) } })
}
