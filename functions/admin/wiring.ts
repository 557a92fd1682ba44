import type { FastifyInstance } from 'fastify'
import { authServiceSecret, createAuthServiceClient } from '../../shared/auth-service-client/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { toPeeringPolicy } from '../../shared/peers/index.ts'
import {
  listenOn,
  messageOf,
  type OpenDeployable,
  present,
  type StartDeployable,
} from '../../shared/platform/index.ts'
import { consumeJobs, drainJobs, type WorkOptions } from '../../shared/queue/index.ts'
import { type OpenTasksOf, startTasks, type Task } from '../../shared/schedule/index.ts'
import { observeHttpApp, serveMetrics } from '../../shared/telemetry/index.ts'
import { MIRROR_LEASE_SECONDS, mirrorTenant } from '../../shared/tenants/index.ts'
import { type AdminConfig, loadAdminConfig } from './config.ts'
import { adminTasks } from './tasks.ts'

/** Tenants change rarely; this many changes reach the authorization server side by side. */
const MIRROR_CONCURRENCY = 8
const MIRROR_IDLE_MS = 5_000
/** Of a run by the clock; what is left has its turn in the next. */
const MIRROR_TASK_MS = 30_000

/** Brings tenants to the authorization server, whoever hands out the jobs. */
const mirrorWork = (node: NodeContext, config: AdminConfig): WorkOptions => {
  const auth = createAuthServiceClient({
    url: config.authServiceApiUrl,
    secret: authServiceSecret(config),
    http: node.trustedHttp,
  })
  return {
    queue: 'tenant-mirror',
    handler: (job) => mirrorTenant({ ...node, auth }, job),
    concurrency: MIRROR_CONCURRENCY,
    leaseSeconds: MIRROR_LEASE_SECONDS,
  }
}

/** The Admin API with everything that it stands on. Nothing listens yet, and nothing works on jobs. */
export interface OpenAdmin {
  config: AdminConfig
  node: NodeContext
  app: FastifyInstance
  /** What is done with jobs of tenants. */
  mirror: WorkOptions
  /** By the clock. */
  tasks: readonly Task[]
  close(): Promise<void>
}

export const openAdmin: OpenDeployable<OpenAdmin> = async (env, host) => {
  const config = loadAdminConfig(env)
  // While the database answers.
  const loading = import('./app.ts')
  const node = await createNodeContext(config, { name: 'admin', environment: env, host })
  try {
    const { buildAdminApp } = await loading
    const mirror = mirrorWork(node, config)
    const workOnMirror = (withinMs: number) =>
      drainJobs(node, mirror, withinMs).catch((error: unknown) =>
        node.log.warn({ reason: messageOf(error) }, 'cannot work on tenants; their jobs remain'),
      )
    const app = await buildAdminApp(
      {
        ...node,
        idempotency: { lockMs: config.idempotencyLockMs, lifespanMs: config.idempotencyLifespanMs },
        peering: present({ ilpConnectorUrl: config.ilpConnectorUrl, name: config.instanceName }),
        peeringPolicy: toPeeringPolicy(config),
        // In a sandbox nobody consumes.
        ...(host === 'sandbox' && { workOnMirror }),
      },
      {
        log: node.log,
        trustProxy: config.trustProxy,
        introspection: config.nodeEnv !== 'production',
        corsOrigins: config.adminCorsOrigins,
        apiKeysEnabled: config.adminApiKeysEnabled,
        signature: { version: config.adminSignatureVersion, ttlSeconds: config.adminSignatureTtlSeconds },
      },
    )
    observeHttpApp(node.telemetry, app, { listener: 'admin', callers: 'node' })
    const close = async () => {
      await app.close()
      await node.close()
    }
    const tasks = adminTasks(node, () => drainJobs(node, mirror, MIRROR_TASK_MS))
    return { config, node, app, mirror, tasks, close }
  } catch (error) {
    await node.close()
    throw error
  }
}

/** For whoever drives them from outside. */
export const openAdminTasks: OpenTasksOf = async (env, host) => {
  const { node, tasks, close } = await openAdmin(env, host)
  return { ctx: node, tasks, close }
}

/** Starts the Admin GraphQL listener on ADMIN_PORT. */
export const startAdmin: StartDeployable = async (env) => {
  const { config, node, app, mirror, tasks, close } = await openAdmin(env, 'server')
  try {
    serveMetrics(node.telemetry, app)
    const port = await listenOn(app, config.adminPort)
    const ports = await node.telemetry.listen(node.ready)
    const schedule = startTasks(node, tasks)
    const consumer = consumeJobs(node, { ...mirror, idleMs: MIRROR_IDLE_MS })
    return {
      name: 'admin',
      ports: { admin: port, ...ports },
      async close() {
        await schedule.close()
        // Mutations in flight wait for the mirror.
        await app.close()
        await consumer.close()
        await node.close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}
