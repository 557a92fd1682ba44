import { createHttpHandler, type HttpHandler, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { openAutoPeering } from './wiring.ts'

/** The listener for requests to peer, behind an HTTP API or a function URL. What it accepts is proven by a scheduled task. */
export const createAutoPeeringHandlers = (env: Environment): { handler: HttpHandler } => ({
  handler: createHttpHandler(
    async () => {
      const { app, node } = await openAutoPeering(await withAwsSecrets(env), 'sandbox')
      return { app, invocation: node.invocation }
    },
    { events: ['httpApi'] },
  ),
})
