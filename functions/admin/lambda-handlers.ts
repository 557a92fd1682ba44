import { createHttpHandler, type HttpHandler, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { openAdmin } from './wiring.ts'

/** The Admin API behind a load balancer of the node's own network. */
export const createAdminHandlers = (env: Environment): { handler: HttpHandler } => ({
  handler: createHttpHandler(
    async () => {
      const { app, node } = await openAdmin(await withAwsSecrets(env), 'sandbox')
      return { app, invocation: node.invocation }
    },
    { events: ['loadBalancer', 'httpApi'] },
  ),
})
