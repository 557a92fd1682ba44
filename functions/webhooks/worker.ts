import { type HttpClient, present, type SecretBox } from '../../shared/platform/index.ts'
import {
  type ConsumeContext,
  type ConsumeQueueContext,
  type Consumer,
  consumeQueue,
  type QueueWork,
} from '../../shared/queue/index.ts'
import { silentTelemetry } from '../../shared/telemetry/index.ts'
import { deliverWebhook, type FindRecipient, loadDelivery } from '../../shared/webhooks/index.ts'
import { observeAttempts } from './observe-attempts.ts'

/**
 * For each of WEBHOOK_WORKERS. In Rafiki a worker is one delivery at a time; here it is a share of one event loop, where a delivery
 * that waits for its answer costs a socket and some memory. Every tenant has places of its own, so however many endpoints hang at
 * the same time, they take nothing from another tenant; what answers promptly gets more.
 */
const PER_WORKER = { own: 8, most: 128, common: 256 }
/** Slower answers earn no more than a tenant's own places. */
const PROMPT_MS = 1_000
/** What a process can hold. A tenant whose endpoint hangs comes down to one delivery in flight: so many may hang before others feel it. */
export const DELIVERIES_PER_WORKER_MAX = 4_096
/** After a crash the deliveries of that moment wait for so long. Extended while an attempt is under way. */
const LEASE_SECONDS = 10
/** Messages in one invocation of a function, at most. */
const BATCH_MAX = 10_000

export interface WebhookWorkerContext extends ConsumeContext {
  trustedHttp: HttpClient
  guardedHttp: HttpClient
  secretBox: Pick<SecretBox, 'open'>
  recipients: FindRecipient
  /** Before each attempt. */
  onDelivery?: () => void
}

/** What the worker does with a job of its queue, whoever hands it out. */
export function webhooksWork(ctx: WebhookWorkerContext): QueueWork {
  const onAttempt = observeAttempts(ctx.telemetry ?? silentTelemetry, ctx.db)
  return {
    queue: 'webhooks',
    handler: (job) => {
      ctx.onDelivery?.()
      return deliverWebhook({ ...ctx, onAttempt }, job)
    },
    load: loadDelivery,
    paymentOf: ({ loaded }) =>
      present({
        outgoingPaymentId: loaded?.outgoing_payment_id as string | null | undefined,
        incomingPaymentId: loaded?.incoming_payment_id as string | null | undefined,
      }),
  }
}

/** Delivers webhooks until closed. */
export const consumeWebhooks = (
  ctx: WebhookWorkerContext & ConsumeQueueContext,
  options: { workers: number; idleMs: number },
): Consumer =>
  consumeQueue(ctx, [
    {
      ...webhooksWork(ctx),
      concurrency: options.workers * DELIVERIES_PER_WORKER_MAX,
      shares: {
        own: options.workers * PER_WORKER.own,
        most: options.workers * PER_WORKER.most,
        common: options.workers * PER_WORKER.common,
        promptMs: PROMPT_MS,
      },
      idleMs: options.idleMs,
      leaseSeconds: LEASE_SECONDS,
    },
  ])

/** How many at once in a function that is handed messages: all of them, for nobody else's wait there. */
export const webhooksBatchTerms = { concurrency: BATCH_MAX, leaseSeconds: LEASE_SECONDS }
