import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, deriveId, environmentWarnings, loadConfig } from '../platform/index.ts'
import { nodeConfig, nodeConfigChecks } from './config.ts'
import { settingsOf } from './model.ts'
import { redisChecks, resourceVariables } from './resource-variables.ts'

const env = {
  USE_TIGERBEETLE: 'false',
  OPERATOR_TENANT_ID: deriveId('operator'),
  ADMIN_API_SECRET: 'admin secret',
  OPEN_PAYMENTS_URL: 'https://op.example',
  AUTH_SERVER_GRANT_URL: 'https://auth.example',
  KEY_ID: 'key-1',
  ILP_ADDRESS: 'test.node',
  STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
  WEBHOOK_URL: 'http://wallet.example/webhooks',
}
const load = (more: Record<string, string | undefined> = {}) =>
  loadConfig(nodeConfig, { ...env, ...more }, nodeConfigChecks)
const problemsOf = (more: Record<string, string | undefined>): string[] => {
  try {
    load(more)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return [...error.problems]
  }
  return []
}

test('the defaults are the contract’s', () => {
  const config = load()
  assert.deepEqual(
    [
      config.quoteLifespanMs,
      config.incomingPaymentExpiryMaxMs,
      config.outgoingPaymentAttemptsMax,
      config.cacheMs,
    ],
    [300_000, 2_592_000_000, 5, 15_000],
  )
  assert.deepEqual(config.slippage, { numerator: 1n, denominator: 100n })
  assert.deepEqual([config.webhookTimeoutMs, config.webhookAttemptsMax], [2_000, undefined])
  assert.equal(config.databaseUrl, 'postgresql://postgres:password@localhost:5432/development')
  const defaults = loadConfig(resourceVariables, {
    INSTANCE_NAME: 'x',
    ILP_CONNECTOR_URL: 'http://x',
    AUTH_SERVER_INTROSPECTION_URL: 'http://x',
    AUTH_SERVICE_API_URL: 'http://x',
  })
  assert.deepEqual(
    [defaults.adminPort, defaults.connectorPort, defaults.openPaymentsPort, defaults.connectorRpcPort],
    [3001, 3002, 3003, 3012],
  )
  assert.equal(defaults.redisUrl, 'redis://127.0.0.1:6379')
})

test('everything that is missing is named at once', () => {
  const names = Object.keys(env).filter((name) => name !== 'USE_TIGERBEETLE')
  const problems = problemsOf(Object.fromEntries(names.map((name) => [name, undefined])))
  for (const name of names)
    assert.ok(
      problems.some((problem) => problem.startsWith(`${name} is required`)),
      name,
    )
})

test('malformed values are refused, and secrets not repeated', () => {
  for (const [name, value] of [
    ['OPERATOR_TENANT_ID', 'me'],
    ['STREAM_SECRET', 'c2hvcnQ='],
    ['ILP_ADDRESS', 'node'],
    ['SLIPPAGE', '1.5'],
    ['SLIPPAGE', '-0.1'],
    ['SLIPPAGE', '1%'],
    ['QUOTE_LIFESPAN', '5 min'],
    ['QUOTE_LIFESPAN', '0'],
    ['OPEN_PAYMENTS_URL', 'op.example'],
    ['OPEN_PAYMENTS_URL', 'https://op.example?x=1'],
    ['DB_ENCRYPTION_SECRET', 'hush-hush'],
    ['LOG_LEVEL', 'loud'],
    ['ENABLE_MANUAL_MIGRATIONS', 'yes'],
    ['ADMIN_API_SECRET', '  '],
    ['INCOMING_PAYMENT_EXPIRY_MAX_MS', '9007199254740991'],
  ] as const) {
    const problems = problemsOf({ [name]: value })
    assert.equal(problems.length, 1, `${name}=${value}`)
    assert.ok(problems[0]?.startsWith(name), problems[0])
  }
  const [unreadable = ''] = problemsOf({ DATABASE_URL: 'postgresql://me:hush-hush@host:99999/db' })
  assert.match(unreadable, /^DATABASE_URL/)
  assert.doesNotMatch(unreadable, /hush/)
  assert.deepEqual(problemsOf({ DATABASE_URL: 'postgresql://me:hush-hush@/db?host=%2Frun%2Fpostgresql' }), [])
  assert.doesNotMatch(problemsOf({ DB_ENCRYPTION_SECRET: 'hush-hush' }).join(), /hush/)
})

test('shares are exact, from nothing to all', () => {
  assert.deepEqual(load({ SLIPPAGE: '0' }).slippage, { numerator: 0n, denominator: 1n })
  assert.deepEqual(load({ SLIPPAGE: '0.0025' }).slippage, { numerator: 1n, denominator: 400n })
  assert.deepEqual(load({ SLIPPAGE: '1' }).slippage, { numerator: 1n, denominator: 1n })
})

test('contradictions and what this version has not are refused with words', () => {
  assert.deepEqual(problemsOf({ USE_TIGERBEETLE: undefined }), [])
  assert.match(problemsOf({ EGRESS_ALLOW_HTTP: 'true' }).join(), /EGRESS_ALLOW/)
  assert.deepEqual(problemsOf({ EGRESS_ALLOW_HTTP: 'true', EGRESS_ALLOW: 'localhost, ::1' }), [])
  assert.match(
    problemsOf({ WALLET_ADDRESS_LOOKUP_TIMEOUT_MS: '50' }).join(),
    /WALLET_ADDRESS_POLLING_FREQUENCY_MS/,
  )
  assert.deepEqual(redisChecks({ redisKeyFile: 'k', redisCertFile: 'c' }), [])
  assert.equal(redisChecks({ redisKeyFile: 'k', redisCertFile: undefined }).length, 1)
})

test('use cases see neither connection strings nor encryption keys', () => {
  const settings = settingsOf(
    load({ DB_ENCRYPTION_SECRET: Buffer.alloc(32, 9).toString('base64'), SIGNATURE_SECRET: 'sign' }),
  )
  assert.deepEqual(
    Object.keys(settings).filter((key) => /database|encryption|rpc/i.test(key)),
    [],
  )
  assert.equal(settings.webhookSecret, 'sign')
  assert.equal('exchangeRatesUrl' in settings, false)
})

test('retired names and near misses are warned of, other names are not', () => {
  assert.deepEqual(
    environmentWarnings({ ...env, PATH: '/bin', HOME: '/', npm_config_x: '1', AUTH_PORT: '1' }),
    [],
  )
  const ofLambda = {
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/x',
    AWS_DEFAULT_REGION: 'eu-central-1',
    _HANDLER: 'lambda.handler',
  }
  assert.deepEqual(environmentWarnings({ ...env, ...ofLambda }), [])
  assert.match(environmentWarnings({ PAYMENT_POINTER_URL: 'x' }).join(), /retired.*WALLET_ADDRESS_URL/)
  assert.match(environmentWarnings({ WEBHOOK_URLS: 'x' }).join(), /WEBHOOK_URL meant/)
  assert.match(environmentWarnings({ DATABSE_URL: 'x' }).join(), /DATABASE_URL meant/)
})
