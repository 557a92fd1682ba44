import {
  createHttpHandler,
  createTaskHandler,
  type HttpHandler,
  openOnce,
  type TaskHandler,
  withAwsSecrets,
} from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { openAdmin } from './wiring.ts'

/** The Admin API behind a load balancer of the node's own network, and its work by the clock: two functions of one bundle. */
export function createAdminHandlers(env: Environment): { handler: HttpHandler; task: TaskHandler } {
  const opened = openOnce(async () => {
    const { app, node, tasks } = await openAdmin(await withAwsSecrets(env), 'sandbox')
    return { app, ctx: node, tasks, invocation: node.invocation }
  })
  return {
    handler: createHttpHandler(opened, { events: ['loadBalancer', 'httpApi'] }),
    task: createTaskHandler(opened, { opensLater: true }),
  }
}
