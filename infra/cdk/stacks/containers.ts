import { SubnetType } from 'aws-cdk-lib/aws-ec2'
import { Repository } from 'aws-cdk-lib/aws-ecr'
import {
  AwsLogDriverMode,
  Cluster,
  type ContainerDefinition,
  ContainerImage,
  ContainerInsights,
  Secret as ContainerSecret,
  CpuArchitecture,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LogDrivers,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs'
import {
  ApplicationLoadBalancer,
  ApplicationProtocol,
  type ApplicationTargetGroup,
  SslPolicy,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { ARecord, RecordTarget } from 'aws-cdk-lib/aws-route53'
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets'
import { DnsRecordType, PrivateDnsNamespace } from 'aws-cdk-lib/aws-servicediscovery'
import { CfnOutput, Duration, RemovalPolicy, Size, Stack, type StackProps } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import { type ContainerImageSource, portOf, type UpesiConfig } from '../config.ts'
import { environmentOf, type RoleEnvironment, type Surroundings, secretStatements } from '../environment.ts'
import type { ContainerRole } from '../roles.ts'
import { certificateOf, zoneOf } from './domains.ts'
import type { NetworkStack } from './network.ts'
import type { QueuesStack } from './queues.ts'
import { HTTPS } from './traffic.ts'

/** What Fargate gives at most: a connector that ends says so, finishes its packets, then its calls, 35 s each, and writes them down. */
const STOP_TIMEOUT = Duration.seconds(120)
const METRICS_PORT = 9464
const LOG_BUFFER = Size.mebibytes(25)
const WORKER = { cpu: 256, memoryMb: 512 } as const

/** As functions find the connector: a name within the network that every one of its tasks has. */
export const namespaceOf = (config: UpesiConfig): string => `${config.name.toLowerCase()}.internal`
export const connectorRpcUrl = (config: UpesiConfig): string =>
  `http://connector.${namespaceOf(config)}:${portOf(config, 'CONNECTOR_RPC_PORT')}`

/** What runs all the time: the connector, the relay beside it, and the workers where they are no functions. */
export class ContainersStack extends Stack {
  readonly cluster: Cluster
  readonly services: ReadonlyMap<string, { service: FargateService; logs: LogGroup }>
  readonly peers: { loadBalancer: ApplicationLoadBalancer; targets: ApplicationTargetGroup } | undefined
  readonly #config: UpesiConfig
  readonly #network: NetworkStack
  readonly #around: Surroundings
  readonly #queues: QueuesStack | undefined
  readonly #services = new Map<string, { service: FargateService; logs: LogGroup }>()

  constructor(
    scope: Construct,
    id: string,
    props: StackProps & {
      config: UpesiConfig
      network: NetworkStack
      around: Surroundings
      queues?: QueuesStack
    },
  ) {
    super(scope, id, props)
    this.#config = props.config
    this.#network = props.network
    this.#around = props.around
    this.#queues = props.queues
    this.cluster = new Cluster(this, 'Cluster', {
      vpc: props.network.vpc,
      containerInsightsV2: ContainerInsights.ENABLED,
    })
    const connector = this.#connector()
    this.peers = props.config.urls.ilp ? this.#peersListener(connector, props.config.urls.ilp) : undefined
    if (props.config.workers === 'containers')
      for (const role of ['webhooks', 'payments'] as const) this.#worker(role)
    this.services = this.#services
  }

  #image({ ecrRepository, tag, uri }: ContainerImageSource, name: string): ContainerImage {
    if (uri !== undefined) return ContainerImage.fromRegistry(uri)
    return ContainerImage.fromEcrRepository(
      Repository.fromRepositoryName(this, `Image-${name}`, ecrRepository ?? ''),
      tag,
    )
  }

  #task(id: string, size: { cpu: number; memoryMb: number }): FargateTaskDefinition {
    const task = new FargateTaskDefinition(this, `${id}-task`, {
      cpu: size.cpu,
      memoryLimitMiB: size.memoryMb,
      runtimePlatform: {
        cpuArchitecture: CpuArchitecture.ARM64,
        operatingSystemFamily: OperatingSystemFamily.LINUX,
      },
    })
    acknowledge(task, {
      'AwsSolutions-ECS2': 'Plain variables hold no secrets: those come from Secrets Manager.',
      'AwsSolutions-IAM5[Resource::*]':
        'ecr:GetAuthorizationToken, of the role that starts tasks, knows no resources.',
    })
    return task
  }

  #container(
    task: FargateTaskDefinition,
    role: ContainerRole,
    options: {
      image: ContainerImage
      logs: LogGroup
      environment: RoleEnvironment
      essential: boolean
      healthPort: number
    },
  ): ContainerDefinition {
    const { plain, secrets } = options.environment
    for (const statement of secretStatements(this, options.environment, this.#around.keyArn))
      task.addToExecutionRolePolicy(statement)
    return task.addContainer(role, {
      image: options.image,
      command: ['node', `dist/${role}/server.mjs`],
      essential: options.essential,
      ...(!options.essential && { enableRestartPolicy: true }),
      environment: {
        ...plain,
        NODE_OPTIONS: '--enable-source-maps',
        SECRETS_REVISION: this.#config.secretsRevision,
        METRICS_PORT: String(METRICS_PORT + (role === 'relay' ? 1 : 0)),
      },
      secrets: Object.fromEntries(
        Object.entries(secrets).map(([name, { secret, key }]) => [
          name,
          ContainerSecret.fromSecretsManager(secret, key),
        ]),
      ),
      // Lines that CloudWatch does not take are kept for a while and then lost: a process that waits for it forwards no packets.
      logging: LogDrivers.awsLogs({
        streamPrefix: role,
        logGroup: options.logs,
        mode: AwsLogDriverMode.NON_BLOCKING,
        maxBufferSize: LOG_BUFFER,
      }),
      readonlyRootFilesystem: true,
      stopTimeout: STOP_TIMEOUT,
      // Whether it turns, and no more: a database that is away for a minute is no reason to replace everything that waits for it.
      healthCheck: {
        command: [
          'CMD',
          'node',
          '-e',
          `fetch('http://127.0.0.1:${options.healthPort}/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`,
        ],
        interval: Duration.seconds(15),
        timeout: Duration.seconds(5),
        retries: 4,
        startPeriod: Duration.seconds(60),
      },
    })
  }

  #service(
    id: string,
    task: FargateTaskDefinition,
    options: { group: 'connector' | 'webhooks' | 'payments'; count: number; logs: LogGroup },
  ) {
    const service = new FargateService(this, id, {
      cluster: this.cluster as ICluster,
      taskDefinition: task,
      desiredCount: options.count,
      // A new one serves before an old one ends.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { rollback: true },
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [this.#network.groups[options.group]],
      enableExecuteCommand: false,
    })
    this.#services.set(id, { service, logs: options.logs })
    return service
  }

  #logs(id: string): LogGroup {
    return new LogGroup(this, `${id}-logs`, {
      retention: this.#config.logDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    })
  }

  #connector(): FargateService {
    const config = this.#config
    const logs = this.#logs('connector')
    const task = this.#task('connector', config.connector)
    const container = this.#container(task, 'connector', {
      image: this.#image(config.images.connector, 'connector'),
      logs,
      environment: environmentOf('connector', 'container', config, this.#around),
      essential: true,
      healthPort: portOf(config, 'CONNECTOR_RPC_PORT'),
    })
    container.addPortMappings(
      { containerPort: portOf(config, 'CONNECTOR_PORT') },
      { containerPort: portOf(config, 'CONNECTOR_RPC_PORT') },
    )
    if (this.#queues) this.#relay(task, logs, this.#queues)
    const service = this.#service('connector', task, {
      group: 'connector',
      count: config.connector.count,
      logs,
    })
    const namespace = new PrivateDnsNamespace(this, 'Namespace', {
      name: namespaceOf(config),
      vpc: this.#network.vpc,
    })
    service.enableCloudMap({
      cloudMapNamespace: namespace,
      name: 'connector',
      dnsRecordType: DnsRecordType.A,
      dnsTtl: Duration.seconds(10),
    })
    return service
  }

  /** It publishes what is due; should it end, it starts again, and the connector beside it does not notice. */
  #relay(task: FargateTaskDefinition, logs: LogGroup, queues: QueuesStack): void {
    this.#container(task, 'relay', {
      image: this.#image(this.#config.images.main, 'relay'),
      logs,
      environment: environmentOf('relay', 'container', this.#config, this.#around),
      essential: false,
      healthPort: METRICS_PORT + 1,
    })
    queues.allowPublishing(task.taskRole)
  }

  #worker(role: 'webhooks' | 'payments'): void {
    const logs = this.#logs(role)
    const task = this.#task(role, WORKER)
    this.#container(task, role, {
      image: this.#image(this.#config.images.main, role),
      logs,
      environment: environmentOf(role, 'container', this.#config, this.#around),
      essential: true,
      healthPort: METRICS_PORT,
    })
    if (this.#queues) {
      const { queue, deadLetters } = this.#queues.queues[role]
      queue.grantConsumeMessages(task.taskRole)
      deadLetters.grantSendMessages(task.taskRole)
    }
    this.#service(role, task, { group: role, count: 1, logs })
  }

  /** Peers on the internet, over TLS. The RPC has another port, which no listener leads to. */
  #peersListener(connector: FargateService, url: string) {
    const { host } = new URL(url)
    const port = portOf(this.#config, 'CONNECTOR_PORT')
    const loadBalancer = new ApplicationLoadBalancer(this, 'Peers', {
      vpc: this.#network.vpc,
      internetFacing: true,
      vpcSubnets: { subnetType: SubnetType.PUBLIC },
      securityGroup: this.#network.groups['peers-listener'],
      dropInvalidHeaderFields: true,
      deletionProtection: this.#config.database.deletionProtection,
    })
    acknowledge(loadBalancer, {
      'AwsSolutions-ELB2':
        'The connector logs and counts its packets; lines of a load balancer would say less.',
    })
    const listener = loadBalancer.addListener('Https', {
      port: HTTPS,
      protocol: ApplicationProtocol.HTTPS,
      certificates: [certificateOf(this, this.#config, host)],
      sslPolicy: SslPolicy.RECOMMENDED_TLS,
      open: false,
    })
    const targets = listener.addTargets('Connector', {
      port,
      protocol: ApplicationProtocol.HTTP,
      targets: [connector.loadBalancerTarget({ containerName: 'connector', containerPort: port })],
      // What fails this is replaced too. All connectors have one database: without it, another would be no better.
      healthCheck: {
        path: '/livez',
        port: String(port),
        interval: Duration.seconds(10),
        unhealthyThresholdCount: 2,
      },
      deregistrationDelay: Duration.seconds(30),
    })
    const zone = zoneOf(this, this.#config, host)
    if (zone)
      new ARecord(this, 'Record', {
        zone,
        recordName: host,
        target: RecordTarget.fromAlias(new LoadBalancerTarget(loadBalancer)),
      })
    else
      new CfnOutput(this, `Target-${host}`, {
        value: loadBalancer.loadBalancerDnsName,
        description: `alias of ${host}`,
      })
    return { loadBalancer, targets }
  }
}
