import cookies from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthContext } from './context.ts'
import { finishInteraction, startInteraction } from './interactions/index.ts'

interface Key {
  id: string
  nonce: string
}

/** One cookie for each interaction: a person may consider several at once, in as many tabs. */
const cookieName = (id: string) => `sessionId.${id.toLowerCase()}`

const keyOf = (request: FastifyRequest): Key => {
  const { id, nonce } = request.params as Key
  return { id: id.toLowerCase(), nonce }
}

/** `undefined` for a cookie that is not there or was not signed here. */
function sessionOf(request: FastifyRequest, { id }: Key): string | undefined {
  const signed = request.cookies[cookieName(id)]
  const unsigned = signed === undefined ? undefined : request.unsignCookie(signed)
  return unsigned?.valid ? unsigned.value : undefined
}

function setSession(
  ctx: AuthContext,
  request: FastifyRequest,
  reply: FastifyReply,
  session: { id: string; lifeMs: number },
): void {
  reply.setCookie(cookieName(keyOf(request).id), session.id, {
    signed: true,
    httpOnly: true,
    // As the browser sees us, which behind a proxy is what the proxy says (TRUST_PROXY).
    secure: request.protocol === 'https',
    sameSite: ctx.cookie.sameSite,
    path: '/',
    maxAge: Math.floor(session.lifeMs / 1000),
  })
}

/** Nothing here is a page: browsers are sent on, and neither keep the address, nor tell it, nor show it in a frame. */
async function sayNothing(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.headers({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'x-frame-options': 'DENY',
  })
}

/** Where browsers come by on their way to the identity provider and back (contracts/open-payments/gnap.md §4). */
export async function registerInteractRoutes(parent: FastifyInstance, ctx: AuthContext): Promise<void> {
  await parent.register(async (app) => {
    await app.register(cookies, { secret: ctx.cookie.key })
    app.addHook('onRequest', sayNothing)

    app.get('/interact/:id/:nonce', async (request, reply) => {
      const { location, session } = await startInteraction(ctx, keyOf(request))
      if (session) setSession(ctx, request, reply, session)
      return reply.redirect(location, 302)
    })

    app.get('/interact/:id/:nonce/finish', async (request, reply) => {
      const key = keyOf(request)
      const finished = await finishInteraction(ctx, key, sessionOf(request, key))
      return finished === 'done'
        ? reply.status(202).type('text/plain').send('Accepted')
        : reply.redirect(finished.location, 302)
    })
  })
}
