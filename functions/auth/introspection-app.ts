import type { FastifyInstance } from 'fastify'
import { createHttpApp, isObject } from '../../shared/platform/index.ts'
import type { WantedAccess } from './access/index.ts'
import type { AuthContext } from './context.ts'
import { answerErrorAsText } from './error-answer.ts'
import { introspectToken } from './tokens/index.ts'

type IntrospectionInput = Parameters<typeof introspectToken>[1]

function parseWanted(value: unknown): WantedAccess | undefined {
  if (!isObject(value) || typeof value.type !== 'string' || !Array.isArray(value.actions)) return undefined
  const { type, actions, identifier, limits } = value
  if (!actions.every((action) => typeof action === 'string')) return undefined
  if (identifier !== undefined && typeof identifier !== 'string') return undefined
  return {
    type,
    actions,
    ...(identifier !== undefined && { identifier }),
    ...(limits !== undefined && { limits }),
  }
}

/** `undefined` for a request that says nothing sensible. `tenant` is ours: a resource server may name its own. */
function parseIntrospectionRequest(body: unknown): IntrospectionInput | undefined {
  if (!isObject(body) || typeof body.access_token !== 'string') return undefined
  if (body.tenant !== undefined && typeof body.tenant !== 'string') return undefined
  const items = body.access ?? []
  if (!Array.isArray(items)) return undefined
  const access = items.map(parseWanted)
  if (access.includes(undefined)) return undefined
  return {
    value: body.access_token,
    access: access.filter((item) => item !== undefined),
    ...(body.tenant !== undefined && { tenantId: body.tenant }),
  }
}

/** Questions in one call of the batch form. */
const BATCH_SIZE_MAX = 1000

/** `undefined` unless every request makes sense. */
function parseBatch(body: unknown): IntrospectionInput[] | undefined {
  if (!isObject(body) || !Array.isArray(body.requests) || body.requests.length > BATCH_SIZE_MAX)
    return undefined
  const asked = body.requests.map(parseIntrospectionRequest).filter((item) => item !== undefined)
  return asked.length === body.requests.length ? asked : undefined
}

/** For resource servers of this node, on a network of their own; errors are text, as they have always been. */
export async function buildIntrospectionApp(ctx: AuthContext): Promise<FastifyInstance> {
  const app = await createHttpApp({ log: ctx.log, believesCallers: true, ready: () => ctx.ready() })
  app.setErrorHandler((error, _request, reply) => answerErrorAsText(ctx.log, error, reply))
  app.post('/', async (request, reply) => {
    const asked = parseIntrospectionRequest(request.body)
    if (!asked) return reply.status(400).type('text/plain').send('Bad Request')
    return introspectToken(ctx, asked)
  })
  // Ours: many questions in one call, each answered as if it had come alone.
  app.post('/batch', async (request, reply) => {
    const asked = parseBatch(request.body)
    if (!asked) return reply.status(400).type('text/plain').send('Bad Request')
    return { responses: await Promise.all(asked.map((item) => introspectToken(ctx, item))) }
  })
  return app
}
