import type { FastifyInstance } from 'fastify'
import { createAttemptLimiter } from '../../shared/http-signatures/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { proveEndpoints, toPeeringPolicy } from '../../shared/peers/index.ts'
import {
  ConfigError,
  type Environment,
  type Host,
  listenOn,
  messageOf,
  type StartDeployable,
  sql,
} from '../../shared/platform/index.ts'
import type { OpenTasksOf } from '../../shared/schedule/index.ts'
import { type AutoPeeringConfig, loadAutoPeeringConfig } from './config.ts'
import { createProver, type Prover } from './prover.ts'
import { autoPeeringTasks } from './tasks.ts'

/** The listener that accepts requests to peer, with everything that it stands on. Nothing listens yet. */
export interface OpenAutoPeering {
  config: AutoPeeringConfig
  node: NodeContext
  app: FastifyInstance
  close(): Promise<void>
}

/** Refuses unless ENABLE_AUTO_PEERING is true. `onAccepted`: somebody waits for a proof. */
export async function openAutoPeering(
  env: Environment,
  host: Host,
  onAccepted: () => void = () => undefined,
): Promise<OpenAutoPeering> {
  const config = loadAutoPeeringConfig(env)
  const { ilpConnectorUrl, instanceName: name } = config
  if (ilpConnectorUrl === undefined || name === undefined)
    throw new ConfigError(['ILP_CONNECTOR_URL and INSTANCE_NAME are required'])
  // While the database answers.
  const loading = import('./app.ts')
  const node = await createNodeContext(config, { name: 'auto-peering', environment: env, host })
  try {
    const { buildAutoPeeringApp } = await loading
    const app = await buildAutoPeeringApp({
      ...node,
      own: {
        tenantId: config.operatorTenantId,
        staticIlpAddress: config.ilpAddress,
        ilpConnectorUrl,
        name,
      },
      policy: toPeeringPolicy(config),
      limiter: createAttemptLimiter({ clock: node.clock }),
      trustProxy: config.trustProxy,
      onAccepted,
      ready: async () => {
        await node.db.execute(sql`select 1`)
      },
    })
    const close = async () => {
      await app.close()
      await node.close()
    }
    return { config, node, app, close }
  } catch (error) {
    await node.close()
    throw error
  }
}

/** For whoever drives them from outside. */
export const openAutoPeeringTasks: OpenTasksOf = async (env, host) => {
  const { node, close } = await openAutoPeering(env, host)
  return { ctx: node, tasks: autoPeeringTasks(node), close }
}

/** Accepts requests to peer on AUTO_PEERING_SERVER_PORT. Refuses to start unless ENABLE_AUTO_PEERING is true. */
export const startAutoPeering: StartDeployable = async (env) => {
  let prover: Prover | undefined
  const { config, node, app, close } = await openAutoPeering(env, 'server', () => prover?.wake())
  try {
    prover = createProver({
      prove: () => proveEndpoints(node),
      onFault: (error) => node.log.warn({ reason: messageOf(error) }, 'endpoints cannot be proven'),
    })
    const port = await listenOn(app, config.autoPeeringPort)
    return {
      name: 'auto-peering',
      ports: { autoPeering: port },
      async close() {
        await app.close()
        await prover?.close()
        await node.close()
      },
    }
  } catch (error) {
    await prover?.close()
    await close()
    throw error
  }
}
