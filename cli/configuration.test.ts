import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import {
  ConfigError,
  configuration,
  environmentWarnings,
  namesBeside,
  namesOfAbsentFeatures,
  namesOfVariables,
  retiredNames,
} from '../shared/platform/index.ts'
import { configurationPage, deployables, groupOf, type ShownVariable } from './configuration-page.ts'

const letters: Readonly<Record<string, string>> = {
  A: 'functions/admin',
  O: 'functions/open-payments',
  I: 'functions/auto-peering',
  G: 'functions/auth',
  W: 'functions/webhooks',
  P: 'functions/payments',
  C: 'connector',
}
/** Every deployable on the resource database. */
const NODE = 'AOIWPC'
const ALL = 'AOIGWPC'

type Expected =
  | readonly [readers: string, fallback?: string | number | boolean]
  | 'absent feature'
  | 'beside'
  | 'retired'

/** Names, readers and defaults of the resource side as the contract lists them. No default: required, or optional. */
const resourceSide: Readonly<Record<string, Expected>> = {
  LOG_LEVEL: [ALL, 'info'],
  NODE_ENV: [ALL, 'development'],
  ENV_FILE: 'beside',
  TRUST_PROXY: [ALL, false],
  ENABLE_TELEMETRY: [ALL, false],
  ENABLE_TELEMETRY_TRACES: [ALL, false],
  ENABLE_ILP_TIMING_TELEMETRY: ['C', true],
  // The collectors that it chose between are not this node's.
  LIVENET: 'retired',
  // No collector is named unless the operator names it.
  OPEN_TELEMETRY_COLLECTOR_URLS: [ALL, ''],
  OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: [ALL, ''],
  OPEN_TELEMETRY_EXPORT_INTERVAL: [ALL, 15_000],
  TELEMETRY_EXCHANGE_RATES_URL: ['C'],
  TELEMETRY_EXCHANGE_RATES_LIFETIME: ['C', 86_400_000],
  ADMIN_PORT: ['A', 3001],
  OPEN_PAYMENTS_URL: [NODE],
  OPEN_PAYMENTS_PORT: ['O', 3003],
  CONNECTOR_PORT: ['C', 3002],
  AUTO_PEERING_SERVER_PORT: ['I', 3005],
  ENABLE_AUTO_PEERING: ['I', false],
  ENABLE_MANUAL_MIGRATIONS: [ALL, false],
  DATABASE_URL: [NODE, 'postgresql://postgres:password@localhost:5432/development'],
  WALLET_ADDRESS_URL: [NODE, 'http://127.0.0.1:3001/.well-known/pay'],
  // Sessions and used signatures of the authorization server are in its database.
  REDIS_URL: ['WPC', 'redis://127.0.0.1:6379'],
  REDIS_TLS_CA_FILE_PATH: ['WPC'],
  REDIS_TLS_KEY_FILE_PATH: ['WPC'],
  REDIS_TLS_CERT_FILE_PATH: ['WPC'],
  ILP_ADDRESS: [NODE],
  ILP_CONNECTOR_URL: ['AI'],
  INSTANCE_NAME: [ALL],
  STREAM_SECRET: [NODE],
  USE_TIGERBEETLE: [NODE, true],
  TIGERBEETLE_CLUSTER_ID: ['C', '0'],
  TIGERBEETLE_REPLICA_ADDRESSES: ['C', '3004'],
  TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS: ['C', 5],
  EXCHANGE_RATES_URL: [NODE],
  EXCHANGE_RATES_LIFETIME: ['C', 15_000],
  SLIPPAGE: [NODE, '0.01'],
  QUOTE_LIFESPAN: [NODE, 300_000],
  WALLET_ADDRESS_WORKERS: ['P', 1],
  WALLET_ADDRESS_WORKER_IDLE: ['P', 200],
  AUTH_SERVER_GRANT_URL: [ALL],
  AUTH_SERVER_INTROSPECTION_URL: ['O'],
  AUTH_SERVICE_API_URL: ['A'],
  OUTGOING_PAYMENT_WORKERS: ['P', 4],
  OUTGOING_PAYMENT_WORKER_IDLE: ['P', 200],
  INCOMING_PAYMENT_WORKERS: ['P', 1],
  INCOMING_PAYMENT_WORKER_IDLE: ['P', 200],
  POLL_INCOMING_PAYMENT_CREATED_WEBHOOK: [NODE, false],
  INCOMING_PAYMENT_CREATED_POLL_TIMEOUT_MS: [NODE, 10_000],
  INCOMING_PAYMENT_CREATED_POLL_FREQUENCY_MS: [NODE, 1_000],
  WEBHOOK_WORKERS: ['W', 1],
  WEBHOOK_WORKER_IDLE: ['W', 200],
  WEBHOOK_URL: [NODE],
  WEBHOOK_TIMEOUT: [NODE, 2_000],
  // Unset, deliveries are tried for 72 hours.
  WEBHOOK_MAX_RETRY: [NODE],
  WITHDRAWAL_THROTTLE_DELAY: ['P'],
  SIGNATURE_SECRET: [NODE],
  SIGNATURE_VERSION: [NODE, 1],
  ADMIN_API_SECRET: [ALL],
  ADMIN_API_SIGNATURE_VERSION: ['AG', 1],
  ADMIN_API_SIGNATURE_TTL_SECONDS: ['AG', 30],
  OPERATOR_TENANT_ID: [ALL],
  KEY_ID: [NODE],
  PRIVATE_KEY_FILE: [NODE],
  GRAPHQL_IDEMPOTENCY_KEY_LOCK_MS: ['A', 2_000],
  GRAPHQL_IDEMPOTENCY_KEY_TTL_MS: ['A', 86_400_000],
  WALLET_ADDRESS_NOT_FOUND_POLLING_ENABLED: ['O', false],
  WALLET_ADDRESS_LOOKUP_TIMEOUT_MS: [NODE, 1_500],
  WALLET_ADDRESS_POLLING_FREQUENCY_MS: [NODE, 100],
  WALLET_ADDRESS_DEACTIVATION_PAYMENT_GRACE_PERIOD_MS: [NODE, 86_400_000],
  WALLET_ADDRESS_REDIRECT_HTML_PAGE: ['O'],
  INCOMING_PAYMENT_EXPIRY_MAX_MS: [NODE, 2_592_000_000],
  ENABLE_SPSP_PAYMENT_POINTERS: ['O', true],
  MAX_OUTGOING_PAYMENT_RETRY_ATTEMPTS: [NODE, 5],
  LOCAL_CACHE_DURATION_MS: [NODE, 15_000],
  SEND_TENANT_WEBHOOKS_TO_OPERATOR: [NODE, false],
  DB_ENCRYPTION_SECRET: [ALL],
  ENABLE_PARTIAL_PAYMENT_DECISION: ['C', false],
  PARTIAL_PAYMENT_DECISION_MAX_WAIT_MS: ['C', 1_500],
  PARTIAL_PAYMENT_DECISION_SAFETY_MARGIN_MS: ['C', 100],
  CARD_SERVICE_URL: ['O'],
  CARD_WEBHOOK_SERVICE_URL: [NODE],
  POS_WEBHOOK_SERVICE_URL: [NODE],
  POS_SERVICE_URL: 'beside',
  PAYMENT_POINTER_URL: 'retired',
  PAYMENT_POINTER_WORKERS: 'retired',
  PAYMENT_POINTER_WORKER_IDLE: 'retired',
  PUBLIC_HOST: 'retired',
  QUOTE_URL: 'retired',
  NODE_ENVIRONMENT: 'retired',
  'TIGERBEETLE_REPLICA_ADDRESSES.SPLIT': 'retired',
}

/** Of the authorization server. Where both sides have a name, this is its meaning there. */
const authSide: Readonly<Record<string, Expected>> = {
  ADMIN_PORT: ['G', 3003],
  AUTH_PORT: ['G', 3006],
  INTERACTION_PORT: ['G', 3009],
  INTROSPECTION_PORT: ['G', 3007],
  SERVICE_API_PORT: ['G', 3011],
  AUTH_DATABASE_URL: ['G', 'postgresql://postgres:password@localhost:5432/auth_development'],
  IDENTITY_SERVER_URL: ['G'],
  IDENTITY_SERVER_SECRET: ['G'],
  AUTH_SERVER_URL: ['G'],
  WAIT_SECONDS: ['G', 5],
  COOKIE_KEY: ['G'],
  INTERACTION_COOKIE_SAME_SITE: ['G'],
  INTERACTION_EXPIRY_SECONDS: ['G', 600],
  ACCESS_TOKEN_EXPIRY_SECONDS: ['G', 600],
  ACCESS_TOKEN_DELETION_DAYS: ['G', 30],
  DATABASE_CLEANUP_WORKERS: ['G', 1],
  INCOMING_PAYMENT_INTERACTION: ['G', false],
  QUOTE_INTERACTION: ['G', false],
  LIST_ALL_ACCESS_INTERACTION: ['G', true],
}

/** Of the services beside the node that share an environment with it; names that could be anybody's are not ours to judge. */
const servicesBeside = [
  ['CARD_SERVICE_PORT', 'CARD_PAYMENT_TIMEOUT_MS', 'TENANT_SECRET', 'TENANT_SIGNATURE_VERSION'],
  [
    'WEBHOOK_SIGNATURE_SECRET',
    'WEBHOOK_SIGNATURE_VERSION',
    'WEBHOOK_TIMEOUT_MS',
    'INCOMING_PAYMENT_EXPIRY_MS',
  ],
  ['GRAPHQL_URL', 'PORT', 'TENANT_ID', 'USE_HTTP', 'AUTH_ENABLED', 'KRATOS_ADMIN_URL'],
  ['KRATOS_CONTAINER_PUBLIC_URL', 'KRATOS_BROWSER_PUBLIC_URL', 'ENABLE_INSECURE_MESSAGE_COOKIE'],
].flat()

const findVariable = (deployable: string, name: string): ShownVariable | undefined =>
  Object.values(deployables[deployable] ?? {}).find((variable) => variable.name === name)

/** A default as the environment would say it. */
const asText = (fallback: unknown): string => {
  if (typeof fallback !== 'object' || fallback === null || Array.isArray(fallback)) return String(fallback)
  const { numerator, denominator } = fallback as { numerator: bigint; denominator: bigint }
  return String(Number(numerator) / Number(denominator))
}

const readersOf = (name: string) =>
  Object.keys(letters).filter((letter) => findVariable(letters[letter]!, name) !== undefined)

describe('every variable of the contract', () => {
  const both = [...Object.entries(resourceSide), ...Object.entries(authSide)]
  const rowsOf = (name: string) => both.filter(([other]) => other === name).map(([, expected]) => expected)
  for (const name of new Set(both.map(([other]) => other)))
    test(name, () => {
      const rows = rowsOf(name)
      const warnings = environmentWarnings({ [name]: 'x' })
      for (const expected of rows)
        if (Array.isArray(expected)) {
          const [deployablesOfRow, fallback] = expected as [string, unknown]
          for (const letter of deployablesOfRow) {
            const variable = findVariable(letters[letter]!, name)
            assert.ok(variable, `${letters[letter]} reads ${name}`)
            if (fallback === undefined) assert.equal(variable.fallback, undefined, letters[letter])
            else assert.equal(asText(variable.fallback), String(fallback), letters[letter])
          }
          assert.deepEqual(warnings, [])
        }
      const expectedReaders = rows.flatMap((row) => (Array.isArray(row) ? [...(row[0] as string)] : []))
      assert.deepEqual(readersOf(name).sort(), [...new Set(expectedReaders)].sort(), 'and nobody else does')
      if (rows.includes('beside')) assert.deepEqual(warnings, [])
      if (rows.includes('retired')) assert.match(warnings.join(), /is retired.*; see /)
      if (rows.includes('absent feature'))
        assert.match(warnings.join(), /has no effect: this version does not have /)
    })
  test('and of the services beside the node, which are nobody’s mistake', () => {
    for (const name of servicesBeside) {
      assert.deepEqual(readersOf(name), [], name)
      assert.deepEqual(environmentWarnings({ [name]: 'x' }), [], name)
    }
  })
})

describe('the names that starts know', () => {
  test('are those that deployables read', () => {
    const read = Object.values(deployables).flatMap((schema) => Object.values(schema).map(({ name }) => name))
    assert.deepEqual(
      [...namesOfVariables].sort(),
      [...new Set(read)].sort(),
      'shared/platform/environment-names.ts lists what the schemas read',
    )
  })
  test('are in one list each', () => {
    const names = [
      ...namesOfVariables,
      ...namesBeside,
      ...Object.keys(namesOfAbsentFeatures),
      ...Object.keys(retiredNames),
    ]
    assert.equal(new Set(names).size, names.length)
    for (const replacement of Object.values(retiredNames))
      assert.ok((namesOfVariables as readonly string[]).includes(replacement), replacement)
  })
  test('are told from near misses and from what only begins like them', () => {
    for (const [name, meant] of [
      ['WEBHOOK_URLS', 'WEBHOOK_URL'],
      ['DATABSE_URL', 'DATABASE_URL'],
      ['OUTGOING_PAYMENTS_WORKERS', 'OUTGOING_PAYMENT_WORKERS'],
      ['WALLET_ADDRESS_POLLING_FREQUENCY', 'WALLET_ADDRESS_POLLING_FREQUENCY_MS'],
      ['ADMIN_API_SIGNATURE_TTL', 'ADMIN_API_SIGNATURE_TTL_SECONDS'],
      ['REDIS_TLS_CA_FILE', 'REDIS_TLS_CA_FILE_PATH'],
      ['EGRESS_ALOW', 'EGRESS_ALLOW'],
    ] as const)
      assert.deepEqual(environmentWarnings({ [name]: 'x' }), [
        `${name} is unknown and has no effect; is ${meant} meant?`,
      ])
    assert.deepEqual(environmentWarnings({ WALLET_ADDRESS_COLOUR_OF_THE_PAGE_THAT_IS_SHOWN: 'red' }), [
      'WALLET_ADDRESS_COLOUR_OF_THE_PAGE_THAT_IS_SHOWN is unknown and has no effect',
    ])
  })
  test('leave everybody else’s alone', () => {
    const others = [
      'PATH',
      'HOME',
      'npm_config_cache',
      'KUBERNETES_SERVICE_HOST',
      'REDIS_PORT',
      'HOSTNAME',
      'TZ',
    ]
    const ofServices = ['WEBHOOK_SERVICE_PORT', 'ILP_PORT_3002_TCP_ADDR', 'AUTH_SERVER_SERVICE_PORT_HTTP']
    for (const name of [
      ...others,
      ...ofServices,
      'NODE_OPTIONS',
      'AWS_REGION',
      'SIGNATURE_ALGORITHM',
      'PORT',
    ])
      assert.deepEqual(environmentWarnings({ [name]: 'x' }), [], name)
    assert.deepEqual(
      environmentWarnings({ SQS_WEBHOOKS_QUEUE_URL: '', SQS_PAYMENTS_QUEUE_URL: undefined }),
      [],
    )
  })
})

describe('what stops a start', () => {
  for (const [name, schema] of Object.entries(deployables)) {
    const required = Object.values(schema).filter(
      ({ fallback, optional }) => fallback === undefined && !optional,
    )
    const problemsOf = (env: Record<string, string>): readonly string[] => {
      try {
        configuration.loadConfig(schema as configuration.Schema, env)
        return []
      } catch (error) {
        assert.ok(error instanceof ConfigError)
        return error.problems
      }
    }
    test(`${name}: all that is missing, at once, and whatever is malformed beside it`, () => {
      const wrong = { LOG_LEVEL: 'loud', TRUST_PROXY: 'yes', USE_TIGERBEETLE: 'perhaps' }
      const malformed = Object.keys(wrong).filter((variable) => findVariable(name, variable))
      assert.ok(malformed.length > 0)
      const problems = problemsOf(wrong)
      assert.equal(problems.length, required.length + malformed.length)
      for (const variable of [...required.map((item) => item.name), ...malformed])
        assert.equal(problems.filter((problem) => problem.startsWith(`${variable} `)).length, 1, variable)
    })
    test(`${name}: an empty value is an unset one`, () => {
      const empty = Object.fromEntries(Object.values(schema).map((variable) => [variable.name, '']))
      assert.deepEqual(problemsOf(empty), problemsOf({}))
    })
    test(`${name}: secrets are not repeated in problems`, () => {
      for (const variable of Object.values(schema).filter(({ secret }) => secret)) {
        const problems = problemsOf({ [variable.name]: '\thush-hush://' }).filter((line) =>
          line.startsWith(variable.name),
        )
        assert.doesNotMatch(problems.join(), /hush/, variable.name)
      }
    })
  }
  test('what looks like a secret is one', () => {
    for (const schema of Object.values(deployables))
      for (const variable of Object.values(schema))
        if (/(SECRET|_KEY|_PASSWORD|DATABASE_URL|REDIS_URL)(_PREVIOUS)?$/.test(variable.name))
          assert.equal(variable.secret, true, variable.name)
  })
})

describe('docs/configuration.md', () => {
  test('is what the schemas say', () => {
    const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
    assert.equal(page, configurationPage(), 'npm run docs:configuration writes it anew')
  })
  test('says of each deployable everything it reads', () => {
    const sections = configurationPage().split('\n## ')
    for (const [name, schema] of Object.entries(deployables)) {
      const section = sections.find((text) => text.startsWith(`${name}\n`)) ?? ''
      for (const variable of Object.values(schema)) {
        const row = section.split('\n').find((line) => line.includes(`| \`${variable.name}\` |`)) ?? ''
        assert.ok(row.includes(variable.about.replaceAll('|', '\\|')), variable.name)
        assert.equal(row.endsWith('| yes |'), variable.secret === true, variable.name)
        assert.notEqual(groupOf(variable.name), '')
      }
    }
  })
})
