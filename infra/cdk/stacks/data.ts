import { SubnetType } from 'aws-cdk-lib/aws-ec2'
import { CfnServerlessCache } from 'aws-cdk-lib/aws-elasticache'
import { Key } from 'aws-cdk-lib/aws-kms'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  type DatabaseProxy,
  ParameterGroup,
} from 'aws-cdk-lib/aws-rds'
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager'
import {
  CrossStackReferences,
  Duration,
  ReferenceStrength,
  RemovalPolicy,
  Stack,
  type StackProps,
} from 'aws-cdk-lib/core'
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources'
import { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import type { NetworkStack } from './network.ts'
import type { GroupName } from './traffic.ts'

const USER = 'upesi'
const DATABASES = { resources: 'resources', auth: 'auth' } as const

/** Secrets that a node must have, made when the operator brings none: letters and digits, 43 of which are 32 bytes in base64. */
const GENERATED: Readonly<Record<string, number>> = {
  ADMIN_API_SECRET: 64,
  STREAM_SECRET: 43,
  DB_ENCRYPTION_SECRET: 43,
  SIGNATURE_SECRET: 64,
  COOKIE_KEY: 64,
  IDENTITY_SERVER_SECRET: 64,
}

/** A value in Secrets Manager, as `AWS_SECRETS` and containers name it. */
export interface SecretValue {
  secret: ISecret
  key?: string
}

export interface DatabaseAccess {
  /** Through the proxy, without a password: that comes from `password`. */
  url: string
  /** Past the proxy, whose sessions are not one client's: for migrations. */
  directUrl: string
  password: SecretValue
}

interface PostgresProps {
  config: UpesiConfig
  network: NetworkStack
  key: Key
  databaseName: string
  /** A second database is made by a statement through the Data API. */
  hasTwo: boolean
  group: GroupName
  proxyGroup: GroupName
}

/** A cluster in the subnets without a way out, and the proxy that shares its connections. */
class Postgres extends Construct {
  readonly cluster: DatabaseCluster
  readonly proxy: DatabaseProxy
  readonly login: ISecret

  constructor(scope: Construct, id: string, props: PostgresProps) {
    super(scope, id)
    const { config, network, key } = props
    const engine = DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_5 })
    const subnets = { subnetType: SubnetType.PRIVATE_ISOLATED }
    const clusterIdentifier = `${config.name}-${props.databaseName}`.toLowerCase()
    const logs = new LogGroup(this, 'Logs', {
      logGroupName: `/aws/rds/cluster/${clusterIdentifier}/postgresql`,
      retention: config.logDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    })
    this.cluster = new DatabaseCluster(this, 'Cluster', {
      engine,
      clusterIdentifier,
      credentials: Credentials.fromGeneratedSecret(USER, { encryptionKey: key }),
      defaultDatabaseName: props.databaseName,
      vpc: network.vpc,
      vpcSubnets: subnets,
      securityGroups: [network.groups[props.group]],
      writer: ClusterInstance.serverlessV2('Writer'),
      readers: Array.from({ length: config.database.readers }, (_, index) =>
        ClusterInstance.serverlessV2(`Reader${index + 1}`, { scaleWithWriter: true }),
      ),
      serverlessV2MinCapacity: config.database.capacityMin,
      serverlessV2MaxCapacity: config.database.capacityMax,
      storageEncrypted: true,
      storageEncryptionKey: key,
      backup: { retention: Duration.days(config.database.backupDays) },
      cloudwatchLogsExports: ['postgresql'],
      deletionProtection: config.database.deletionProtection,
      removalPolicy: RemovalPolicy.SNAPSHOT,
      copyTagsToSnapshot: true,
      iamAuthentication: true,
      enableDataApi: props.hasTwo,
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        parameters: { 'rds.force_ssl': '1', log_min_duration_statement: '1000' },
      }),
    })
    // The cluster would make its own, which keeps everything for ever.
    this.cluster.node.addDependency(logs)
    if (!this.cluster.secret) throw new Error('a cluster with generated credentials has a secret')
    this.login = this.cluster.secret
    this.proxy = this.cluster.addProxy('Proxy', {
      dbProxyName: clusterIdentifier,
      secrets: [this.login],
      vpc: network.vpc,
      vpcSubnets: subnets,
      securityGroups: [network.groups[props.proxyGroup]],
      requireTLS: true,
      maxConnectionsPercent: 90,
      borrowTimeout: Duration.seconds(10),
    })
    acknowledge(this.cluster, {
      'AwsSolutions-SMG4':
        'The login is rotated by the operator together with the proxy (docs/operating-aws.md).',
      ...(!config.database.deletionProtection && {
        'AwsSolutions-RDS10': 'The operator has turned it off, who is about to take the installation away.',
      }),
    })
  }

  access(database: string): DatabaseAccess {
    // The proxy shows a certificate of a public authority, which Node knows.
    const urlAt = (host: string) => `postgresql://${USER}@${host}:5432/${database}?sslmode=verify-full`
    const secret = Secret.fromSecretCompleteArn(this, `Login-${database}`, this.login.secretArn)
    return {
      url: urlAt(this.proxy.endpoint),
      directUrl: urlAt(this.cluster.clusterEndpoint.hostname),
      password: { secret, key: 'password' },
    }
  }
}

/** What must not be lost: databases, the cache, secrets and the key that encrypts them. */
export class DataStack extends Stack {
  readonly key: Key
  readonly resources: DatabaseAccess
  readonly auth: DatabaseAccess
  readonly clusters: DatabaseCluster[]
  readonly cacheEndpoint: string | undefined
  /** Those that were made here or named by the operator, by variable. */
  readonly secrets: Readonly<Record<string, SecretValue>>

  constructor(
    scope: Construct,
    id: string,
    props: StackProps & { config: UpesiConfig; network: NetworkStack },
  ) {
    super(scope, id, props)
    const { config, network } = props
    this.key = new Key(this, 'Key', {
      description: `${config.name}: databases, cache and secrets`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    })
    const common = { config, network, key: this.key }
    const resources = new Postgres(this, 'Resources', {
      ...common,
      databaseName: DATABASES.resources,
      hasTwo: config.database.authCluster === 'shared',
      group: 'database',
      proxyGroup: 'database-proxy',
    })
    this.resources = resources.access(DATABASES.resources)
    if (config.database.authCluster === 'own') {
      const auth = new Postgres(this, 'Auth', {
        ...common,
        databaseName: DATABASES.auth,
        hasTwo: false,
        group: 'auth-database',
        proxyGroup: 'auth-database-proxy',
      })
      this.auth = auth.access(DATABASES.auth)
      this.clusters = [resources.cluster, auth.cluster]
    } else {
      this.#createDatabase(config, resources, DATABASES.auth)
      this.auth = resources.access(DATABASES.auth)
      this.clusters = [resources.cluster]
    }
    this.cacheEndpoint = config.cache ? this.#cache(config, network) : undefined
    this.secrets = this.#secrets(config)
  }

  /** A cluster is made with one database; the second is made by a statement, once. Migrations fail where it is missing. */
  #createDatabase(config: UpesiConfig, { cluster, login, proxy }: Postgres, database: string): void {
    const create = new AwsCustomResource(this, 'CreateAuthDatabase', {
      onCreate: {
        service: 'rds-data',
        action: 'ExecuteStatement',
        parameters: {
          resourceArn: cluster.clusterArn,
          secretArn: login.secretArn,
          database: DATABASES.resources,
          sql: `create database ${database}`,
        },
        physicalResourceId: PhysicalResourceId.of(`database-${database}`),
        // It is there already where the cluster came from a snapshot.
        ignoreErrorCodesMatching: 'DatabaseErrorException',
      },
      policy: AwsCustomResourcePolicy.fromSdkCalls({ resources: [cluster.clusterArn] }),
      installLatestAwsSdk: false,
      logGroup: new LogGroup(this, 'CreateAuthDatabaseLogs', {
        retention: config.logDays as RetentionDays,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    })
    login.grantRead(create)
    create.node.addDependency(cluster, proxy)
    const provider = this.node.findChild(`AWS${AwsCustomResource.PROVIDER_FUNCTION_UUID.replaceAll('-', '')}`)
    acknowledge(provider, {
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]':
        "The function is the library's; it runs one statement when the stack is made.",
    })
  }

  #cache(config: UpesiConfig, network: NetworkStack): string {
    const cache = new CfnServerlessCache(this, 'Cache', {
      serverlessCacheName: `${config.name}-cache`.toLowerCase(),
      engine: 'valkey',
      majorEngineVersion: '8',
      kmsKeyId: this.key.keyArn,
      securityGroupIds: [network.groups.cache.securityGroupId],
      subnetIds: network.vpc.selectSubnets({ subnetType: SubnetType.PRIVATE_ISOLATED }).subnetIds.slice(0, 3),
      cacheUsageLimits: { dataStorage: { maximum: 5, unit: 'GB' } },
    })
    CrossStackReferences.of(cache).produce(ReferenceStrength.WEAK)
    return cache.attrEndpointAddress
  }

  /** As others get it: who may read it stands in their policies, and none is added here. */
  #fixed(secret: Secret): ISecret {
    return Secret.fromSecretCompleteArn(this, `Fixed-${secret.node.id}`, secret.secretArn)
  }

  #secrets(config: UpesiConfig): Record<string, SecretValue> {
    const own = Object.entries(GENERATED)
      .filter(([variable]) => config.secrets[variable] === undefined)
      .map(([variable, passwordLength]): [string, SecretValue] => {
        const secret = new Secret(this, variable, {
          description: `${config.name}: ${variable}`,
          encryptionKey: this.key,
          generateSecretString: { passwordLength, excludePunctuation: true },
          removalPolicy: RemovalPolicy.RETAIN,
        })
        acknowledge(secret, {
          'AwsSolutions-SMG4':
            'Both sides of a secret must change together: the operator rotates it with its PREVIOUS variable (docs/key-rotation.md).',
        })
        CrossStackReferences.of(secret).produce(ReferenceStrength.WEAK)
        return [variable, { secret: this.#fixed(secret) }]
      })
    const named = Object.entries(config.secrets).map(([variable, text]): [string, SecretValue] => {
      const [arn = '', key] = text.split('#')
      const secret = Secret.fromSecretCompleteArn(this, `Named-${variable}`, arn)
      return [variable, key === undefined ? { secret } : { secret, key }]
    })
    return Object.fromEntries([...own, ...named])
  }
}
