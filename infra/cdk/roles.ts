// What runs: the roles of the build, the functions that they are on Lambda, and which variables each reads.
import { connectorConfig } from '../../connector/config.ts'
import { adminConfig } from '../../functions/admin/config.ts'
import { authConfig } from '../../functions/auth/config.ts'
import { autoPeeringConfig } from '../../functions/auto-peering/config.ts'
import { migrateConfig } from '../../functions/migrate/config.ts'
import { openPaymentsConfig } from '../../functions/open-payments/config.ts'
import { paymentsConfig } from '../../functions/payments/config.ts'
import { relayConfig } from '../../functions/relay/config.ts'
import { webhooksConfig } from '../../functions/webhooks/config.ts'

/** As much of a schema's variable as matters here. */
export interface RoleVariable {
  name: string
  fallback?: unknown
  optional?: boolean
  secret?: boolean
}
type Schema = Readonly<Record<string, RoleVariable>>

export const roles = [
  'open-payments',
  'auth',
  'admin',
  'auto-peering',
  'webhooks',
  'payments',
  'relay',
  'connector',
  'migrate',
] as const
export type Role = (typeof roles)[number]
export type ContainerRole = 'connector' | 'relay' | 'webhooks' | 'payments'

const schemas: Readonly<Record<Role, Schema>> = {
  'open-payments': openPaymentsConfig,
  auth: authConfig,
  admin: adminConfig,
  'auto-peering': autoPeeringConfig,
  webhooks: webhooksConfig,
  payments: paymentsConfig,
  relay: relayConfig,
  connector: connectorConfig,
  migrate: migrateConfig,
}

export const variablesOf = (role: Role): RoleVariable[] => [
  ...new Map(Object.values(schemas[role]).map((variable) => [variable.name, variable])).values(),
]
export const everyVariable: ReadonlySet<string> = new Set(
  roles.flatMap((role) => variablesOf(role).map(({ name }) => name)),
)
export const secretVariables: ReadonlySet<string> = new Set(
  roles.flatMap((role) =>
    variablesOf(role)
      .filter(({ secret }) => secret)
      .map(({ name }) => name),
  ),
)

/** Ports of the private load balancer, which are the roles' own. */
export const PRIVATE_PORTS = {
  admin: 3001,
  'auth-admin': 3003,
  'auth-introspection': 3007,
  'auth-interaction': 3009,
  'auth-service': 3011,
} as const
export type PrivateListener = keyof typeof PRIVATE_PORTS
export type PublicListener = 'open-payments' | 'auth' | 'auto-peering'

export type Trigger =
  | { kind: 'public'; listener: PublicListener }
  | { kind: 'private'; listener: PrivateListener }
  | { kind: 'queue'; queue: 'webhooks' | 'payments' }
  | { kind: 'tasks' }

export interface LambdaFunction {
  /** Name within the installation. */
  id: string
  role: Exclude<Role, 'connector' | 'migrate'>
  /** Export of the role's `lambda.mjs`. */
  handler: string
  trigger: Trigger
}

export const lambdaFunctions: readonly LambdaFunction[] = [
  ...(['open-payments', 'auto-peering'] as const).map(
    (role): LambdaFunction => ({
      id: role,
      role,
      handler: 'handler',
      trigger: { kind: 'public', listener: role },
    }),
  ),
  { id: 'auth', role: 'auth', handler: 'auth', trigger: { kind: 'public', listener: 'auth' } },
  ...(['interaction', 'introspection', 'service', 'admin'] as const).map(
    (handler): LambdaFunction => ({
      id: `auth-${handler}`,
      role: 'auth',
      handler,
      trigger: { kind: 'private', listener: `auth-${handler}` },
    }),
  ),
  { id: 'admin', role: 'admin', handler: 'handler', trigger: { kind: 'private', listener: 'admin' } },
  ...(['webhooks', 'payments'] as const).map(
    (role): LambdaFunction => ({
      id: role,
      role,
      handler: 'handler',
      trigger: { kind: 'queue', queue: role },
    }),
  ),
  ...(['auth', 'admin', 'auto-peering', 'webhooks', 'payments', 'relay'] as const).map(
    (role): LambdaFunction => ({ id: `${role}-task`, role, handler: 'task', trigger: { kind: 'tasks' } }),
  ),
]
