import {
  createHttpHandler,
  createTaskHandler,
  type HttpHandler,
  openOnce,
  type TaskHandler,
  withAwsSecrets,
} from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import { autoPeeringTasks } from './tasks.ts'
import { openAutoPeering } from './wiring.ts'

/** The listener for requests to peer, behind an HTTP API or a function URL, and the proofs of what it accepts: two functions of one bundle. */
export function createAutoPeeringHandlers(env: Environment): { handler: HttpHandler; task: TaskHandler } {
  const opened = openOnce(async () => {
    const { app, node } = await openAutoPeering(await withAwsSecrets(env), 'sandbox')
    return { app, ctx: node, tasks: autoPeeringTasks(node), invocation: node.invocation }
  })
  return {
    handler: createHttpHandler(opened, { events: ['httpApi'] }),
    task: createTaskHandler(opened, { opensLater: true }),
  }
}
