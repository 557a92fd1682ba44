import { createNodeContext } from '../../shared/node-context/index.ts'
import type { StartDeployable } from '../../shared/platform/index.ts'
import { WEBHOOK_TIMEOUT_MS_MAX, webhookRecipient } from '../../shared/tenants/index.ts'
import { ATTEMPTS_KEPT_DAYS, forgetAttempts } from '../../shared/webhooks/index.ts'
import { loadWebhooksConfig } from './config.ts'
import { periodic } from './periodic.ts'
import { watchLiquidity } from './watch-liquidity.ts'
import { consumeWebhooks, DELIVERIES_PER_WORKER_MAX } from './worker.ts'

const HOUR_MS = 3_600_000
/** Events are announced, so this only looks for what an announcement missed; WEBHOOK_WORKER_IDLE may make it rarer. */
const IDLE_MS_MIN = 5_000

/** Between two looks at the balances that are watched: while payments are made, and while none are. */
const LIQUIDITY_MS_MIN = 1_000
const LIQUIDITY_MS_MAX = 5_000

/** Starts the worker that delivers webhooks. It listens on METRICS_PORT only. */
export const startWebhooks: StartDeployable = async (env) => {
  const config = loadWebhooksConfig(env)
  const node = await createNodeContext(config, {
    name: 'webhooks',
    environment: env,
    outbound: {
      // Tenants of one provider have one host, and must not wait for one another there either.
      connectionsPerHost: config.workers * DELIVERIES_PER_WORKER_MAX,
      // Tenants have timeouts of their own.
      timeoutMsMax: WEBHOOK_TIMEOUT_MS_MAX,
    },
  })
  const ports = await node.telemetry.listen(node.ready)
  const liquidity = periodic(node, {
    name: 'liquidity',
    everyMs: LIQUIDITY_MS_MAX,
    restMs: LIQUIDITY_MS_MIN,
    run: () => watchLiquidity(node),
  })
  const consumer = consumeWebhooks(
    {
      ...node,
      recipients: (tenantId, endpoint) => webhookRecipient(node, tenantId, endpoint),
      // Payments announce themselves here, and move liquidity.
      onDelivery: () => liquidity.wake(),
    },
    { workers: config.workers, idleMs: Math.max(config.workerIdleMs, IDLE_MS_MIN) },
  )
  const attempts = periodic(node, {
    name: 'old attempts',
    everyMs: HOUR_MS,
    restMs: 0,
    run: () => forgetAttempts(node.db, node.clock.fromNow(-ATTEMPTS_KEPT_DAYS * 24 * HOUR_MS)),
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
