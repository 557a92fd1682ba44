import type { FastifyInstance } from 'fastify'
import { createAttemptLimiter, createClientKeys, publicHostsOf } from '../../shared/http-signatures/index.ts'
import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { createLazyValidator } from '../../shared/openapi/index.ts'
import { listenOn, type OpenDeployable, present, type StartDeployable } from '../../shared/platform/index.ts'
import { observeHttpApp } from '../../shared/telemetry/index.ts'
import { loadOpenPaymentsConfig, type OpenPaymentsConfig } from './config.ts'
import type { OpenPaymentsContext } from './context.ts'
import { createIntrospect } from './introspection.ts'
import { createNonces } from './nonces.ts'

const INTROSPECTION_TIMEOUT_MS = 5_000

const withoutSlash = (url: string) => url.replace(/\/+$/, '')

/** The node's own address as wallet addresses are looked up: https, whatever the transport. */
const lookupForm = (url: string) => withoutSlash(url.toLowerCase().replace(/^http:/, 'https:'))

/** Joins the node with what only this listener has. */
function createOpenPaymentsContext(node: NodeContext, config: OpenPaymentsConfig): OpenPaymentsContext {
  const { db, clock, log } = node
  return {
    ...node,
    urls: {
      openPayments: withoutSlash(config.openPaymentsUrl),
      authServer: withoutSlash(config.authServerGrantUrl),
      ...present({ cardService: config.cardServiceUrl && withoutSlash(config.cardServiceUrl) }),
    },
    introspect: createIntrospect({
      http: node.trustedHttp,
      clock,
      log,
      url: config.introspectionUrl,
      timeoutMs: INTROSPECTION_TIMEOUT_MS,
      cacheMs: config.introspectionCacheMs,
    }),
    signatures: {
      clock,
      keys: createClientKeys({ http: node.guardedHttp, clock }),
      nonces: createNonces({ db, clock }),
      limiter: createAttemptLimiter({ clock }),
      windowSeconds: config.signatureWindowSeconds,
    },
    publicHosts: publicHostsOf([config.openPaymentsUrl, ...config.publicHosts]),
    trustProxy: config.trustProxy,
    validators: {
      resource: createLazyValidator({ spec: 'resource-server' }),
      walletAddress: createLazyValidator({ spec: 'wallet-address-server' }),
    },
    validatesResponses: config.nodeEnv !== 'production',
    ownWalletAddress: lookupForm(config.walletAddressUrl),
    instanceJwks: node.instanceKeys.published,
    ...present({ walletAddressPage: config.walletAddressRedirectHtmlPage }),
    awaitsWalletAddresses: config.walletAddressNotFoundPolling,
    answersSpsp: config.spspEnabled,
  }
}

/** The resource server with everything that it stands on. Nothing listens yet. */
export interface OpenOpenPayments {
  config: OpenPaymentsConfig
  node: NodeContext
  app: FastifyInstance
  close(): Promise<void>
}

export const openOpenPayments: OpenDeployable<OpenOpenPayments> = async (environment, host) => {
  const config = loadOpenPaymentsConfig(environment)
  // While the database answers.
  const loading = import('./app.ts')
  const node = await createNodeContext(config, { name: 'open-payments', environment, host })
  try {
    const { buildOpenPaymentsApp } = await loading
    const app = await buildOpenPaymentsApp(createOpenPaymentsContext(node, config))
    observeHttpApp(node.telemetry, app, { listener: 'openPayments', callers: 'anybody' })
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

/** The resource server and the wallet addresses. */
export const startOpenPayments: StartDeployable = async (environment) => {
  const { config, node, app, close } = await openOpenPayments(environment, 'server')
  try {
    const port = await listenOn(app, config.openPaymentsPort)
    const ports = await node.telemetry.listen(node.ready)
    return { name: 'open-payments', ports: { openPayments: port, ...ports }, close }
  } catch (error) {
    await close()
    throw error
  }
}
