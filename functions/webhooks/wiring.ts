import { createNodeContext } from '../../shared/node-context/index.ts'
import type { StartDeployable } from '../../shared/platform/index.ts'
import { webhookRecipient } from '../../shared/tenants/index.ts'
import { loadWebhooksConfig } from './config.ts'
import { consumeWebhooks } from './worker.ts'

/** Starts the worker that delivers webhooks. It listens on no port. */
export const startWebhooks: StartDeployable = async (env) => {
  const config = loadWebhooksConfig(env)
  const node = await createNodeContext(config, { name: 'webhooks', environment: env })
  const consumer = consumeWebhooks(
    { ...node, recipients: (tenantId, endpoint) => webhookRecipient(node, tenantId, endpoint) },
    { workers: config.workers, idleMs: config.workerIdleMs },
  )
  return {
    name: 'webhooks',
    ports: {},
    async close() {
      await consumer.close()
      await node.close()
    },
  }
}
