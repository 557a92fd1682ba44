import { createAttemptLimiter } from '../../shared/http-signatures/index.ts'
import { createNodeContext } from '../../shared/node-context/index.ts'
import { proveEndpoints, toPeeringPolicy } from '../../shared/peers/index.ts'
import { ConfigError, listenOn, messageOf, type StartDeployable, sql } from '../../shared/platform/index.ts'
import { buildAutoPeeringApp } from './app.ts'
import { loadAutoPeeringConfig } from './config.ts'
import { createProver } from './prover.ts'

/** Accepts requests to peer on AUTO_PEERING_SERVER_PORT. Refuses to start unless ENABLE_AUTO_PEERING is true. */
export const startAutoPeering: StartDeployable = async (env) => {
  const config = loadAutoPeeringConfig(env)
  const { ilpConnectorUrl, instanceName: name } = config
  if (ilpConnectorUrl === undefined || name === undefined)
    throw new ConfigError(['ILP_CONNECTOR_URL and INSTANCE_NAME are required'])
  const node = await createNodeContext(config, { name: 'auto-peering', environment: env })
  try {
    const prover = createProver({
      prove: () => proveEndpoints(node),
      onFault: (error) => node.log.warn({ reason: messageOf(error) }, 'endpoints cannot be proven'),
    })
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
      onAccepted: prover.wake,
      ready: async () => {
        await node.db.execute(sql`select 1`)
      },
    })
    const port = await listenOn(app, config.autoPeeringPort)
    return {
      name: 'auto-peering',
      ports: { autoPeering: port },
      async close() {
        await app.close()
        await prover.close()
        await node.close()
      },
    }
  } catch (error) {
    await node.close()
    throw error
  }
}
