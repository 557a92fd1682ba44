import type { ThreatTable } from '../guard.ts'

const installations = 'infra/cdk/installations.test.ts'
const traffic = 'infra/cdk/stacks/traffic.ts'

/** What the stacks of an installation on AWS must not open. */
export const awsThreats: ThreatTable = {
  title: 'Deployment on AWS',
  about: 'What `infra/cdk` makes, as its templates say it.',
  threats: [
    {
      name: 'Private listeners on the internet',
      guards: [
        {
          name: 'their load balancer is within the network',
          file: 'infra/cdk/stacks/private-front.ts',
          text: 'internetFacing: false,',
          without: 'internetFacing: true,',
          test: {
            file: installations,
            name: 'databases, cache and private listeners have no way from the internet',
          },
        },
        {
          name: 'only the resource server asks for introspection',
          file: traffic,
          text: "['open-payments'],\n      'private-listeners',",
          without: "['open-payments', ...privateCallers],\n      'private-listeners',",
          test: { file: installations, name: 'each private port is open to those who call it alone' },
        },
        {
          name: 'peers reach the port of packets and no other',
          file: 'infra/cdk/config.ts',
          text: '{ CONNECTOR_PORT: 3002, CONNECTOR_RPC_PORT: 3012 }',
          without: '{ CONNECTOR_PORT: 3012, CONNECTOR_RPC_PORT: 3012 }',
          test: {
            file: installations,
            name: 'the internet reaches the public listeners and the port of peers',
          },
        },
        {
          name: 'an API answers under its public hosts alone',
          file: 'infra/cdk/stacks/public-front.ts',
          text: 'disableExecuteApiEndpoint: true,',
          without: '',
          test: {
            file: installations,
            name: 'the internet reaches the public listeners and the port of peers',
          },
        },
      ],
    },
    {
      name: 'Calls into private networks',
      guards: [
        {
          name: 'the network refuses them too',
          file: 'infra/cdk/stacks/network.ts',
          text: '...NOT_PUBLIC.map((cidr): [string, Action] => [cidr, Action.DENY]),',
          without: '',
          test: { file: installations, name: 'calls to private networks are refused by the network' },
        },
        {
          name: 'networks that call the node are not called by it',
          file: 'infra/cdk/stacks/network.ts',
          text: 'const allowed = [VPC_CIDR,',
          without: 'const allowed = [VPC_CIDR, ...config.network.clientCidrs,',
          test: { file: 'infra/cdk/variants.test.ts', name: 'networks of clients are not reached' },
        },
        {
          name: 'a group lets nothing out by itself',
          file: 'infra/cdk/stacks/network.ts',
          text: 'allowAllOutbound: false,',
          without: 'allowAllOutbound: true,',
          test: { file: installations, name: 'no security group is open to the internet' },
        },
        {
          name: 'credentials of a machine are not to be had by one request',
          file: 'infra/cdk/stacks/tigerbeetle.ts',
          text: 'httpTokens: LaunchTemplateHttpTokens.REQUIRED,',
          without: '',
          test: { file: installations, name: 'full has replicas on machines of their own' },
        },
      ],
    },
    {
      name: 'Secrets that others read',
      guards: [
        {
          name: 'a function may read its own alone',
          file: 'infra/cdk/environment.ts',
          text: "actions: ['secretsmanager:GetSecretValue'], resources: arns",
          without: "actions: ['secretsmanager:GetSecretValue'], resources: ['*']",
          test: { file: installations, name: 'a function may read the secrets that it is told of' },
        },
        {
          name: 'a role is told those that it reads',
          file: 'infra/cdk/environment.ts',
          text: '.filter(([name]) => secretNames.has(name))',
          without: '',
          test: {
            file: 'infra/cdk/variants.test.ts',
            name: 'every role can start with what it is told',
          },
        },
        {
          name: 'none stands in a configuration',
          file: 'infra/cdk/config.ts',
          text: 'if (secretVariables.has(name))',
          without: 'if (false as boolean)',
          test: { file: 'infra/cdk/config.test.ts', name: 'a secret in plain' },
        },
        {
          name: 'queues take nothing in plain text',
          file: 'infra/cdk/stacks/queues.ts',
          text: 'enforceSSL: true,',
          without: '',
          test: { file: installations, name: 'every queue is encrypted, takes nothing in plain text' },
        },
      ],
    },
    {
      name: 'Work that is lost',
      guards: [
        {
          name: 'a queue has a dead-letter queue',
          file: 'infra/cdk/stacks/queues.ts',
          text: 'deadLetterQueue: { queue: deadLetters, maxReceiveCount: definition.deadLetter.maxReceiveCount },',
          without: '',
          test: { file: installations, name: 'every queue is encrypted, takes nothing in plain text' },
        },
        {
          name: 'a batch fails in part',
          file: 'infra/cdk/stacks/functions.ts',
          text: 'reportBatchItemFailures: true,',
          without: '',
          test: { file: installations, name: 'what consumes a queue says what failed of a batch' },
        },
        {
          name: 'a connector has as long as its drain takes',
          file: 'infra/cdk/stacks/containers.ts',
          text: 'Duration.seconds(120)',
          without: 'Duration.seconds(60)',
          test: { file: installations, name: 'a container has longer to end' },
        },
        {
          name: 'a replica does not run beside its volume',
          file: 'infra/cdk/stacks/tigerbeetle-user-data.ts',
          text: "    'AssertPathIsMountPoint=/var/lib/tigerbeetle',\n",
          without: '',
          test: { file: installations, name: 'a replica whose volume is empty recovers' },
        },
        {
          name: 'a replica that lost its data does not begin anew',
          file: 'infra/cdk/stacks/tigerbeetle-user-data.ts',
          text: 'const make = format',
          without: 'const make = format || true',
          test: {
            file: installations,
            name: 'a replica whose volume is empty recovers, unless it is the first deployment',
          },
        },
      ],
    },
  ],
}
