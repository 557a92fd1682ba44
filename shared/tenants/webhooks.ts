import {
  assert,
  type Cache,
  type Clock,
  type Db,
  Fault,
  type Logger,
  type SecretBox,
} from '../platform/index.ts'
import {
  type ExtraEventType,
  findWebhookSecrets,
  replaceWebhookSecret,
  type WebhookEndpoint,
  type WebhookRecipient,
} from '../webhooks/index.ts'
import { TenantRefusal } from './errors.ts'
import type { TenantDefaults, TenantSettings } from './model.ts'
import type { TenantScope } from './scope.ts'
import { getTenantSettings } from './settings.ts'
import { selectOwnEndpointSince } from './store.ts'

type Context = { db: Db; cache: Cache; clock: Clock; secretBox: SecretBox; settings: TenantDefaults }

const secretsCacheKey = (tenantId: string): string => `webhook-secrets:${tenantId}`

/** Where and how a tenant's webhooks go (webhooks.md §4–§6). Throws a `Fault` for a service that has no address. */
export async function webhookRecipient(
  ctx: Context,
  tenantId: string,
  endpoint: WebhookEndpoint = 'wallet',
): Promise<WebhookRecipient> {
  const settings = await getTenantSettings(ctx, tenantId)
  const { webhookAttemptsMax: attemptsMax } = settings
  const common = {
    signatureVersion: ctx.settings.webhookSignatureVersion,
    ...(attemptsMax !== undefined && { attemptsMax }),
  }
  if (endpoint !== 'wallet')
    return {
      ...common,
      ...nodeSecrets(ctx.settings),
      url: serviceUrl(ctx.settings, endpoint),
      timeoutMs: ctx.settings.webhookTimeoutMs,
    }
  return {
    ...common,
    ...(await secretsOf(ctx, tenantId, settings)),
    url: settings.webhookUrl,
    timeoutMs: settings.webhookTimeoutMs,
    ...(settings.untrustedUrls.includes('WEBHOOK_URL') && { isGuarded: true as const }),
  }
}

const nodeSecrets = ({ webhookSecret, webhookPreviousSecret }: TenantDefaults) => ({
  ...(webhookSecret !== undefined && { secret: webhookSecret }),
  ...(webhookPreviousSecret !== undefined && { previousSecret: webhookPreviousSecret }),
})

/** A tenant's own secret is for its own endpoint: without one its events go to the operator, who does not know that secret. */
async function secretsOf(ctx: Context, tenantId: string, { webhookUrl }: TenantSettings) {
  const isOwnEndpoint = tenantId === ctx.settings.operatorTenantId || webhookUrl !== ctx.settings.webhookUrl
  const own = isOwnEndpoint
    ? await ctx.cache.get(secretsCacheKey(tenantId), async () => ({
        found: await findWebhookSecrets(ctx, tenantId),
      }))
    : undefined
  if (!own?.found) return nodeSecrets(ctx.settings)
  const { secret, previous } = own.found
  return { secret, ...(previous && previous.until > ctx.clock.now() && { previousSecret: previous.secret }) }
}

function serviceUrl(settings: TenantDefaults, endpoint: 'card' | 'pos'): string {
  const url = endpoint === 'card' ? settings.cardWebhookUrl : settings.posWebhookUrl
  if (url === undefined)
    throw new Fault('missing_webhook_url', {
      retryable: false,
      message: `the node has no address of the ${endpoint} service`,
    })
  return url
}

/**
 * From now on the tenant's webhooks are signed with `secret`. The one before, its own or the node's, stays good for `overlapSeconds`
 * more: receivers that know either can verify what they get. Setting the same secret again changes nothing. Returns until when both
 * are good. Throws {@link TenantRefusal} `invalid_setting`.
 */
export async function setWebhookSecret(
  ctx: Context,
  tenantId: string,
  input: { secret: string; overlapSeconds: number },
): Promise<{ previousUntil?: Date }> {
  assert(Number.isSafeInteger(input.overlapSeconds) && input.overlapSeconds >= 0, 'an overlap is a time')
  if (input.secret.length < SECRET_LENGTH_MIN || input.secret.length > SECRET_LENGTH_MAX)
    throw new TenantRefusal('invalid_setting', {
      message: `a webhook secret must have ${SECRET_LENGTH_MIN} to ${SECRET_LENGTH_MAX} characters`,
    })
  const { webhookSecret } = ctx.settings
  const secrets = await replaceWebhookSecret(ctx, {
    tenantId,
    secret: input.secret,
    overlapMs: input.overlapSeconds * 1_000,
    ...(webhookSecret !== undefined && { before: webhookSecret }),
  })
  ctx.cache.delete(secretsCacheKey(tenantId))
  return secrets.previous ? { previousUntil: secrets.previous.until } : {}
}

const SECRET_LENGTH_MIN = 16
const SECRET_LENGTH_MAX = 1_024

/** Tenants whose wallets get an event of a type that wallets do not know: the owner, and the operator as for every event, if they opted in. */
export async function extraEventRecipients(
  ctx: { db: Db; cache: Cache; settings: TenantDefaults },
  tenantId: string,
  type: ExtraEventType,
): Promise<string[]> {
  const { operatorTenantId, sendTenantWebhooksToOperator } = ctx.settings
  const asked =
    sendTenantWebhooksToOperator && tenantId !== operatorTenantId ? [tenantId, operatorTenantId] : [tenantId]
  const settings = await Promise.all(asked.map((id) => getTenantSettings(ctx, id)))
  return asked.filter((_, index) => settings[index]?.webhookExtraEvents.includes(type))
}

/** The service of the node that gets events about card payments besides wallets (webhooks.md §6); none, and a warning, when it has no address. */
export function serviceRecipients(
  ctx: {
    log: Logger
    settings: Pick<TenantDefaults, 'operatorTenantId' | 'cardWebhookUrl' | 'posWebhookUrl'>
  },
  endpoint: 'card' | 'pos',
  about: { type: string; paymentId: string; initiatedBy: string },
): { tenantId: string; endpoint: 'card' | 'pos' }[] {
  if (about.initiatedBy !== 'CARD') return []
  const isConfigured =
    (endpoint === 'card' ? ctx.settings.cardWebhookUrl : ctx.settings.posWebhookUrl) !== undefined
  if (isConfigured) return [{ tenantId: ctx.settings.operatorTenantId, endpoint }]
  const variable = endpoint === 'card' ? 'CARD_WEBHOOK_SERVICE_URL' : 'POS_WEBHOOK_SERVICE_URL'
  ctx.log.warn(
    { type: about.type, paymentId: about.paymentId },
    `${variable} is not set: a card event goes nowhere`,
  )
  return []
}

/** An attempt to deliver a webhook, as far as it says what the endpoint said. */
interface Heard {
  at: Date
  latencyMs?: number
  status?: number
  error?: string
  answer?: string
}

/**
 * What may be shown of attempts in `scope`. A tenant without an endpoint of its own has its webhooks go to the operator's: what that one
 * answered, and where it is, is not for the tenant to read, then or when it has an endpoint of its own.
 */
export async function attemptsSeenBy(
  ctx: { db: Db; settings: Pick<TenantDefaults, 'webhookUrl'> },
  scope: TenantScope,
): Promise<<A extends Heard>(attempt: A) => A> {
  if (scope === 'all') return (attempt) => attempt
  const since = await selectOwnEndpointSince(ctx.db, scope.tenantId, ctx.settings.webhookUrl)
  return (attempt) => {
    const startedAtMs = attempt.at.getTime() - (attempt.latencyMs ?? 0)
    if (since !== undefined && startedAtMs >= since.getTime()) return attempt
    const { answer: _answer, error, ...seen } = attempt
    const said = attempt.status === undefined ? 'no answer' : error
    return { ...seen, ...(error !== undefined && said !== undefined && { error: said }) } as typeof attempt
  }
}
