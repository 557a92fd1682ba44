import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadConnectorConfig } from '../../connector/config.ts'
import { loadAdminConfig } from '../../functions/admin/config.ts'
import { loadAuthConfig } from '../../functions/auth/config.ts'
import { loadAutoPeeringConfig } from '../../functions/auto-peering/config.ts'
import { loadMigrateConfig } from '../../functions/migrate/config.ts'
import { loadOpenPaymentsConfig } from '../../functions/open-payments/config.ts'
import { loadPaymentsConfig } from '../../functions/payments/config.ts'
import { loadRelayConfig } from '../../functions/relay/config.ts'
import { loadWebhooksConfig } from '../../functions/webhooks/config.ts'
import { deployed, type Json, type Synthesised, synthesise } from './harness.ts'
import { lambdaFunctions, type Role, secretVariables, variablesOf } from './roles.ts'

const example = (name: string): Json =>
  JSON.parse(readFileSync(new URL(`./examples/${name}.json`, import.meta.url), 'utf8'))
const arnOf = (variable: string) =>
  `arn:aws:secretsmanager:eu-west-1:111122223333:secret:${variable.replaceAll('_', '-')}-AbCdEf`

interface RunningRole {
  role: Role
  where: string
  plain: Record<string, string>
  /** Where each secret lies. */
  secrets: Record<string, string>
}

/** Everything that runs, with what it is told. */
function running(made: Synthesised): RunningRole[] {
  const functions = made.of('AWS::Lambda::Function').flatMap(({ id, properties }): RunningRole[] => {
    const variables = (properties.Environment as Json | undefined)?.Variables as Json | undefined
    if (!variables?.AWS_SECRETS) return []
    const name = id.slice(0, -8)
    const known = lambdaFunctions.find((one) => one.id.replaceAll('-', '') === name)
    const { AWS_SECRETS, ...plain } = variables
    return [
      {
        role: known?.role ?? 'migrate',
        where: name,
        plain: Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, deployed(value)])),
        secrets: JSON.parse(deployed(AWS_SECRETS)),
      },
    ]
  })
  const containers = made
    .of('AWS::ECS::TaskDefinition')
    .flatMap(({ properties }) => properties.ContainerDefinitions as Json[])
    .map((container): RunningRole => {
      const variables = container.Environment as { Name: string; Value: unknown }[]
      const secrets = container.Secrets as { Name: string; ValueFrom: unknown }[]
      return {
        role: container.Name as Role,
        where: `container ${String(container.Name)}`,
        plain: Object.fromEntries(variables.map(({ Name, Value }) => [Name, deployed(Value)])),
        secrets: Object.fromEntries(secrets.map(({ Name, ValueFrom }) => [Name, deployed(ValueFrom)])),
      }
    })
  return [...functions, ...containers]
}

/** The 52 variables of the documents that this project was born from. */
const SEED_VARIABLES =
  `LOG_LEVEL NODE_ENV TRUST_PROXY ADMIN_PORT OPEN_PAYMENTS_URL OPEN_PAYMENTS_PORT CONNECTOR_PORT AUTO_PEERING_SERVER_PORT
  ENABLE_AUTO_PEERING ENABLE_MANUAL_MIGRATIONS DATABASE_URL WALLET_ADDRESS_URL REDIS_URL REDIS_TLS_CA_FILE_PATH
  REDIS_TLS_KEY_FILE_PATH REDIS_TLS_CERT_FILE_PATH ILP_ADDRESS ILP_CONNECTOR_URL INSTANCE_NAME STREAM_SECRET USE_TIGERBEETLE
  TIGERBEETLE_CLUSTER_ID TIGERBEETLE_REPLICA_ADDRESSES EXCHANGE_RATES_URL EXCHANGE_RATES_LIFETIME SLIPPAGE QUOTE_LIFESPAN
  WALLET_ADDRESS_WORKERS WALLET_ADDRESS_WORKER_IDLE AUTH_SERVER_GRANT_URL AUTH_SERVER_INTROSPECTION_URL
  OUTGOING_PAYMENT_WORKERS OUTGOING_PAYMENT_WORKER_IDLE INCOMING_PAYMENT_WORKERS INCOMING_PAYMENT_WORKER_IDLE
  WEBHOOK_WORKERS WEBHOOK_WORKER_IDLE WEBHOOK_URL WEBHOOK_TIMEOUT WEBHOOK_MAX_RETRY WITHDRAWAL_THROTTLE_DELAY
  SIGNATURE_SECRET SIGNATURE_VERSION KEY_ID PRIVATE_KEY_FILE GRAPHQL_IDEMPOTENCY_KEY_LOCK_MS
  GRAPHQL_IDEMPOTENCY_KEY_TTL_MS WALLET_ADDRESS_LOOKUP_TIMEOUT_MS WALLET_ADDRESS_POLLING_FREQUENCY_MS
  WALLET_ADDRESS_DEACTIVATION_PAYMENT_GRACE_PERIOD_MS INCOMING_PAYMENT_EXPIRY_MAX_MS ENABLE_SPSP_PAYMENT_POINTERS`.split(
    /\s+/,
  )

test('every variable of the first documents can be set, and reaches every role that reads it', () => {
  assert.equal(new Set(SEED_VARIABLES).size, 52)
  const full = example('full')
  const setTo = (name: string) => (name === 'CONNECTOR_PORT' ? '4102' : `value of ${name}`)
  const secrets = SEED_VARIABLES.filter((name) => secretVariables.has(name))
  const made = synthesise({
    ...full,
    secrets: Object.fromEntries(secrets.map((name) => [name, arnOf(name)])),
    environment: {
      ...(full.environment as Json),
      ...Object.fromEntries(
        SEED_VARIABLES.filter((name) => !secretVariables.has(name)).map((name) => [name, setTo(name)]),
      ),
    },
  })
  const everything = running(made)
  for (const name of SEED_VARIABLES) {
    const readers = everything.filter(({ role }) =>
      variablesOf(role).some((variable) => variable.name === name),
    )
    assert.ok(readers.length > 0, `${name} is read by something that runs`)
    for (const { where, plain, secrets: told } of readers)
      if (secretVariables.has(name)) {
        assert.equal(told[name], arnOf(name), `${name} of ${where}`)
        assert.equal(plain[name], undefined, `${name} of ${where}`)
      } else assert.equal(plain[name], setTo(name), `${name} of ${where}`)
  }
  for (const { where, secrets: told } of everything)
    if ('DATABASE_URL' in told)
      assert.equal(told.DATABASE_PASSWORD, undefined, `${where} has another database`)
  const ports = made
    .of('AWS::ECS::TaskDefinition')
    .flatMap(({ properties }) => JSON.stringify(properties).match(/"ContainerPort":4102/g) ?? [])
  assert.ok(ports.length > 0, 'the container listens there')
  assert.equal(made.of('AWS::AutoScaling::AutoScalingGroup').length, 0, 'a cluster that is named is not made')
})

test('every function is an export of its role', () => {
  const all = [...lambdaFunctions, { role: 'migrate', handler: 'handler' }]
  for (const { role, handler } of all) {
    const source = readFileSync(new URL(`../../functions/${role}/lambda.ts`, import.meta.url), 'utf8')
    assert.match(
      source,
      new RegExp(`export const (\\{[^}]*\\b${handler}\\b[^}]*\\}|${handler}\\b)`),
      `${role} ${handler}`,
    )
  }
})

const loaders: Readonly<Record<Role, (env: Record<string, string>) => unknown>> = {
  'open-payments': loadOpenPaymentsConfig,
  auth: loadAuthConfig,
  admin: loadAdminConfig,
  'auto-peering': loadAutoPeeringConfig,
  webhooks: loadWebhooksConfig,
  payments: loadPaymentsConfig,
  relay: loadRelayConfig,
  connector: loadConnectorConfig,
  migrate: loadMigrateConfig,
}
const BYTES = Buffer.alloc(32, 7).toString('base64')

for (const [name, more] of [
  ['small', {}],
  ['full', {}],
  [
    'small, with function URLs, workers in containers and the queue in Postgres',
    {
      front: 'functionUrl',
      queue: 'postgres',
      workers: 'containers',
      domains: [],
      urls: {
        openPayments: 'https://a.lambda-url.eu-west-1.on.aws',
        auth: 'https://b.lambda-url.eu-west-1.on.aws',
        walletAddress: 'https://a.lambda-url.eu-west-1.on.aws/.well-known/pay',
      },
    },
  ],
  ['small, with workers in containers on SQS', { workers: 'containers' }],
] as const)
  test(`${name}: every role can start with what it is told`, () => {
    // The examples as they are, installations.test.ts holds against AWS's rules.
    const made = synthesise(
      { ...example(name.startsWith('full') ? 'full' : 'small'), ...more },
      { held: 'workers' in more },
    )
    const everything = running(made)
    assert.ok(everything.length >= 12)
    for (const { role, where, plain, secrets } of everything) {
      const told = Object.fromEntries(Object.keys(secrets).map((variable) => [variable, BYTES]))
      assert.doesNotThrow(() => loaders[role]({ ...plain, ...told }), where)
      const read = new Set(variablesOf(role).map((variable) => variable.name))
      for (const variable of secretVariables)
        if (!read.has(variable)) assert.ok(!(variable in secrets), `${where} has no use for ${variable}`)
    }
    if (!('workers' in more)) return
    const containers = everything.filter(({ where }) => where.startsWith('container'))
    const relay = 'queue' in more ? [] : ['relay']
    assert.deepEqual(
      containers.map(({ role }) => role).sort(),
      ['connector', 'payments', ...relay, 'webhooks'].sort(),
    )
    assert.equal(made.of('AWS::Lambda::EventSourceMapping').length, 0)
    if (!('front' in more)) return
    assert.equal(made.of('AWS::ApiGatewayV2::Api').length, 0)
    assert.deepEqual(
      made
        .of('AWS::Lambda::Url')
        .map(({ id }) => /^[a-z]+/.exec(id)?.[0])
        .sort(),
      ['auth', 'openpayments'],
    )
    assert.equal(
      made.of('AWS::CloudWatch::Alarm').filter(({ properties }) => properties.MetricName === 'Url5xxCount')
        .length,
      2,
    )
    assert.deepEqual(
      made.of('AWS::SQS::Queue').filter(({ id }) => !/dead/.test(id)),
      [],
      'Postgres is the queue',
    )
    assert.equal(
      made
        .of('AWS::ElasticLoadBalancingV2::LoadBalancer')
        .filter(({ properties }) => properties.Scheme !== 'internal').length,
      0,
      'nobody can peer, so nothing listens for peers',
    )
  })

test('networks of clients are not reached, and batches at once are no more than sandboxes', () => {
  const base = example('small')
  const made = synthesise({
    ...base,
    network: { clientCidrs: ['10.30.0.0/16'] },
    functions: { each: { webhooks: { reservedConcurrency: 4 } } },
  })
  const allowed = made
    .of('AWS::EC2::NetworkAclEntry')
    .filter(({ properties }) => properties.Egress === true && properties.RuleAction === 'allow')
    .map(({ properties }) => properties.CidrBlock)
  assert.ok(!allowed.includes('10.30.0.0/16'))
  const limits = made
    .of('AWS::Lambda::EventSourceMapping')
    .map(({ properties }) => (properties.ScalingConfig as Json).MaximumConcurrency)
  assert.deepEqual(limits.sort(), [10, 4])
  const relays = running(made).filter(({ role }) => role === 'relay')
  assert.equal(relays.length, 2)
  for (const { plain } of relays)
    assert.deepEqual([plain.SQS_WEBHOOKS_MAX_CONCURRENCY, plain.SQS_PAYMENTS_MAX_CONCURRENCY], ['4', '10'])
  const polling = running(synthesise({ ...base, workers: 'containers' })).filter(
    ({ role }) => role === 'relay',
  )
  assert.ok(polling.length > 0 && polling.every(({ plain }) => !('SQS_WEBHOOKS_MAX_CONCURRENCY' in plain)))
})

test('migrations run while everything else is stopped, and take no executions from the others', () => {
  const reserved = (functions: Json) =>
    Object.fromEntries(
      synthesise({ ...example('small'), functions })
        .of('AWS::Lambda::Function')
        .filter(({ properties }) => String(properties.Handler).startsWith('lambda.'))
        .map(({ id, properties }) => [
          id.replace(/[0-9A-F]{8}$/, ''),
          properties.ReservedConcurrentExecutions,
        ]),
    )
  const { migrate, ...others } = reserved({ defaults: { reservedConcurrency: 0 } })
  assert.equal(migrate, undefined)
  assert.deepEqual([...new Set(Object.values(others))], [0])
  assert.equal(reserved({ each: { migrate: { reservedConcurrency: 1 } } }).migrate, 1)
})

test('an installation that is to go has nothing that keeps it, and the rules let it pass', () => {
  const made = synthesise({ ...example('full'), database: { deletionProtection: false } }, { held: true })
  const clusters = made.of('AWS::RDS::DBCluster')
  assert.equal(clusters.length, 2)
  for (const { properties, raw } of clusters) {
    assert.equal(properties.DeletionProtection, false)
    assert.equal(raw.DeletionPolicy, 'Snapshot', 'the data stays all the same')
  }
  for (const { properties } of made.of('AWS::ElasticLoadBalancingV2::LoadBalancer'))
    assert.match(JSON.stringify(properties), /"deletion_protection.enabled","Value":"false"/)
})

test('a worker that is stopped is handed no messages, which would become dead letters', () => {
  const { resources } = synthesise({
    ...example('small'),
    functions: { each: { payments: { reservedConcurrency: 0 } } },
  })
  const mappings = resources.filter(({ type }) => type === 'AWS::Lambda::EventSourceMapping')
  const enabled = Object.fromEntries(
    mappings.map(({ id, properties }) => [id.slice(0, 8), properties.Enabled]),
  )
  assert.deepEqual(enabled, { webhooks: true, payments: false })
})

// What Aurora allows at these capacities, as its documentation has it.
for (const [capacityMin, capacityMax, allowed] of [
  [0.5, 1, 189],
  [0.5, 4, 823],
  [0.5, 16, 2_000],
  [1, 16, 3_360],
  [2, 64, 5_000],
] as const)
  test(`of ${allowed} connections most are in use when the alarm says so, and the proxy has some left`, () => {
    const made = synthesise({ ...example('small'), database: { capacityMin, capacityMax } })
    const [alarm] = made
      .of('AWS::CloudWatch::Alarm')
      .filter(({ properties }) => properties.MetricName === 'DatabaseConnections')
    const threshold = Number(alarm?.properties.Threshold)
    const [pool] = made.of('AWS::RDS::DBProxyTargetGroup')
    const percent = Number((pool?.properties.ConnectionPoolConfigurationInfo as Json).MaxConnectionsPercent)
    assert.ok(threshold > allowed * 0.6 && threshold < (allowed * percent) / 100, String(threshold))
  })

/** Values that a stack exports and other stacks import: CloudFormation refuses an update that takes one away. */
const importsOf = (made: Synthesised): Map<string, Set<string>> => {
  const imports = new Map<string, Set<string>>()
  for (const { stack, raw } of made.resources)
    for (const [, name = ''] of JSON.stringify(raw).matchAll(/"Fn::ImportValue":"([^"]+)"/g))
      imports.set(name, (imports.get(name) ?? new Set()).add(stack))
  return imports
}

const one = example('full')
const { ilp: _ilp, autoPeering: _autoPeering, ...neither } = one.urls as Record<string, string>
for (const [change, before, after] of [
  ['workers move into containers', {}, { workers: 'containers' }],
  ['workers move into functions', { workers: 'containers' }, {}],
  ['the queue moves into Postgres', {}, { queue: 'postgres', workers: 'containers' }],
  ['auto-peering and peering end', {}, { urls: neither }],
  ['functions have addresses of their own', {}, { front: 'functionUrl' }],
  [
    'the operator brings secrets',
    {},
    { secrets: { STREAM_SECRET: arnOf('STREAM_SECRET'), COOKIE_KEY: arnOf('COOKIE_KEY') } },
  ],
  ['one connector needs no cache', {}, { cache: false, connector: { count: 1 } }],
  ['the network needs no endpoints', {}, { network: { interfaceEndpoints: false } }],
] as const)
  test(`an installation is changed in one deployment: ${change}`, () => {
    const [old, made] = [synthesise({ ...one, ...before }), synthesise({ ...one, ...after })]
    const [needed, kept] = [importsOf(old), importsOf(made)]
    const updated = new Set(made.resources.map(({ stack }) => stack))
    for (const [name, users] of needed) {
      const owner = name.split(':')[0] ?? ''
      // A stack is updated before those that import from it.
      if (!updated.has(owner) || kept.has(name)) continue
      assert.deepEqual([...users], [], `${name} is in use when ${owner} is updated`)
    }
  })
