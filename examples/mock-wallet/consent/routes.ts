import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Logger, messageOf } from '../../../shared/platform/index.ts'
import { describeGrant, type GrantWords, UnknownAccess } from './grant-words.ts'
import {
  ConsentError,
  createIdentityProvider,
  type IdentityProvider,
  type Interaction,
  type RequestedGrant,
} from './identity-provider.ts'
import { consentPage, type NoticeCode, noticePage } from './pages.ts'
import { CONTENT_SECURITY_POLICY } from './style.ts'

export interface ConsentOptions {
  /** As customers know it. */
  bankName: string
  /** Base of the authorization server's API for identity providers (INTERACTION_PORT), and the tenant's `idpSecret`. */
  interactionUrl: string
  idpSecret: string
  /** Base of the authorization server as browsers reach it. */
  authServerUrl: string
}

interface Context extends ConsentOptions {
  provider: IdentityProvider
  /** Whether a wallet address is an account here. A real wallet asks whether it is the account of whoever is signed in. */
  holdsAccount(walletAddress: string): Promise<boolean>
  /** Forms are good for this process alone. */
  csrfKey: Buffer
  log: Logger
}

const PATH = '/consent'
const VIEW_SECONDS = 600
const ID = /^[\w-]{1,128}$/
const FORM_BYTES_MAX = 4096

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** The two ids that say what this is about; throws {@link ConsentError} `unknown`. Names that come along are not looked at: anybody could have put them there. */
function parseInteraction(source: unknown): Interaction {
  const { interactId, nonce } = (source ?? {}) as Partial<Record<string, unknown>>
  if (typeof interactId !== 'string' || !ID.test(interactId)) throw new ConsentError('unknown')
  if (typeof nonce !== 'string' || !ID.test(nonce)) throw new ConsentError('unknown')
  return { interactId, nonce }
}

const finishUrl = (ctx: Context, { interactId, nonce }: Interaction): string =>
  `${ctx.authServerUrl}/interact/${interactId}/${nonce}/finish`

/** One for each interaction, so that two tabs do not disturb each other. */
const cookieName = ({ interactId }: Interaction): string => `consent-${interactId}`

/** What is agreed to is what was shown: the token of a page is good for this view, this request and this grant as it stood there. */
function csrfTokenOf(ctx: Context, view: string, interaction: Interaction, grant: RequestedGrant): string {
  const { grantId, client, access, subject, finish } = grant
  const shown = JSON.stringify([
    view,
    interaction.interactId,
    interaction.nonce,
    grantId,
    client,
    access,
    subject,
    finish,
  ])
  return createHmac('sha256', ctx.csrfKey).update(shown).digest('base64url')
}

const isSame = (a: string, b: string): boolean => {
  const [first, second] = [Buffer.from(a), Buffer.from(b)]
  return first.length === second.length && timingSafeEqual(first, second)
}

async function strangersIn(ctx: Context, { addresses }: GrantWords): Promise<string[]> {
  const held = await Promise.all(addresses.map((url) => ctx.holdsAccount(url)))
  return addresses.filter((_url, index) => !held[index])
}

const readPending = async (ctx: Context, interaction: Interaction): Promise<RequestedGrant> => {
  const grant = await ctx.provider.readGrant(interaction)
  if (grant.state !== 'PENDING') throw new ConsentError('decided')
  return grant
}

async function showConsent(
  ctx: Context,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const interaction = parseInteraction(request.query)
  const grant = await readPending(ctx, interaction)
  const words = describeGrant(grant)
  const view = randomBytes(32).toString('base64url')
  reply.setCookie(cookieName(interaction), view, {
    path: PATH,
    httpOnly: true,
    sameSite: 'strict',
    secure: request.protocol === 'https',
    maxAge: VIEW_SECONDS,
  })
  return reply.headers(HEADERS).send(
    consentPage({
      bankName: ctx.bankName,
      interaction,
      grant,
      words,
      strangers: await strangersIn(ctx, words),
      csrfToken: csrfTokenOf(ctx, view, interaction, grant),
    }),
  )
}

async function takeDecision(
  ctx: Context,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const form = (request.body ?? {}) as Partial<Record<string, unknown>>
  const interaction = parseInteraction(form)
  const { csrf, choice } = form
  const view = request.cookies[cookieName(interaction)]
  if (choice !== 'accept' && choice !== 'reject') throw new ConsentError('out_of_date')
  if (view === undefined || typeof csrf !== 'string') throw new ConsentError('out_of_date')
  const grant = await readPending(ctx, interaction)
  if (!isSame(csrf, csrfTokenOf(ctx, view, interaction, grant))) throw new ConsentError('out_of_date')
  // The page offered nothing else, but a form can be filled in by hand.
  const isAcceptable = choice === 'reject' || (await strangersIn(ctx, describeGrant(grant))).length === 0
  if (!isAcceptable) throw new ConsentError('out_of_date')
  await ctx.provider.decide(interaction, choice)
  ctx.log.info({ grantId: grant.grantId, choice }, 'customer decided')
  return reply
    .clearCookie(cookieName(interaction), { path: PATH })
    .headers(HEADERS)
    .redirect(finishUrl(ctx, interaction), 303)
}

/** Where a person goes from a notice: to the client by way of the authorization server, or to the request once more. */
function nextAfter(
  ctx: Context,
  code: NoticeCode,
  request: FastifyRequest,
): { href: string; text: string } | undefined {
  let interaction: Interaction
  try {
    interaction = parseInteraction(request.method === 'POST' ? request.body : request.query)
  } catch {
    return undefined
  }
  if (code === 'decided' || code === 'expired')
    return { href: finishUrl(ctx, interaction), text: 'Back to where you came from' }
  if (code === 'out_of_date' || code === 'unavailable' || code === 'failed')
    return { href: `${PATH}?${new URLSearchParams({ ...interaction })}`, text: 'Look at the request again' }
  return undefined
}

function codeOf(error: unknown): NoticeCode {
  if (error instanceof ConsentError) return error.code
  if (error instanceof UnknownAccess) return 'strange'
  // A form that is none, or is too large.
  const { statusCode = 500 } = error as { statusCode?: number }
  return statusCode < 500 ? 'unknown' : 'failed'
}

/** The consent page: `GET` shows what a client asks for, `POST` takes the customer's decision. No scripts, and nothing is kept here. */
export async function addConsentRoutes(
  app: FastifyInstance,
  options: ConsentOptions & Pick<Context, 'holdsAccount' | 'log'>,
): Promise<void> {
  const provider = createIdentityProvider({ url: options.interactionUrl, secret: options.idpSecret })
  const ctx: Context = { ...options, provider, csrfKey: randomBytes(32) }
  await app.register(async (scope) => {
    await scope.register(cookie)
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_BYTES_MAX },
      (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    )
    scope.setErrorHandler((error, request, reply) => {
      const code = codeOf(error)
      if (code === 'failed' || code === 'unavailable' || code === 'strange') {
        const { cause } = error as { cause?: unknown }
        ctx.log.warn({ reason: messageOf(error), cause: cause && messageOf(cause) }, 'no consent page')
      }
      const notice = noticePage(ctx.bankName, code, nextAfter(ctx, code, request))
      return reply.status(notice.status).headers(HEADERS).send(notice.body)
    })
    scope.get(PATH, (request, reply) => showConsent(ctx, request, reply))
    scope.post(PATH, (request, reply) => takeDecision(ctx, request, reply))
  })
}
