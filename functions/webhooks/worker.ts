import type { HttpClient, SecretBox } from '../../shared/platform/index.ts'
import { type ConsumeContext, type Consumer, consumeJobs } from '../../shared/queue/index.ts'
import { deliverWebhook, type FindRecipient, loadDelivery } from '../../shared/webhooks/index.ts'

/**
 * Deliveries in flight for each of WEBHOOK_WORKERS. In Rafiki a worker is one delivery at a time; here it is a share of one
 * event loop, and the default of one worker must not make a wallet wait for others.
 */
const DELIVERIES_PER_WORKER = 256
/** Of these to one tenant: an endpoint that hangs for its whole timeout uses up its own places only. */
const DELIVERIES_PER_TENANT_AND_WORKER = 32
/** After a crash the deliveries of that moment wait for so long. Extended while an attempt is under way. */
const LEASE_SECONDS = 10

export interface WebhookWorkerContext extends ConsumeContext {
  trustedHttp: HttpClient
  secretBox: Pick<SecretBox, 'open'>
  recipients: FindRecipient
  /** Before each attempt. */
  onDelivery?: () => void
}

/** Delivers webhooks until closed. */
export const consumeWebhooks = (
  ctx: WebhookWorkerContext,
  options: { workers: number; idleMs: number },
): Consumer =>
  consumeJobs(ctx, {
    queue: 'webhooks',
    handler: (job) => {
      ctx.onDelivery?.()
      return deliverWebhook({ ...ctx, http: ctx.trustedHttp }, job)
    },
    load: loadDelivery,
    concurrency: options.workers * DELIVERIES_PER_WORKER,
    concurrencyPerTenant: options.workers * DELIVERIES_PER_TENANT_AND_WORKER,
    idleMs: options.idleMs,
    leaseSeconds: LEASE_SECONDS,
  })
