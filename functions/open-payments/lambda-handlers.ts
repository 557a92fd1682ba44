import { createHttpHandler, type HttpHandler, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { openOpenPayments } from './wiring.ts'

/** The resource server behind an HTTP API or a function URL. */
export const createOpenPaymentsHandlers = (env: Environment): { handler: HttpHandler } => ({
  handler: createHttpHandler(
    async () => {
      const { app, node } = await openOpenPayments(await withAwsSecrets(env), 'sandbox')
      return { app, invocation: node.invocation }
    },
    { events: ['httpApi'] },
  ),
})
