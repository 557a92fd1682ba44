import { SubnetType } from 'aws-cdk-lib/aws-ec2'
import {
  ApplicationLoadBalancer,
  ApplicationProtocol,
  ApplicationTargetGroup,
  TargetType,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { LambdaTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets'
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda'
import { CfnOutput, Duration } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import { PRIVATE_PORTS, type PrivateListener } from '../roles.ts'
import type { NetworkStack } from './network.ts'

export interface PrivateFront {
  loadBalancer: ApplicationLoadBalancer
  host: string
  add(listener: PrivateListener, fn: Lambda): void
}

/** A load balancer within the network for what nobody outside may call: one port for each private listener. */
export function createPrivateFront(
  scope: Construct,
  { config, network }: { config: UpesiConfig; network: NetworkStack },
): PrivateFront {
  const loadBalancer = new ApplicationLoadBalancer(scope, 'PrivateListeners', {
    vpc: network.vpc,
    internetFacing: false,
    vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
    securityGroup: network.groups['private-listeners'],
    dropInvalidHeaderFields: true,
    deletionProtection: config.database.deletionProtection,
  })
  acknowledge(loadBalancer, {
    'AwsSolutions-ELB2':
      'Each function logs its requests with their ids; nobody outside the network calls this one.',
  })
  new CfnOutput(scope, 'PrivateHost', {
    value: loadBalancer.loadBalancerDnsName,
    description: `Admin API :${PRIVATE_PORTS.admin}, Admin API of grants :${PRIVATE_PORTS['auth-admin']}, identity provider :${PRIVATE_PORTS['auth-interaction']}`,
  })
  return {
    loadBalancer,
    host: loadBalancer.loadBalancerDnsName,
    add(listener, fn) {
      const group = new ApplicationTargetGroup(scope, `${listener}-target`, {
        targetType: TargetType.LAMBDA,
        targets: [new LambdaTarget(fn)],
        // A header that came twice is seen twice, and refused where that matters.
        multiValueHeadersEnabled: true,
        // A check is an invocation; it keeps one sandbox warm.
        healthCheck: {
          enabled: true,
          path: '/livez',
          interval: Duration.seconds(60),
          timeout: Duration.seconds(30),
        },
      })
      loadBalancer.addListener(listener, {
        port: PRIVATE_PORTS[listener],
        protocol: ApplicationProtocol.HTTP,
        open: false,
        defaultTargetGroups: [group],
      })
    },
  }
}
