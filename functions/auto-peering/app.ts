import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { createAttemptLimiter } from '../../shared/http-signatures/index.ts'
import { SignatureRefusal } from '../../shared/http-signatures/index.ts'
import {
  type AcceptingIdentity,
  acceptPeering,
  type PeeringPolicy,
  PeerRefusal,
  type PeerRefusalCode,
} from '../../shared/peers/index.ts'
import { createHttpApp, type Logger, messageOf } from '../../shared/platform/index.ts'

type Accepting = Parameters<typeof acceptPeering>[0]

export interface AutoPeeringContext extends Accepting {
  log: Logger
  own: AcceptingIdentity
  policy: PeeringPolicy
  /** Of requests, which prove nothing, by source. */
  limiter: ReturnType<typeof createAttemptLimiter>
  trustProxy: boolean
  ready: () => Promise<void>
  /** Somebody waits for a proof. */
  onAccepted: () => void
}

/** A request and some room. */
const BODY_SIZE_MAX = 16 * 1024

interface Answer {
  status: number
  type: string
}

/** The contract's words for what a request was refused for (connector.md §10). */
const answers: Partial<Record<PeerRefusalCode, Answer>> = {
  peering_refused: { status: 400, type: 'InvalidPeeringRequest' },
  peer_ilp_configuration: { status: 400, type: 'InvalidPeerIlpConfiguration' },
  peer_lacks_asset: { status: 404, type: 'UnknownAsset' },
  peering_busy: { status: 429, type: 'InvalidPeeringRequest' },
}

const wire = ({ status, type }: Answer, message: string) => ({ error: { code: status, message, type } })

/** The public listener on which other nodes ask to be peers: `POST /`. */
export async function buildAutoPeeringApp(ctx: AutoPeeringContext): Promise<FastifyInstance> {
  const app = await createHttpApp({
    log: ctx.log,
    trustProxy: ctx.trustProxy,
    bodyLimit: BODY_SIZE_MAX,
    ready: () => ctx.ready(),
  })
  app.setErrorHandler((error, _request, reply) => {
    const answer = answerFor(error)
    if (answer.status === 500) ctx.log.error({ err: error }, 'a request to peer failed')
    if (answer.status === 429) reply.header('retry-after', '1')
    // What is wrong inside is nobody's business outside.
    const message = answer.status === 500 ? 'something is wrong here' : messageOf(error)
    return reply.status(answer.status).send(wire(answer, message))
  })
  app.addHook('onRequest', async (request) => {
    if (request.method === 'POST') ctx.limiter.take(request.ip)
  })
  app.post('/', async (request, reply) => {
    const presentedToken = bearerToken(request)
    const asked = { body: request.body, ...(presentedToken !== undefined && { presentedToken }) }
    const answer = await acceptPeering(ctx, ctx.own, ctx.policy, asked)
    ctx.onAccepted()
    return reply.send(answer)
  })
  return app
}

const refused: Answer = { status: 400, type: 'InvalidPeeringRequest' }

function answerFor(error: unknown): Answer {
  if (error instanceof SignatureRefusal) return { ...refused, status: 429 }
  if (error instanceof PeerRefusal) return answers[error.code] ?? refused
  // Fastify's own: not JSON, too large, another media type.
  const status = (error as { statusCode?: unknown }).statusCode
  if (typeof status === 'number' && status >= 400 && status < 500) return { ...refused, status }
  return { status: 500, type: 'InvalidPeeringRequest' }
}

function bearerToken({ headers: { authorization } }: FastifyRequest): string | undefined {
  const [scheme, token, ...more] = authorization?.split(' ') ?? []
  return scheme?.toLowerCase() === 'bearer' && token && more.length === 0 ? token : undefined
}
