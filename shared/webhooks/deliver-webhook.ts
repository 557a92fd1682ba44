import {
  type Clock,
  type Db,
  Fault,
  type HttpClient,
  type Logger,
  messageOf,
  type SecretBox,
} from '../platform/index.ts'
import type { Job, JobOutcome, OtherSide } from '../queue/index.ts'
import {
  type AttemptResult,
  isDelivered,
  nextAttemptMs,
  orderWaitMs,
  printable,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookRecipient,
} from './model.ts'
import { openData } from './sealed-data.ts'
import { signEvent } from './sign-event.ts'
import { findDelivery, recordAttempt, recordLastAttempt } from './store.ts'

/** Throws when it cannot be known where this goes: that is an attempt that failed. A retryable fault is ours, and is none. */
export type FindRecipient = (tenantId: string, endpoint: WebhookEndpoint) => Promise<WebhookRecipient>

interface Context {
  db: Db
  clock: Clock
  /** For URLs of the environment and the operator. */
  trustedHttp: HttpClient
  /** For URLs that tenants set for themselves. */
  guardedHttp: HttpClient
  log: Logger
  secretBox: Pick<SecretBox, 'open'>
  recipients: FindRecipient
  /** Told of each attempt; `otherSide` is absent when it did not come to a request. */
  onAttempt?: (made: WebhookAttempt, otherSide: OtherSide | undefined) => void
}

const ERROR_LENGTH_MAX = 500
/** What receivers answer to a signature that they do not know. */
const SIGNATURE_REFUSED = new Set([400, 401, 403])
/** Faults that mean that nobody answered, or not in time. */
const SILENT = new Set(['request_timeout', 'connection_failed'])
const done: JobOutcome = { status: 'done' }

/**
 * One attempt at one delivery. No transaction is open while the wallet answers. Wallets get an event at least once and tell
 * repeats by its id: the process may die between their answer and our record.
 */
export async function deliverWebhook(ctx: Context, job: Job): Promise<JobOutcome> {
  const delivery = await findDelivery(ctx.db, job)
  if (!delivery || delivery.state !== 'pending') return done
  if (delivery.isAhead) return { status: 'retry', at: ctx.clock.fromNow(orderWaitMs(delivery.eventAgeMs)) }
  const startedAt = performance.now()
  const { recipient, result, ...said } = await attempt(ctx, delivery)
  const latencyMs = Math.round(performance.now() - startedAt)
  if (result === 'not_allowed') return giveUp(ctx, job, delivery)

  const number = delivery.attempts + 1
  const made: WebhookAttempt = { number, at: ctx.clock.now(), latencyMs, ...detailsOf(result) }
  ctx.onAttempt?.(made, said.otherSide)
  if (isDelivered(result)) {
    const outcome = await recordLastAttempt(ctx.db, job, { state: 'delivered', made, now: ctx.clock.now() })
    return { ...outcome, ...said }
  }
  const delayMs = nextAttemptMs(number - delivery.attemptsBefore, recipient?.attemptsMax, Math.random())
  if (delayMs === undefined) return { ...(await giveUp(ctx, job, delivery, made)), ...said }
  // From the attempt's end, however long writing it down takes.
  const at = ctx.clock.fromNow(delayMs)
  await recordAttempt(ctx.db, job, { state: 'pending', made, now: ctx.clock.now() })
  ctx.log.warn(
    { ...contextOf(delivery), attempts: number, delayMs, ...failureOf(made) },
    'webhook not accepted',
  )
  return { status: 'retry', at, ...said }
}

const contextOf = ({ event, recipientTenantId, endpoint }: WebhookDelivery) => ({
  eventId: event.id,
  type: event.type,
  recipientTenantId,
  endpoint,
})

const failureOf = ({ status, error }: WebhookAttempt) => ({ status, error })

const detailsOf = (result: AttemptResult): Pick<WebhookAttempt, 'status' | 'error' | 'answer'> =>
  'error' in result
    ? { error: result.error.slice(0, ERROR_LENGTH_MAX) }
    : {
        status: result.status,
        ...(result.status !== 200 && { error: `answered ${result.status}` }),
        ...(result.answer !== undefined && { answer: result.answer }),
      }

/** `made` is absent when no attempt was allowed. */
async function giveUp(
  ctx: Context,
  job: Job,
  delivery: WebhookDelivery,
  made?: WebhookAttempt,
): Promise<JobOutcome> {
  const outcome = await recordLastAttempt(ctx.db, job, {
    state: 'dead',
    now: ctx.clock.now(),
    ...(made ? { made } : { reason: 'no attempts are allowed any more' }),
  })
  const attempts = made?.number ?? delivery.attempts
  ctx.log.error({ ...contextOf(delivery), attempts, ...(made && failureOf(made)) }, 'webhook given up')
  return outcome
}

interface Attempted {
  /** Absent when it could not be found. */
  recipient?: WebhookRecipient
  result: AttemptResult | 'not_allowed'
  /** Absent when it did not come to a request. */
  otherSide?: OtherSide
}

/**
 * Whatever goes wrong on the way counts as an attempt, so that an event that cannot be sent backs off and shows like one that is
 * refused, and never keeps others from being sent. A database that is away is no property of the event.
 */
async function attempt(ctx: Context, delivery: WebhookDelivery): Promise<Attempted> {
  let recipient: WebhookRecipient | undefined
  try {
    recipient = await ctx.recipients(delivery.recipientTenantId, delivery.endpoint)
    const made = delivery.attempts - delivery.attemptsBefore
    if (recipient.attemptsMax !== undefined && made >= recipient.attemptsMax)
      return { recipient, result: 'not_allowed' }
  } catch (error) {
    if (error instanceof Fault && error.retryable) throw error
    return { result: cannotSend(ctx, delivery, error) }
  }
  try {
    return { recipient, result: await post(ctx, delivery.event, recipient), otherSide: 'answered' }
  } catch (error) {
    if (error instanceof Fault) {
      const said = SILENT.has(error.code) ? { otherSide: 'silent' as const } : {}
      return { recipient, result: { error: messageOf(error) }, ...said }
    }
    return { recipient, result: cannotSend(ctx, delivery, error) }
  }
}

function cannotSend(ctx: Context, delivery: WebhookDelivery, error: unknown): AttemptResult {
  ctx.log.error({ ...contextOf(delivery), err: error }, 'webhook cannot be sent')
  return { error: `cannot be sent: ${messageOf(error)}` }
}

async function post(
  ctx: Context,
  event: WebhookDelivery['event'],
  recipient: WebhookRecipient,
): Promise<AttemptResult> {
  // The wire order of fields is id, type, data; the signature covers the canonical form of the same object.
  const body = { id: event.id, type: event.type, data: openData(ctx, event) }
  const text = JSON.stringify(body)
  const signatures = signEvent(recipient, ctx.clock.nowMs(), body)
  const http = recipient.isGuarded ? ctx.guardedHttp : ctx.trustedHttp
  // Of the attempt, however many requests it takes.
  const until = performance.now() + recipient.timeoutMs
  for (const [index, signature] of signatures.entries()) {
    const response = await http.request({
      method: 'POST',
      url: recipient.url,
      headers: { 'content-type': 'application/json', ...signature },
      body: text,
      timeoutMs: Math.max(Math.ceil(until - performance.now()), 1),
    })
    const answer = printable(response.body)
    const isLast = index === signatures.length - 1
    if (isLast || !SIGNATURE_REFUSED.has(response.status))
      return { status: response.status, ...(answer !== undefined && { answer }) }
  }
  throw new Error('an attempt has at least one set of headers')
}
