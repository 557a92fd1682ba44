// How a role becomes a Lambda function.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ISecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2'
import { Effect, Role as IamRole, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  Architecture,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
} from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import { type RoleEnvironment, type Surroundings, secretStatements } from '../environment.ts'
import type { Role } from '../roles.ts'
import type { SecretValue } from './data.ts'
import type { NetworkStack } from './network.ts'

export interface ComputeContext {
  config: UpesiConfig
  network: NetworkStack
  around: Surroundings
  /** Where the build put the roles. */
  dist: string
}

export interface FunctionSpec {
  id: string
  role: Role
  handler: string
  environment: RoleEnvironment
  group: ISecurityGroup
  timeoutSeconds?: number
  /** It is invoked once in a deployment, also while the others are stopped: the limit that holds for all is not its own. */
  isOnce?: boolean
}

/** A secret as the software is told of it: its ARN, and the key where it is an object. */
const whereItLies = ({ secret, key }: SecretValue): string =>
  key === undefined ? secret.secretArn : `${secret.secretArn}#${key}`

/** A network interface belongs to no resource that a policy could name before it is there. */
const NETWORK_INTERFACES = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
]

export function roleCode(dist: string, role: Role): Code {
  const folder = join(dist, role)
  if (!existsSync(join(folder, 'lambda.mjs')))
    throw new Error(`${folder} has no lambda.mjs: build first (npm run build)`)
  return Code.fromAsset(folder)
}

/** Folders as the build makes them, with nothing in them: for a synthesis that deploys nothing. */
export function placeholderDist(folder: string, roles: readonly Role[]): string {
  for (const role of roles) {
    mkdirSync(join(folder, role), { recursive: true })
    writeFileSync(join(folder, role, 'lambda.mjs'), '// Placeholder of a synthesis without a build.\n')
  }
  return folder
}

export function createFunction(scope: Construct, ctx: ComputeContext, spec: FunctionSpec): LambdaFunction {
  const { config, network } = ctx
  const own = config.functions.each[spec.id]
  const settings = { ...config.functions.defaults, ...own }
  const reserved = spec.isOnce ? own?.reservedConcurrency : settings.reservedConcurrency
  const logGroup = new LogGroup(scope, `${spec.id}-logs`, {
    retention: config.logDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const role = new IamRole(scope, `${spec.id}-role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: `${config.name}: ${spec.id}`,
  })
  logGroup.grantWrite(role)
  role.addToPolicy(
    new PolicyStatement({ effect: Effect.ALLOW, actions: NETWORK_INTERFACES, resources: ['*'] }),
  )
  acknowledge(role, {
    'AwsSolutions-IAM5[Resource::*]':
      'Lambda makes and removes the network interfaces of a function in a VPC with its role; they have no name beforehand.',
  })
  const secrets = Object.entries(spec.environment.secrets)
  for (const statement of secretStatements(Stack.of(scope), spec.environment, ctx.around.keyArn))
    role.addToPolicy(statement)
  return new LambdaFunction(scope, spec.id, {
    description: `${config.name}: ${spec.id}`,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    code: roleCode(ctx.dist, spec.role),
    handler: `lambda.${spec.handler}`,
    memorySize: settings.memoryMb ?? 1024,
    timeout: Duration.seconds(spec.timeoutSeconds ?? settings.timeoutSeconds ?? 29),
    ...(typeof reserved === 'number' && { reservedConcurrentExecutions: reserved }),
    role,
    vpc: network.vpc,
    vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
    securityGroups: [spec.group],
    logGroup,
    loggingFormat: LoggingFormat.JSON,
    environment: {
      ...spec.environment.plain,
      NODE_OPTIONS: '--enable-source-maps',
      SECRETS_REVISION: config.secretsRevision,
      AWS_SECRETS: JSON.stringify(
        Object.fromEntries(secrets.map(([name, value]) => [name, whereItLies(value)])),
      ),
    },
  })
}
