import { createNodeContext } from '../../shared/node-context/index.ts'
import { listenOn, messageOf, type StartDeployable } from '../../shared/platform/index.ts'
import { buildAdminApp } from './app.ts'
import { loadAdminConfig } from './config.ts'
import { sweepIdempotencyKeys } from './idempotency.ts'
import { sweepSignatures } from './used-signatures.ts'

const SWEEP_MS = 60_000

/** Starts the Admin GraphQL listener on ADMIN_PORT. */
export const startAdmin: StartDeployable = async (env) => {
  const config = loadAdminConfig(env)
  const node = await createNodeContext(config, { name: 'admin', environment: env })
  try {
    const app = await buildAdminApp(
      {
        ...node,
        idempotency: { lockMs: config.idempotencyLockMs, lifespanMs: config.idempotencyLifespanMs },
      },
      {
        log: node.log,
        trustProxy: config.trustProxy,
        introspection: config.nodeEnv !== 'production',
        corsOrigins: config.adminCorsOrigins,
        signature: { version: config.adminSignatureVersion, ttlSeconds: config.adminSignatureTtlSeconds },
      },
    )
    const sweep = setInterval(() => {
      Promise.all([sweepSignatures(node), sweepIdempotencyKeys(node)]).catch((error: unknown) =>
        node.log.warn({ reason: messageOf(error) }, 'sweep failed; the next one tries again'),
      )
    }, SWEEP_MS)
    sweep.unref()
    const port = await listenOn(app, config.adminPort)
    return {
      name: 'admin',
      ports: { admin: port },
      async close() {
        clearInterval(sweep)
        await app.close()
        await node.close()
      },
    }
  } catch (error) {
    await node.close()
    throw error
  }
}
