// What each role is told: its variables, plain ones as they are, secrets by where they lie.
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Stack } from 'aws-cdk-lib/core'
import { batchesAtOnce } from './batches.ts'
import type { UpesiConfig } from './config.ts'
import { PRIVATE_PORTS, type Role, variablesOf } from './roles.ts'
import type { DatabaseAccess, SecretValue } from './stacks/data.ts'
import { hostsOf } from './stacks/public-front.ts'

/** What the stacks know and the operator does not have to say. */
export interface Surroundings {
  resources: DatabaseAccess
  auth: DatabaseAccess
  secrets: Readonly<Record<string, SecretValue>>
  /** Encrypts those that were made with the installation. */
  keyArn: string
  /** URLs of the broker's queues, by their variables. */
  queueUrls: Readonly<Record<string, string>>
  /** Host of the private load balancer; none for roles that are made before it and do not call it. */
  privateHost?: string
  connectorRpcUrl: string
  redisUrl: string
  tigerbeetleAddresses?: string
}

export interface RoleEnvironment {
  plain: Record<string, string>
  secrets: Record<string, SecretValue>
}

/** On Lambda each sandbox serves one request at a time, and has a pool of its own. */
const LAMBDA_POOL_SIZE = '2'
const CONTAINER_POOL_SIZE = '10'

function offered(
  role: Role,
  config: UpesiConfig,
  around: Surroundings,
  host: 'lambda' | 'container',
): Record<string, string> {
  const { urls } = config
  const [, ...furtherHosts] = hostsOf(config, 'open-payments')
  return {
    NODE_ENV: 'production',
    TRUST_PROXY: 'true',
    ENABLE_MANUAL_MIGRATIONS: 'true',
    DATABASE_POOLER: 'true',
    DATABASE_POOL_SIZE: host === 'lambda' ? LAMBDA_POOL_SIZE : CONTAINER_POOL_SIZE,
    DATABASE_URL: around.resources.url,
    // A session that listens is pinned by the proxy: a few of them, for what runs all the time.
    ...(host === 'container' &&
      config.secrets.DATABASE_URL === undefined && { DATABASE_LISTEN_URL: around.resources.url }),
    AUTH_DATABASE_URL: around.auth.url,
    QUEUE_DRIVER: config.queue,
    ...(config.workers === 'lambda' && {
      SQS_WEBHOOKS_MAX_CONCURRENCY: String(batchesAtOnce(config, 'webhooks')),
      SQS_PAYMENTS_MAX_CONCURRENCY: String(batchesAtOnce(config, 'payments')),
    }),
    USE_TIGERBEETLE: String(config.ledger === 'tigerbeetle'),
    OPEN_PAYMENTS_URL: urls.openPayments,
    WALLET_ADDRESS_URL: urls.walletAddress,
    AUTH_SERVER_GRANT_URL: urls.auth,
    AUTH_SERVER_URL: urls.auth,
    ...(role === 'open-payments' && furtherHosts.length > 0 && { PUBLIC_HOSTS: furtherHosts.join(',') }),
    ...(urls.ilp && { ILP_CONNECTOR_URL: urls.ilp }),
    ...(urls.autoPeering && { ENABLE_AUTO_PEERING: 'true' }),
    CONNECTOR_RPC_URL: around.connectorRpcUrl,
    REDIS_URL: around.redisUrl,
    ...(around.tigerbeetleAddresses && {
      TIGERBEETLE_REPLICA_ADDRESSES: around.tigerbeetleAddresses,
      TIGERBEETLE_CLUSTER_ID: config.tigerbeetle.clusterId,
    }),
    ...(around.privateHost && {
      AUTH_SERVER_INTROSPECTION_URL: `http://${around.privateHost}:${PRIVATE_PORTS['auth-introspection']}`,
      AUTH_SERVICE_API_URL: `http://${around.privateHost}:${PRIVATE_PORTS['auth-service']}`,
    }),
  }
}

/** Passwords of the databases whose URLs were not brought by the operator, with them. */
function passwords(role: Role, config: UpesiConfig, around: Surroundings): Record<string, SecretValue> {
  const read = new Set(variablesOf(role).map(({ name }) => name))
  return {
    ...(read.has('DATABASE_URL') &&
      config.secrets.DATABASE_URL === undefined && { DATABASE_PASSWORD: around.resources.password }),
    ...(read.has('AUTH_DATABASE_URL') &&
      config.secrets.AUTH_DATABASE_URL === undefined && { AUTH_DATABASE_PASSWORD: around.auth.password }),
  }
}

/** Throws when a variable that the role must have comes from nowhere. */
export function environmentOf(
  role: Role,
  host: 'lambda' | 'container',
  config: UpesiConfig,
  around: Surroundings,
): RoleEnvironment {
  const variables = variablesOf(role)
  const read = new Set(variables.map(({ name }) => name))
  const secretNames = new Set(variables.filter(({ secret }) => secret).map(({ name }) => name))
  const given = {
    ...offered(role, config, around, host),
    ...around.queueUrls,
    ...config.environment,
  }
  const plain = Object.fromEntries(
    Object.entries({ ...given, ...config.environmentOf[role] }).filter(
      ([name]) => read.has(name) && config.secrets[name] === undefined,
    ),
  )
  const secrets = {
    ...Object.fromEntries(Object.entries(around.secrets).filter(([name]) => secretNames.has(name))),
    ...passwords(role, config, around),
  }
  const missing = variables.filter(
    ({ name, fallback, optional }) =>
      fallback === undefined && !optional && plain[name] === undefined && secrets[name] === undefined,
  )
  if (missing.length > 0)
    throw new Error(`${role} needs ${missing.map(({ name }) => name).join(', ')}: say so in environment`)
  return { plain, secrets }
}

/** What a role may do that has these secrets: read them and no others. */
export function secretStatements(
  stack: Stack,
  { secrets }: RoleEnvironment,
  keyArn: string,
): PolicyStatement[] {
  const arns = [...new Set(Object.values(secrets).map(({ secret }) => secret.secretArn))]
  return [
    new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: arns }),
    new PolicyStatement({
      actions: ['kms:Decrypt'],
      resources: [keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${stack.region}.amazonaws.com` } },
    }),
  ]
}
