import {
  createHttpHandler,
  createTaskHandler,
  type HttpEventKind,
  type HttpHandler,
  openOnce,
  type TaskHandler,
  withAwsSecrets,
} from '../../shared/aws-lambda/index.ts'
import type { Environment } from '../../shared/platform/index.ts'
import type { AuthListener } from './config.ts'
import { openAuth } from './wiring.ts'

/**
 * Each listener is a function of its own, and so is work by the clock, all from one bundle: clients and browsers come through an HTTP API, the node and identity
 * providers through load balancers of private networks. AUTH_LISTENERS names the one that a sandbox is for, so that it is built before
 * the first invocation.
 */
export function createAuthHandlers(
  env: Environment,
): Record<AuthListener, HttpHandler> & { task: TaskHandler } {
  const opened = openOnce(async () => {
    const auth = await openAuth(await withAwsSecrets(env), 'sandbox')
    if (env.AUTH_LISTENERS) for (const listener of auth.config.listeners) await auth.app(listener)
    return auth
  })
  const handle = (listener: AuthListener, events: readonly HttpEventKind[]) =>
    createHttpHandler(
      async () => {
        const { app, invocation } = await opened()
        return { app: await app(listener), invocation }
      },
      { events, opensLater: true },
    )
  return {
    auth: handle('auth', ['httpApi']),
    interaction: handle('interaction', ['loadBalancer', 'httpApi']),
    introspection: handle('introspection', ['loadBalancer', 'httpApi']),
    service: handle('service', ['loadBalancer', 'httpApi']),
    admin: handle('admin', ['loadBalancer', 'httpApi']),
    task: createTaskHandler(opened, { opensLater: true }),
  }
}
