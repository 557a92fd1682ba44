import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { App, Stack } from 'aws-cdk-lib/core'
import { brokerQueues, LAMBDA_TIMEOUT_SECONDS, sqsAttributes } from '../../localstack/queues.ts'
import schedule from '../schedule.json' with { type: 'json' }
import { holdAgainstRules } from './app.ts'
import { parseConfig } from './config.ts'
import {
  deployed,
  isObject,
  type Json,
  listOf,
  type Synthesised,
  statementsOf,
  synthesise,
  type TemplateResource,
  targetOf,
} from './harness.ts'
import { MONEY_LINES } from './stacks/observability.ts'
import { tigerbeetleUserData } from './stacks/tigerbeetle-user-data.ts'

const example = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`./examples/${name}.json`, import.meta.url), 'utf8'))

const known = new Map<string, Synthesised>()
/** Both are held against AWS's rules as they are made: what cdk-nag finds and nobody gave a reason for throws. */
function installation(name: string): Synthesised {
  const made = known.get(name) ?? synthesise(example(name), { held: true })
  known.set(name, made)
  return made
}

const isDeadLetterQueue = (queue: TemplateResource): boolean => /dead/.test(queue.id)

for (const name of ['small', 'full'])
  describe(name, () => {
    let made: Synthesised
    before(() => {
      made = installation(name)
    })
    const target = (value: unknown, from: TemplateResource) => targetOf(value, from, made)
    const groupOf = (value: unknown, from: TemplateResource) =>
      /Group([a-z]+)[0-9A-F]{8}/.exec(target(value, from)?.id ?? '')?.[1] ?? ''

    test('every queue is encrypted, takes nothing in plain text, and has a dead-letter queue of its own kind', () => {
      const queues = made.of('AWS::SQS::Queue')
      assert.ok(queues.length > 0)
      for (const queue of queues) {
        const { properties } = queue
        assert.ok(properties.SqsManagedSseEnabled === true || properties.KmsMasterKeyId, queue.id)
        assert.ok(
          made
            .of('AWS::SQS::QueuePolicy')
            .some(
              (policy) =>
                listOf(policy.properties.Queues).some((one) => target(one, policy) === queue) &&
                /"aws:SecureTransport":"false"/.test(JSON.stringify(policy.properties)),
            ),
          `${queue.id} refuses plain text`,
        )
        if (isDeadLetterQueue(queue)) continue
        const redrive = properties.RedrivePolicy as Json
        const dead = target(redrive?.deadLetterTargetArn, queue)
        assert.ok(dead, `${queue.id} has a dead-letter queue`)
        assert.equal(dead.properties.FifoQueue, properties.FifoQueue, 'of the same kind')
        assert.ok(Number(dead.properties.MessageRetentionPeriod) > Number(properties.MessageRetentionPeriod))
      }
    })

    test('queues are as queues.json has them', () => {
      for (const definition of brokerQueues) {
        const queue = made
          .of('AWS::SQS::Queue')
          .find(({ properties }) => properties.QueueName === `${made.config.name}-${definition.name}`)
        assert.ok(queue)
        const { RedrivePolicy, ...attributes } = sqsAttributes(definition, 'arn')
        for (const [attribute, value] of Object.entries(attributes))
          assert.equal(String(queue.properties[attribute]), value, attribute)
        assert.equal(
          (queue.properties.RedrivePolicy as Json).maxReceiveCount,
          JSON.parse(RedrivePolicy ?? '').maxReceiveCount,
        )
      }
    })

    test('what consumes a queue says what failed of a batch, is limited, and is done six times before it is visible again', () => {
      const mappings = made.of('AWS::Lambda::EventSourceMapping')
      assert.equal(mappings.length, brokerQueues.length)
      for (const mapping of mappings) {
        const { properties } = mapping
        assert.deepEqual(properties.FunctionResponseTypes, ['ReportBatchItemFailures'])
        assert.equal(properties.BatchSize, 10)
        assert.ok(Number((properties.ScalingConfig as Json).MaximumConcurrency) >= 2)
        const fn = target(properties.FunctionName, mapping)
        const queue = target(properties.EventSourceArn, mapping)
        assert.equal(fn?.properties.Timeout, LAMBDA_TIMEOUT_SECONDS)
        assert.ok(Number(queue?.properties.VisibilityTimeout) >= 6 * Number(fn?.properties.Timeout))
        const reserved = fn?.properties.ReservedConcurrentExecutions
        if (reserved !== undefined)
          assert.ok(Number(reserved) >= Number((properties.ScalingConfig as Json).MaximumConcurrency))
      }
    })

    test('the relay sends to each queue, and may ask each queue and its dead letters how many there are', () => {
      const relays = made
        .of('AWS::IAM::Policy')
        .filter(({ id }) => /^(connectortaskTaskRole|relaytaskrole)/.test(id))
      assert.equal(relays.length, 2)
      for (const relay of relays) {
        const asked = (relay.properties.PolicyDocument as { Statement: Json[] }).Statement.filter(
          (statement) => listOf(statement.Action).includes('sqs:GetQueueAttributes'),
        ).flatMap(({ Resource }) => listOf(Resource))
        assert.equal(new Set(asked.map((one) => JSON.stringify(one))).size, 4, relay.id)
      }
    })

    test('alarms about answers count those of load balancers and those from behind them', () => {
      const metrics = JSON.stringify(
        made.of('AWS::CloudWatch::Alarm').map(({ properties }) => properties.Metrics),
      )
      for (const metric of ['HTTPCode_ELB_5XX_Count', 'HTTPCode_Target_5XX_Count'])
        assert.equal(metrics.split(metric).length - 1, 2, `${metric}: private listeners and peers`)
    })

    test('a container has longer to end than its process takes', () => {
      // Notice, packets, calls, and what is written at the end (connector/app.ts).
      const drainSeconds = 2 + 35 + 35 + 5
      for (const { properties } of made.of('AWS::ECS::TaskDefinition'))
        for (const container of properties.ContainerDefinitions as Json[])
          assert.ok(Number(container.StopTimeout) > drainSeconds, String(container.Name))
    })

    test('a container is not replaced because a database is away', () => {
      for (const { properties } of made.of('AWS::ECS::TaskDefinition'))
        for (const { Name, HealthCheck } of properties.ContainerDefinitions as Json[])
          assert.match(JSON.stringify(HealthCheck), /127\.0\.0\.1:\d+\/livez'/, String(Name))
      for (const { id, properties } of made.of('AWS::ElasticLoadBalancingV2::TargetGroup'))
        assert.equal(properties.HealthCheckPath, '/livez', id)
    })

    test('a changed revision of secrets starts everything anew', () => {
      const environments = [
        ...made
          .of('AWS::Lambda::Function')
          .filter(({ stack }) => /-(Functions|Migrations)$/.test(stack))
          .map(
            ({ properties }) => (properties.Environment as Json | undefined)?.Variables as Json | undefined,
          )
          .filter((variables) => variables?.AWS_SECRETS !== undefined)
          .map((variables) => variables?.SECRETS_REVISION),
        ...made
          .of('AWS::ECS::TaskDefinition')
          .flatMap(({ properties }) => properties.ContainerDefinitions as Json[])
          .map(
            ({ Environment }) =>
              (Environment as { Name: string; Value: unknown }[]).find(
                (one) => one.Name === 'SECRETS_REVISION',
              )?.Value,
          ),
      ]
      assert.ok(environments.length >= 15)
      for (const revision of environments) assert.equal(revision, made.config.secretsRevision)
    })

    test('every alarm tells the topic, every dead-letter queue has an alarm, and so has every function', () => {
      const alarms = made.of('AWS::CloudWatch::Alarm')
      const [topic] = made.of('AWS::SNS::Topic')
      for (const alarm of alarms) {
        const { id, properties } = alarm
        assert.equal(target(listOf(properties.AlarmActions)[0], alarm), topic, id)
        assert.ok(String(properties.AlarmDescription).length > 10, id)
      }
      const watches = (metric: string, watched: TemplateResource) =>
        alarms.some(
          (alarm) =>
            alarm.properties.MetricName === metric &&
            (alarm.properties.Dimensions as Json[]).some(({ Value }) => target(Value, alarm) === watched),
        )
      for (const queue of made.of('AWS::SQS::Queue'))
        assert.ok(
          watches(
            isDeadLetterQueue(queue) ? 'ApproximateNumberOfMessagesVisible' : 'ApproximateAgeOfOldestMessage',
            queue,
          ),
          queue.id,
        )
      for (const fn of made.of('AWS::Lambda::Function').filter(({ stack }) => stack.endsWith('-Functions')))
        for (const metric of ['Errors', 'Throttles', 'Duration']) assert.ok(watches(metric, fn), fn.id)
    })

    test('alarms about money look for lines that the connector writes', () => {
      const source = readFileSync(new URL('../../connector/pipeline/settle-hold.ts', import.meta.url), 'utf8')
      for (const line of Object.values(MONEY_LINES)) assert.ok(source.includes(`'${line}'`), line)
      assert.equal(made.of('AWS::Logs::MetricFilter').length, Object.keys(MONEY_LINES).length)
    })

    test('policies allow no wildcard but those that have no narrower form', () => {
      const anything = new Set([
        // What Lambda does with the role of a function in a VPC.
        'ec2:AssignPrivateIpAddresses,ec2:CreateNetworkInterface,ec2:DeleteNetworkInterface,ec2:DescribeNetworkInterfaces,ec2:DescribeSubnets,ec2:UnassignPrivateIpAddresses',
        'ecr:GetAuthorizationToken',
        'ec2:DescribeNetworkInterfaces,ec2:DescribeVolumes',
      ])
      for (const { at, statement } of statementsOf(made)) {
        if (statement.Effect === 'Deny') continue
        const actions = listOf(statement.Action).map(String)
        // A key's own policy is about that key, and gives it to the account.
        if (at.type === 'AWS::KMS::Key') continue
        for (const action of actions) assert.doesNotMatch(action, /\*/, `${at.id}: ${action}`)
        for (const resource of listOf(statement.Resource)) {
          const text = JSON.stringify(resource)
          if (text === '"*"') assert.ok(anything.has(actions.sort().join(',')), `${at.id}: ${actions}`)
          // Versions of the one function that brings the databases up to date.
          else if (text.includes('*') && at.id.startsWith('AWSCDKTrigger'))
            assert.match(text, /migrate[0-9A-F]{8}","Arn"\]\},":\*"/)
          else if (text.includes('*')) {
            assert.match(text, /:instance\/\*"/, `${at.id}: ${text}`)
            assert.ok(statement.Condition, 'the machines of one replica')
          }
        }
      }
    })

    test('no security group is open to the internet but that of peers, on 443', () => {
      const ingress = made.of('AWS::EC2::SecurityGroupIngress')
      assert.ok(ingress.length > 10)
      const open = ingress.filter(({ properties }) => /0\.0\.0\.0\/0|::\/0/.test(JSON.stringify(properties)))
      assert.deepEqual(
        open.map((rule) => [
          groupOf(rule.properties.GroupId, rule),
          rule.properties.FromPort,
          rule.properties.ToPort,
        ]),
        [['peerslistener', 443, 443]],
      )
      for (const { id, properties } of made.of('AWS::EC2::SecurityGroup')) {
        assert.equal(properties.SecurityGroupIngress, undefined, id)
        for (const rule of listOf(properties.SecurityGroupEgress) as Json[])
          assert.equal(rule.CidrIp, '255.255.255.255/32', `${id} lets nothing out by itself`)
      }
      for (const { properties } of made.of('AWS::EC2::SecurityGroupEgress'))
        if (properties.CidrIp === '0.0.0.0/0') assert.equal(properties.FromPort, 443)
    })

    test('databases, cache and private listeners have no way from the internet, nor to it', () => {
      const routes = made.of('AWS::EC2::Route')
      const routed = new Set(routes.map((route) => target(route.properties.RouteTableId, route)))
      const isolated = new Set(
        made
          .of('AWS::EC2::SubnetRouteTableAssociation')
          .filter((one) => !routed.has(target(one.properties.RouteTableId, one)))
          .map((one) => target(one.properties.SubnetId, one)),
      )
      const inside = (subnets: unknown, what: TemplateResource) => {
        assert.ok(listOf(subnets).length > 0, what.id)
        for (const subnet of listOf(subnets)) assert.ok(isolated.has(target(subnet, what)), what.id)
      }
      for (const group of made.of('AWS::RDS::DBSubnetGroup')) inside(group.properties.SubnetIds, group)
      for (const proxy of made.of('AWS::RDS::DBProxy')) {
        inside(proxy.properties.VpcSubnetIds, proxy)
        assert.equal(proxy.properties.RequireTLS, true)
      }
      for (const cache of made.of('AWS::ElastiCache::ServerlessCache'))
        inside(cache.properties.SubnetIds, cache)
      for (const { properties } of made.of('AWS::RDS::DBInstance'))
        assert.notEqual(properties.PubliclyAccessible, true)
      for (const { properties } of made.of('AWS::RDS::DBCluster')) {
        assert.equal(properties.StorageEncrypted, true)
        assert.equal(properties.DeletionProtection, true)
      }
      const balancers = made.of('AWS::ElasticLoadBalancingV2::LoadBalancer')
      for (const balancer of balancers)
        if (balancer.properties.Scheme === 'internal') inside(balancer.properties.Subnets, balancer)
        else assert.match(balancer.id, /^Peers/)
      assert.equal(balancers.filter(({ properties }) => properties.Scheme === 'internal').length, 1)
    })

    test('the internet reaches the public listeners and the port of peers, and nothing private', () => {
      const publicIds = name === 'full' ? ['auth', 'autopeering', 'openpayments'] : ['auth', 'openpayments']
      const invokedBy = (principal: string) =>
        [
          ...new Set(
            made
              .of('AWS::Lambda::Permission')
              .filter(({ properties }) => properties.Principal === principal)
              .map((one) => (target(one.properties.FunctionName, one)?.id ?? '').slice(0, -8)),
          ),
        ].sort()
      assert.deepEqual(invokedBy('apigateway.amazonaws.com'), publicIds)
      assert.deepEqual(invokedBy('elasticloadbalancing.amazonaws.com'), [
        'admin',
        'authadmin',
        'authinteraction',
        'authintrospection',
        'authservice',
      ])
      assert.equal(made.of('AWS::Lambda::Url').length, 0)
      for (const { properties } of made.of('AWS::ApiGatewayV2::Api'))
        assert.equal(properties.DisableExecuteApiEndpoint, true)
      const peers = made
        .of('AWS::ElasticLoadBalancingV2::TargetGroup')
        .filter(({ id }) => id.startsWith('Peers'))
      assert.deepEqual(
        peers.map(({ properties }) => properties.Port),
        [3002],
      )
      const listeners = made.of('AWS::ElasticLoadBalancingV2::Listener')
      for (const { id, properties } of listeners.filter(({ id }) => id.startsWith('Peers'))) {
        assert.equal(properties.Protocol, 'HTTPS', id)
        assert.ok(properties.Certificates, id)
      }
    })

    test('each private port is open to those who call it alone', () => {
      const from = (group: string, port: number) =>
        made
          .of('AWS::EC2::SecurityGroupIngress')
          .filter(
            (rule) => groupOf(rule.properties.GroupId, rule) === group && rule.properties.FromPort === port,
          )
          .map((rule) => rule.properties.CidrIp ?? groupOf(rule.properties.SourceSecurityGroupId, rule))
          .sort()
      const clients = name === 'full' ? ['10.20.0.0/16', 'clients'] : ['clients']
      assert.deepEqual(from('privatelisteners', 3001), clients)
      assert.deepEqual(from('privatelisteners', 3003), clients)
      assert.deepEqual(from('privatelisteners', 3009), clients)
      assert.deepEqual(from('privatelisteners', 3007), ['openpayments'])
      assert.deepEqual(from('privatelisteners', 3011), ['admin'])
      assert.deepEqual(from('connector', 3002), ['peerslistener'])
      assert.deepEqual(from('connector', 3012), [
        'admin',
        'autopeering',
        'openpayments',
        'payments',
        'webhooks',
      ])
      assert.deepEqual(from('database', 5432), ['databaseproxy', 'migrate'])
      assert.deepEqual(from('tigerbeetle', 3004), name === 'full' ? ['connector', 'tigerbeetle'] : [])
    })

    test('calls to private networks are refused by the network, but for those that are named', () => {
      const entries = made
        .of('AWS::EC2::NetworkAclEntry')
        .filter(({ properties }) => properties.Egress === true)
        .map(({ properties }) => properties as { RuleNumber: number; CidrBlock: string; RuleAction: string })
        .sort((one, other) => one.RuleNumber - other.RuleNumber)
      const decision = (cidr: string) => entries.find(({ CidrBlock }) => CidrBlock === cidr)
      for (const cidr of ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'])
        assert.equal(decision(cidr)?.RuleAction, 'deny', cidr)
      assert.equal(entries.at(-1)?.CidrBlock, '0.0.0.0/0')
      if (name === 'full') {
        const wallet = decision('10.20.0.0/16')
        assert.equal(wallet?.RuleAction, 'allow')
        assert.ok(Number(wallet?.RuleNumber) < Number(decision('10.0.0.0/8')?.RuleNumber))
      }
    })

    test('functions run Node 24 on arm64, keep logs for a while, and know where secrets lie and none of them', () => {
      const functions = made
        .of('AWS::Lambda::Function')
        .filter(({ properties }) => String(properties.Handler).startsWith('lambda.'))
      assert.ok(functions.length >= 14)
      for (const { id, properties } of functions) {
        assert.equal(properties.Runtime, 'nodejs24.x', id)
        assert.deepEqual(properties.Architectures, ['arm64'], id)
        assert.ok((properties.LoggingConfig as Json).LogGroup, id)
        const environment = (properties.Environment as Json).Variables as Json
        for (const [variable, value] of Object.entries(environment)) {
          assert.doesNotMatch(JSON.stringify(value), /resolve:secretsmanager/, `${id} ${variable}`)
          assert.doesNotMatch(deployed(value), /\/\/[^/@]*:[^/@]*@/, `${id} ${variable} holds a password`)
        }
        const secrets: Json = JSON.parse(deployed(environment.AWS_SECRETS))
        for (const [variable, arn] of Object.entries(secrets)) {
          assert.match(String(arn), /^arn:aws:/, variable)
          assert.equal(environment[variable], undefined, `${id}: ${variable} is not in plain`)
        }
        assert.ok(JSON.stringify(environment).length < 8_000, id)
        assert.ok(
          Object.entries(environment).reduce(
            (sum, [key, value]) => sum + key.length + deployed(value).length,
            0,
          ) < 3_000,
          `${id}: Lambda takes 4 KB of variables`,
        )
      }
      for (const { id, properties } of made.of('AWS::Logs::LogGroup'))
        assert.equal(properties.RetentionInDays, made.config.logDays, id)
    })

    test('a function may read the secrets that it is told of, and no others', () => {
      const policies = made.of('AWS::IAM::Policy')
      for (const fn of made.of('AWS::Lambda::Function')) {
        const environment = (fn.properties.Environment as Json | undefined)?.Variables as Json | undefined
        if (!environment?.AWS_SECRETS) continue
        const role = target(fn.properties.Role, fn)
        const allowed = policies
          .filter((policy) => listOf(policy.properties.Roles).some((one) => target(one, policy) === role))
          .flatMap((policy) =>
            ((policy.properties.PolicyDocument as Json).Statement as Json[])
              .filter(({ Action }) => listOf(Action).includes('secretsmanager:GetSecretValue'))
              .flatMap(({ Resource }) => listOf(Resource).map((one) => target(one, policy)?.id)),
          )
        const [, parts] = (environment.AWS_SECRETS as Json)['Fn::Join'] as [string, unknown[]]
        const told = parts.filter(isObject).map((part) => target(part, fn)?.id)
        assert.deepEqual([...new Set(allowed)].sort(), [...new Set(told)].sort(), fn.id)
      }
    })

    test('secrets and databases survive their stack', () => {
      for (const { id, raw } of [...made.of('AWS::SecretsManager::Secret'), ...made.of('AWS::EC2::Volume')])
        if (!/ClusterSecret/.test(id)) assert.equal(raw.DeletionPolicy, 'Retain', id)
      for (const { raw } of made.of('AWS::RDS::DBCluster')) assert.equal(raw.DeletionPolicy, 'Snapshot')
      for (const { properties } of made.of('AWS::SecretsManager::Secret')) assert.ok(properties.KmsKeyId)
    })

    test('work by the clock is as schedule.json has it, and what cannot be started is kept', () => {
      const schedules = made.of('AWS::Scheduler::Schedule')
      const carriedOut = made.of('AWS::Lambda::EventInvokeConfig')
      const planned = schedules.flatMap((one) => {
        const { properties } = one
        const invoked = properties.Target as Json
        const fn = target(invoked.Arn, one)
        const role = (fn?.id ?? '').slice(0, -8).replace(/task$/, '')
        assert.ok(isObject(invoked.DeadLetterConfig))
        const later = carriedOut.find((each) => target(each.properties.FunctionName, each) === fn)?.properties
        assert.equal(later?.MaximumRetryAttempts, 0, `${role}: Lambda tries by itself again`)
        assert.ok(
          Number(later?.MaximumEventAgeInSeconds) <= 300,
          `${role}: what is throttled is kept for hours`,
        )
        return (JSON.parse(String(invoked.Input)).tasks as string[]).map(
          (task) => `${role} ${task} ${properties.ScheduleExpression}`,
        )
      })
      assert.deepEqual(
        planned.sort(),
        schedule
          .filter(({ role }) => role !== 'auto-peering' || made.config.urls.autoPeering !== undefined)
          .map(
            ({ role, task, rateMinutes }) =>
              `${role.replaceAll('-', '')} ${task} rate(${rateMinutes} minute${rateMinutes === 1 ? '' : 's'})`,
          )
          .sort(),
      )
    })

    test('databases are brought up to date before anything of the new build runs', () => {
      const of = (part: string) => made.dependencies[`${made.config.name}-${part}`] ?? []
      const migrations = `${made.config.name}-Migrations`
      assert.ok(of('Functions').includes(migrations))
      assert.ok(of('Containers').includes(`${made.config.name}-Functions`), 'the connector comes last')
      assert.ok(of('Migrations').includes(`${made.config.name}-Data`))
      const [trigger] = made.of('Custom::Trigger')
      assert.equal(trigger?.stack, migrations)
      assert.equal(trigger?.properties.InvocationType, 'RequestResponse')
    })

    test('containers get secrets by reference, and are the roles that run all the time', () => {
      const containers = made
        .of('AWS::ECS::TaskDefinition')
        .flatMap(({ properties }) => properties.ContainerDefinitions as Json[])
      assert.deepEqual(containers.map(({ Name }) => Name).sort(), ['connector', 'relay'])
      for (const container of containers) {
        const plain = (container.Environment as { Name: string; Value: unknown }[]).map((one) => one.Name)
        const secrets = (container.Secrets as { Name: string }[]).map((one) => one.Name)
        assert.ok(secrets.includes('ADMIN_API_SECRET') && secrets.includes('DATABASE_PASSWORD'))
        for (const secret of secrets) assert.ok(!plain.includes(secret))
        assert.equal(container.ReadonlyRootFilesystem, true)
        const { mode } = (container.LogConfiguration as { Options: Json }).Options
        assert.equal(mode, 'non-blocking', 'nothing waits for CloudWatch')
      }
    })
  })

test('small has its ledger in Postgres; full has replicas on machines of their own, never in containers', () => {
  const [small, full] = [installation('small'), installation('full')]
  assert.equal(small.of('AWS::AutoScaling::AutoScalingGroup').length, 0)
  assert.equal(small.of('AWS::ElastiCache::ServerlessCache').length, 0)
  assert.equal(small.of('AWS::EC2::NatGateway').length, 1)
  const groups = full.of('AWS::AutoScaling::AutoScalingGroup')
  assert.equal(groups.length, 6)
  for (const { properties } of groups) {
    assert.deepEqual([properties.MinSize, properties.MaxSize], ['1', '1'])
    assert.equal(listOf(properties.VPCZoneIdentifier).length, 1, 'one zone each')
  }
  for (const { properties } of full.of('AWS::EC2::LaunchTemplate')) {
    const data = properties.LaunchTemplateData as Json
    assert.equal((data.MetadataOptions as Json).HttpTokens, 'required')
    assert.match(JSON.stringify(data.UserData), /sha256sum --check/)
  }
  for (const { properties } of full.of('AWS::EC2::Volume')) assert.equal(properties.Encrypted, true)
  assert.equal(
    new Set(full.of('AWS::EC2::Subnet').map(({ properties }) => JSON.stringify(properties.AvailabilityZone)))
      .size,
    3,
  )
})

test('the rules find what nobody gave a reason for', () => {
  const app = new App({ autoSynth: false })
  const role = new Role(new Stack(app, 'Stack'), 'Role', {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
  })
  role.addToPolicy(new PolicyStatement({ actions: ['s3:*'], resources: ['*'] }))
  holdAgainstRules({ app, stacks: [] })
  assert.throws(() => app.synth(), /Validation failed/)
})

test('a replica whose volume is empty recovers, unless it is the first deployment', () => {
  const scriptOf = (format: boolean) =>
    deployed(
      tigerbeetleUserData({
        config: parseConfig({
          ...example('full'),
          tigerbeetle: { ...(example('full').tigerbeetle as Json), format },
        }),
        index: 2,
        addresses: '10.0.0.1:3004,10.0.0.2:3004,10.0.0.3:3004',
        volumeId: 'vol-1',
        interfaceId: 'eni-1',
        device: '/dev/sdf',
      }).render(),
    )
  assert.match(scriptOf(false), /xfs noatime,nofail 0 0" >> \/etc\/fstab/, 'mounted again after a restart')
  assert.match(scriptOf(false), /AssertPathIsMountPoint=\/var\/lib\/tigerbeetle\n/)
  assert.match(scriptOf(true), /tigerbeetle format --cluster=0 --replica=2 --replica-count=6 /)
  assert.doesNotMatch(scriptOf(true), /tigerbeetle recover/)
  assert.match(scriptOf(false), /tigerbeetle recover --cluster=0 --replica=2 --replica-count=6 --addresses=/)
  assert.doesNotMatch(scriptOf(false), /tigerbeetle format/)
  for (const format of [true, false])
    assert.match(
      scriptOf(format),
      /if ! test -e (\S+\/0_2\.tigerbeetle); then\n +rm -f \1\.new\n.* \1\.new\n +mv \1\.new \1 && sync\nfi\n/,
      'a file that is there stays, and one that is half written is none',
    )
})
