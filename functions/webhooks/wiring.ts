import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import {
  type Host,
  type OpenDeployable,
  orClose,
  present,
  type StartDeployable,
} from '../../shared/platform/index.ts'
import { type Broker, openBroker } from '../../shared/queue/index.ts'
import { type OpenTasksOf, startTasks, type Task } from '../../shared/schedule/index.ts'
import { WEBHOOK_TIMEOUT_MS_MAX, webhookRecipient } from '../../shared/tenants/index.ts'
import { loadWebhooksConfig, type WebhooksConfig } from './config.ts'
import { LIQUIDITY_WATCH, webhooksTasks } from './tasks.ts'
import { consumeWebhooks, DELIVERIES_PER_WORKER_MAX, type WebhookWorkerContext } from './worker.ts'

/** Events are announced, so this only looks for what an announcement missed; WEBHOOK_WORKER_IDLE may make it rarer. */
const IDLE_MS_MIN = 5_000

/**
 * A function of Lambda is ended after 60 s (localstack/queues.ts), and what it has not recorded never was: the attempt would be made again
 * at once and without end. So it is over before, also where a tenant allows for more.
 */
const ATTEMPT_MS_MAX: Record<Host, number> = { server: WEBHOOK_TIMEOUT_MS_MAX, sandbox: 45_000 }

/** The worker's context. Nothing works on jobs yet. */
export interface OpenWebhooks {
  config: WebhooksConfig
  node: NodeContext
  /** What {@link webhooksWork} needs. */
  ctx: WebhookWorkerContext
  /** What carries the work here; absent: it is taken from the database itself. */
  broker?: Broker
  /** By the clock. */
  tasks: readonly Task[]
  close(): Promise<void>
}

export const openWebhooks: OpenDeployable<OpenWebhooks> = async (env, host) => {
  const config = loadWebhooksConfig(env)
  const node = await createNodeContext(config, {
    name: 'webhooks',
    environment: env,
    host,
    keepsPlans: true,
    outbound: {
      // Tenants of one provider have one host, and must not wait for one another there either.
      connectionsPerHost: config.workers * DELIVERIES_PER_WORKER_MAX,
      // Tenants have timeouts of their own.
      timeoutMsMax: WEBHOOK_TIMEOUT_MS_MAX,
    },
  })
  const ctx: WebhookWorkerContext = {
    ...node,
    async recipients(tenantId, endpoint) {
      const recipient = await webhookRecipient(node, tenantId, endpoint)
      return { ...recipient, timeoutMs: Math.min(recipient.timeoutMs, ATTEMPT_MS_MAX[host]) }
    },
  }
  const broker = await orClose(openBroker(node, config, 'webhooks'), node.close)
  return {
    config,
    node,
    ctx,
    ...present({ broker }),
    tasks: webhooksTasks(node),
    async close() {
      await broker?.close()
      await node.close()
    },
  }
}

/** For whoever drives them from outside. */
export const openWebhooksTasks: OpenTasksOf = async (env, host) => {
  const { node, tasks, close } = await openWebhooks(env, host)
  return { ctx: node, tasks, close }
}

/** Starts the worker that delivers webhooks. It listens on METRICS_PORT only. */
export const startWebhooks: StartDeployable = async (env) => {
  const { config, node, ctx, broker, tasks, close: closeAll } = await openWebhooks(env, 'server')
  const ports = await orClose(node.telemetry.listen(node.ready), closeAll)
  const schedule = startTasks(node, tasks)
  const consumer = consumeWebhooks(
    // Payments announce themselves here, and move liquidity.
    { ...ctx, ...present({ broker }), onDelivery: () => schedule.wake(LIQUIDITY_WATCH) },
    { workers: config.workers, idleMs: Math.max(config.workerIdleMs, IDLE_MS_MIN) },
  )
  return {
    name: 'webhooks',
    ports,
    async close() {
      await Promise.all([consumer.close(), schedule.close()])
      await closeAll()
    },
  }
}
