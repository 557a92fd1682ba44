import {
  AclCidr,
  AclTraffic,
  Action,
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISecurityGroup,
  type IVpc,
  NetworkAcl,
  SecurityGroup,
  SubnetType,
  TrafficDirection,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import {
  CrossStackReferences,
  Fn,
  ReferenceStrength,
  RemovalPolicy,
  Stack,
  type StackProps,
} from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import { type GroupName, groupNames, peerOf, tcp, traffic } from './traffic.ts'

const VPC_CIDR = '10.64.0.0/16'
/** Networks that are nobody's public address: a webhook or a wallet address that resolves there is an attack. */
const NOT_PUBLIC = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  '240.0.0.0/4',
]

const isGroup = (end: unknown): end is GroupName => (groupNames as readonly unknown[]).includes(end)

/** Three kinds of subnets: what the internet reaches, what calls out, and what does neither. */
export class NetworkStack extends Stack {
  readonly vpc: IVpc
  readonly groups: Readonly<Record<GroupName, ISecurityGroup>>

  constructor(scope: Construct, id: string, props: StackProps & { config: UpesiConfig }) {
    super(scope, id, props)
    const { config } = props
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr(VPC_CIDR),
      maxAzs: config.network.azCount,
      natGateways: config.network.natGateways,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 22, mapPublicIpOnLaunch: false },
        { name: 'app', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
        { name: 'data', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 22 },
      ],
      restrictDefaultSecurityGroup: false,
    })
    for (const { node } of [...vpc.publicSubnets, ...vpc.privateSubnets, ...vpc.isolatedSubnets])
      CrossStackReferences.of(node.findChild('Subnet')).produce(ReferenceStrength.WEAK)
    // The library's interfaces do not say where undefined may stand; so elsewhere.
    this.vpc = vpc as IVpc
    vpc.addFlowLog('FlowLog', {
      destination: FlowLogDestination.toCloudWatchLogs(
        new LogGroup(this, 'FlowLogs', {
          retention: config.logDays as RetentionDays,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      ),
      trafficType: FlowLogTrafficType.REJECT,
    })
    vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 })
    this.groups = this.#groups(config)
    if (config.network.interfaceEndpoints) this.#endpoints()
    this.#keepFromPrivateNetworks(config)
  }

  /** Zones of whatever region this is deployed in; the library counts on two where it knows none. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()))
  }

  #groups(config: UpesiConfig): Readonly<Record<GroupName, ISecurityGroup>> {
    const groups = Object.fromEntries(
      groupNames.map((name) => [
        name,
        new SecurityGroup(this, `Group-${name}`, {
          vpc: this.vpc,
          description: `${config.name}: ${name}`,
          allowAllOutbound: false,
          // Rules stand in the groups themselves: none is added by another stack.
          disableInlineRules: true,
        }),
      ]),
    ) as Record<GroupName, SecurityGroup>
    for (const { from, to, port, why } of traffic(config)) {
      if (isGroup(from)) groups[from].addEgressRule(isGroup(to) ? groups[to] : peerOf(to), tcp(port), why)
      if (isGroup(to)) groups[to].addIngressRule(isGroup(from) ? groups[from] : peerOf(from), tcp(port), why)
    }
    acknowledge(groups['peers-listener'], {
      'AwsSolutions-EC23':
        'Peers are on the internet; this is the one load balancer that they call, on 443 alone.',
    })
    // They stay for as long as the network does; only who is in them changes.
    for (const group of Object.values(groups)) CrossStackReferences.of(group).produce(ReferenceStrength.WEAK)
    // As others get them, nothing can be added.
    return Object.fromEntries(
      groupNames.map((name) => [
        name,
        SecurityGroup.fromSecurityGroupId(this, `Fixed-${name}`, groups[name].securityGroupId, {
          mutable: false,
        }),
      ]),
    ) as Record<GroupName, ISecurityGroup>
  }

  #endpoints(): void {
    const services = {
      SecretsManager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
      Sqs: InterfaceVpcEndpointAwsService.SQS,
      Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
      EcrApi: InterfaceVpcEndpointAwsService.ECR,
      EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
    }
    for (const [name, service] of Object.entries(services))
      new InterfaceVpcEndpoint(this, name, {
        vpc: this.vpc,
        service,
        subnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
        securityGroups: [this.groups.endpoints],
        open: false,
      })
  }

  /**
   * What runs in the app subnets fetches URLs that others choose. The software refuses private addresses; should it fail, the
   * network does: beyond this VPC no private network is reached, peered or routed, but those that the operator names.
   */
  #keepFromPrivateNetworks(config: UpesiConfig): void {
    const acl = new NetworkAcl(this, 'AppAcl', {
      vpc: this.vpc,
      subnetSelection: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
    })
    // Clients are not among them: they call, the load balancer that answers is in other subnets, and nothing here calls them.
    const allowed = [VPC_CIDR, ...config.network.privateDestinations.map(({ cidr }) => cidr)]
    const rules: [cidr: string, action: Action][] = [
      ...[...new Set(allowed)].map((cidr): [string, Action] => [cidr, Action.ALLOW]),
      ...NOT_PUBLIC.map((cidr): [string, Action] => [cidr, Action.DENY]),
    ]
    rules.forEach(([cidr, ruleAction], index) => {
      acl.addEntry(`Out-${index}`, {
        cidr: AclCidr.ipv4(cidr),
        ruleNumber: 100 + index,
        traffic: AclTraffic.allTraffic(),
        direction: TrafficDirection.EGRESS,
        ruleAction,
      })
    })
    for (const direction of [TrafficDirection.EGRESS, TrafficDirection.INGRESS])
      acl.addEntry(`Rest-${direction}`, {
        cidr: AclCidr.anyIpv4(),
        ruleNumber: 1000,
        traffic: AclTraffic.allTraffic(),
        direction,
        ruleAction: Action.ALLOW,
      })
    acknowledge(acl, {
      'AwsSolutions-VPC3':
        'The list keeps calls out of private networks beside the security groups, which cannot deny.',
    })
  }
}
