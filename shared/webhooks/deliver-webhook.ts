import {
  type Clock,
  type Db,
  Fault,
  type HttpClient,
  type Logger,
  messageOf,
  signHmac,
} from '../platform/index.ts'
import type { Job, JobOutcome } from '../queue/index.ts'
import {
  type AttemptResult,
  isDelivered,
  nextAttemptMs,
  type WebhookDelivery,
  type WebhookRecipient,
} from './model.ts'
import { findDelivery, recordAttempt, recordLastAttempt } from './store.ts'

interface Context {
  db: Db
  clock: Clock
  /** For trusted URLs: the operator and the tenants name their own endpoints. */
  http: HttpClient
  log: Logger
  recipients: (tenantId: string) => Promise<WebhookRecipient>
}

const ORDER_WAIT_MS = 20
const ERROR_LENGTH_MAX = 500
const done: JobOutcome = { status: 'done' }

/**
 * One attempt at one delivery. No transaction is open while the wallet answers. Wallets get an event at least once and tell
 * repeats by its id: the process may die between their answer and our record.
 */
export async function deliverWebhook(ctx: Context, job: Job): Promise<JobOutcome> {
  const delivery = await findDelivery(ctx.db, job)
  if (!delivery || delivery.state !== 'pending') return done
  if (delivery.isAhead) return { status: 'retry', at: ctx.clock.fromNow(ORDER_WAIT_MS) }
  const recipient = await ctx.recipients(delivery.recipientTenantId)
  if (recipient.attemptsMax !== undefined && delivery.attempts >= recipient.attemptsMax)
    return giveUp(ctx, job, delivery, delivery.attempts, { error: 'no attempts are allowed any more' })

  const attempts = delivery.attempts + 1
  const result = await post(ctx, delivery.event, recipient)
  if (isDelivered(result))
    return recordLastAttempt(ctx.db, job, {
      state: 'delivered',
      attempts,
      statusCode: 200,
      now: ctx.clock.now(),
    })
  const delayMs = nextAttemptMs(attempts, recipient.attemptsMax, Math.random())
  if (delayMs === undefined) return giveUp(ctx, job, delivery, attempts, result)
  await recordAttempt(ctx.db, job, { state: 'pending', attempts, ...failureOf(result), now: ctx.clock.now() })
  ctx.log.warn({ ...contextOf(delivery), attempts, delayMs, ...result }, 'webhook not accepted')
  return { status: 'retry', at: ctx.clock.fromNow(delayMs) }
}

const contextOf = ({ event, recipientTenantId }: WebhookDelivery) => ({
  eventId: event.id,
  type: event.type,
  recipientTenantId,
})

const failureOf = (result: AttemptResult): { statusCode?: number; error: string } =>
  'status' in result
    ? { statusCode: result.status, error: `answered ${result.status}` }
    : { error: result.error.slice(0, ERROR_LENGTH_MAX) }

async function giveUp(
  ctx: Context,
  job: Job,
  delivery: WebhookDelivery,
  attempts: number,
  result: AttemptResult,
): Promise<JobOutcome> {
  const outcome = await recordLastAttempt(ctx.db, job, {
    state: 'dead',
    attempts,
    ...failureOf(result),
    now: ctx.clock.now(),
  })
  ctx.log.error({ ...contextOf(delivery), attempts, ...result }, 'webhook given up')
  return outcome
}

/** Whatever goes wrong on the way counts as an attempt, so that an event that cannot be sent backs off like one that is refused. */
async function post(
  ctx: Context,
  event: WebhookDelivery['event'],
  recipient: WebhookRecipient,
): Promise<AttemptResult> {
  // The wire order of fields is id, type, data; the signature covers the canonical form of the same object.
  const body = { id: event.id, type: event.type, data: event.data }
  try {
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (recipient.secret !== undefined)
      headers['Rafiki-Signature'] = signHmac({
        secret: recipient.secret,
        version: recipient.signatureVersion,
        timestampMs: ctx.clock.nowMs(),
        body,
      })
    const response = await ctx.http.request({
      method: 'POST',
      url: recipient.url,
      headers,
      body: JSON.stringify(body),
      timeoutMs: recipient.timeoutMs,
    })
    return { status: response.status }
  } catch (error) {
    if (!(error instanceof Fault)) ctx.log.error({ eventId: event.id, err: error }, 'webhook cannot be sent')
    return { error: messageOf(error) }
  }
}
