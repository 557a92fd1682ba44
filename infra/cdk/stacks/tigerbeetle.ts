import { AutoScalingGroup, GroupMetrics, HealthChecks } from 'aws-cdk-lib/aws-autoscaling'
import {
  AmazonLinuxCpuType,
  BlockDeviceVolume,
  CfnNetworkInterface,
  CfnVolume,
  EbsDeviceVolumeType,
  InstanceType,
  type ISubnet,
  LaunchTemplate,
  LaunchTemplateHttpTokens,
  MachineImage,
  SubnetType,
} from 'aws-cdk-lib/aws-ec2'
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Key } from 'aws-cdk-lib/aws-kms'
import { CfnDeletionPolicy, Duration, Fn, Stack, type StackProps, Tags } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import type { NetworkStack } from './network.ts'
import { tigerbeetleUserData } from './tigerbeetle-user-data.ts'
import { TIGERBEETLE_PORT } from './traffic.ts'

interface Replica {
  index: number
  group: AutoScalingGroup
}

const DEVICE = '/dev/sdf'

/**
 * The replicas of the ledger, on machines of their own: TigerBeetle needs io_uring and a disk that stays, which Fargate has not. A
 * replica is a volume and an address that outlive the machine that holds them: when the machine goes, the group of one starts
 * another in the same zone, and that one takes both.
 */
export class TigerBeetleStack extends Stack {
  readonly replicas: readonly Replica[]
  /** As every replica and the connector must name them: in their order. */
  readonly addresses: string

  constructor(
    scope: Construct,
    id: string,
    props: StackProps & { config: UpesiConfig; network: NetworkStack; key: Key },
  ) {
    super(scope, id, props)
    const { config, network } = props
    const { subnets } = network.vpc.selectSubnets({ subnetType: SubnetType.PRIVATE_WITH_EGRESS })
    const places = Array.from({ length: config.tigerbeetle.replicas }, (_, index) => {
      const subnet = subnets[index % subnets.length] as ISubnet
      const address = new CfnNetworkInterface(this, `Address-${index}`, {
        subnetId: subnet.subnetId,
        groupSet: [network.groups.tigerbeetle.securityGroupId],
        description: `${config.name}: TigerBeetle replica ${index}`,
      })
      return { index, subnet, address }
    })
    this.addresses = Fn.join(
      ',',
      places.map(({ address }) => `${address.attrPrimaryPrivateIpAddress}:${TIGERBEETLE_PORT}`),
    )
    this.replicas = places.map(({ index, subnet, address }) => ({
      index,
      group: this.#replica({ ...props, index, subnet, address }),
    }))
  }

  #replica(props: {
    config: UpesiConfig
    network: NetworkStack
    key: Key
    index: number
    subnet: ISubnet
    address: CfnNetworkInterface
  }): AutoScalingGroup {
    const { config, network, key, index, subnet, address } = props
    const name = `${config.name}-tigerbeetle-${index}`
    const volume = new CfnVolume(this, `Volume-${index}`, {
      availabilityZone: subnet.availabilityZone,
      size: config.tigerbeetle.volumeGb,
      volumeType: 'gp3',
      iops: 6000,
      throughput: 250,
      encrypted: true,
      kmsKeyId: key.keyArn,
      tags: [{ key: 'Name', value: name }],
    })
    volume.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN
    volume.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN
    const role = this.#role({ config, key, index, name, volume, address })
    const template = new LaunchTemplate(this, `Template-${index}`, {
      instanceType: new InstanceType(config.tigerbeetle.instanceType),
      machineImage: MachineImage.latestAmazonLinux2023({ cpuType: AmazonLinuxCpuType.ARM_64 }),
      role,
      securityGroup: network.groups.tigerbeetle,
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 1,
      detailedMonitoring: true,
      userData: tigerbeetleUserData({
        config,
        index,
        addresses: this.addresses,
        volumeId: volume.ref,
        interfaceId: address.ref,
        device: DEVICE,
      }),
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: BlockDeviceVolume.ebs(16, { encrypted: true, volumeType: EbsDeviceVolumeType.GP3 }),
        },
      ],
    })
    const group = new AutoScalingGroup(this, `Replica-${index}`, {
      vpc: network.vpc,
      vpcSubnets: { subnets: [subnet] },
      launchTemplate: template,
      minCapacity: 1,
      maxCapacity: 1,
      groupMetrics: [GroupMetrics.all()],
      healthChecks: HealthChecks.ec2({ gracePeriod: Duration.minutes(5) }),
      // A new template waits for the operator: replicas are exchanged one after another, by hand.
      newInstancesProtectedFromScaleIn: false,
    })
    Tags.of(group).add('Name', name)
    acknowledge(group, {
      'AwsSolutions-AS3': 'A group of one: an alarm says when its machine is missing.',
      'AwsSolutions-EC26': 'The volumes of the launch template are encrypted.',
    })
    return group
  }

  #role(props: {
    config: UpesiConfig
    key: Key
    index: number
    name: string
    volume: CfnVolume
    address: CfnNetworkInterface
  }): Role {
    const { config, key, index, name, volume, address } = props
    const role = new Role(this, `Role-${index}`, {
      assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
      // Operators reach the machines through Session Manager; there is no SSH.
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('AmazonSSMManagedInstanceCore')],
    })
    const { binary } = config.tigerbeetle
    const of = (resource: string) => this.formatArn({ service: 'ec2', resource, resourceName: '*' })
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:GetObject'],
        resources: [
          this.formatArn({
            service: 's3',
            region: '',
            account: '',
            resource: binary.bucket,
            resourceName: binary.key,
          }),
        ],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['ec2:AttachVolume'],
        resources: [this.formatArn({ service: 'ec2', resource: 'volume', resourceName: volume.ref })],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['ec2:AttachVolume', 'ec2:AttachNetworkInterface'],
        resources: [of('instance')],
        conditions: { StringEquals: { 'aws:ResourceTag/Name': name } },
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['ec2:AttachNetworkInterface'],
        resources: [
          this.formatArn({ service: 'ec2', resource: 'network-interface', resourceName: address.ref }),
        ],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['ec2:DescribeVolumes', 'ec2:DescribeNetworkInterfaces'],
        resources: ['*'],
      }),
    )
    // Attaching a volume is allowed only to who may use its key, and EC2 keeps the grant while it is attached.
    role.addToPolicy(
      new PolicyStatement({
        actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKeyWithoutPlaintext'],
        resources: [key.keyArn],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['kms:CreateGrant'],
        resources: [key.keyArn],
        conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
      }),
    )
    acknowledge(role, {
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore]':
        'The policy that AWS keeps for Session Manager, which changes with its agent.',
      'AwsSolutions-IAM5[Resource::*]': 'Descriptions of volumes and interfaces know no resources.',
      'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*]':
        'The machine that attaches is not known beforehand; the condition allows those of this replica alone.',
    })
    return role
  }
}
