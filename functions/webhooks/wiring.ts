import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import type { OpenDeployable, StartDeployable } from '../../shared/platform/index.ts'
import { WEBHOOK_TIMEOUT_MS_MAX, webhookRecipient } from '../../shared/tenants/index.ts'
import { ATTEMPTS_KEPT_DAYS, forgetAttempts } from '../../shared/webhooks/index.ts'
import { loadWebhooksConfig, type WebhooksConfig } from './config.ts'
import { periodic } from './periodic.ts'
import { watchLiquidity } from './watch-liquidity.ts'
import { consumeWebhooks, DELIVERIES_PER_WORKER_MAX, type WebhookWorkerContext } from './worker.ts'

const HOUR_MS = 3_600_000
/** Events are announced, so this only looks for what an announcement missed; WEBHOOK_WORKER_IDLE may make it rarer. */
const IDLE_MS_MIN = 5_000

/** Between two looks at the balances that are watched: while payments are made, and while none are. */
const LIQUIDITY_MS_MIN = 1_000
const LIQUIDITY_MS_MAX = 5_000

/** The worker's context. Nothing works on jobs yet. */
export interface OpenWebhooks {
  config: WebhooksConfig
  node: NodeContext
  /** What {@link webhooksWork} needs. */
  ctx: WebhookWorkerContext
  close(): Promise<void>
}

export const openWebhooks: OpenDeployable<OpenWebhooks> = async (env, host) => {
  const config = loadWebhooksConfig(env)
  const node = await createNodeContext(config, {
    name: 'webhooks',
    environment: env,
    host,
    outbound: {
      // Tenants of one provider have one host, and must not wait for one another there either.
      connectionsPerHost: config.workers * DELIVERIES_PER_WORKER_MAX,
      // Tenants have timeouts of their own.
      timeoutMsMax: WEBHOOK_TIMEOUT_MS_MAX,
    },
  })
  const ctx: WebhookWorkerContext = {
    ...node,
    recipients: (tenantId, endpoint) => webhookRecipient(node, tenantId, endpoint),
  }
  return { config, node, ctx, close: node.close }
}

/** Attempts that nobody asks for any more. */
const forgetOldAttempts = (node: NodeContext) =>
  forgetAttempts(node.db, node.clock.fromNow(-ATTEMPTS_KEPT_DAYS * 24 * HOUR_MS))

/** Starts the worker that delivers webhooks. It listens on METRICS_PORT only. */
export const startWebhooks: StartDeployable = async (env) => {
  const { config, node, ctx } = await openWebhooks(env, 'server')
  const ports = await node.telemetry.listen(node.ready)
  const liquidity = periodic(node, {
    name: 'liquidity',
    everyMs: LIQUIDITY_MS_MAX,
    restMs: LIQUIDITY_MS_MIN,
    run: () => watchLiquidity(node),
  })
  const consumer = consumeWebhooks(
    // Payments announce themselves here, and move liquidity.
    { ...ctx, onDelivery: () => liquidity.wake() },
    { workers: config.workers, idleMs: Math.max(config.workerIdleMs, IDLE_MS_MIN) },
  )
  const attempts = periodic(node, {
    name: 'old attempts',
    everyMs: HOUR_MS,
    restMs: 0,
    run: () => forgetOldAttempts(node),
  })
  return {
    name: 'webhooks',
    ports,
    async close() {
      await Promise.all([consumer.close(), liquidity.close(), attempts.close()])
      await node.close()
    },
  }
}
