import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, deriveId } from '../shared/platform/index.ts'
import { loadConnectorConfig, tigerBeetleOf } from './config.ts'

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
const problemsOf = (more: Record<string, string>): readonly string[] => {
  try {
    loadConnectorConfig({ ...env, ...more })
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

test('contradictions are listed together', () => {
  const problems = problemsOf({
    CONNECTOR_PORT: '3012',
    REDIS_TLS_KEY_FILE_PATH: 'key.pem',
    KEY_ID_PREVIOUS: 'key-1',
    USE_TIGERBEETLE: 'true',
    TIGERBEETLE_REPLICA_ADDRESSES: 'tigerbeetle',
  })
  for (const name of [
    'TIGERBEETLE_REPLICA_ADDRESSES must be',
    'KEY_ID_PREVIOUS and PRIVATE_KEY_FILE_PREVIOUS',
    'KEY_ID_PREVIOUS must differ',
    'REDIS_TLS_KEY_FILE_PATH and',
    'CONNECTOR_PORT and CONNECTOR_RPC_PORT',
  ])
    assert.equal(problems.filter((problem) => problem.startsWith(name)).length, 1, name)
  assert.equal(problems.length, 5)
})

test('ports may be the same where they are any', () => {
  assert.deepEqual(problemsOf({ CONNECTOR_PORT: '0', CONNECTOR_RPC_PORT: '0' }), [])
  assert.deepEqual(problemsOf({}), [])
})

test('a TigerBeetle cluster is judged when it is used, and only then', () => {
  const replicas = {
    TIGERBEETLE_REPLICA_ADDRESSES: '10.0.0.1:3001,replica-2:3001',
    TIGERBEETLE_CLUSTER_ID: '7',
  }
  assert.deepEqual(problemsOf({ USE_TIGERBEETLE: 'true' }), [])
  assert.deepEqual(problemsOf({ USE_TIGERBEETLE: 'true', ...replicas }), [])
  assert.deepEqual(tigerBeetleOf(loadConnectorConfig({ ...env, USE_TIGERBEETLE: 'true', ...replicas })), {
    clusterId: 7n,
    replicas: [
      { host: '10.0.0.1', port: 3001 },
      { host: 'replica-2', port: 3001 },
    ],
  })
  const wrong = { TIGERBEETLE_CLUSTER_ID: '-1', TIGERBEETLE_REPLICA_ADDRESSES: '' }
  assert.deepEqual(problemsOf(wrong), [])
  assert.match(problemsOf({ ...wrong, USE_TIGERBEETLE: 'true' }).join(), /^TIGERBEETLE_CLUSTER_ID must be/)
})

test('how far a price may move is a factor, or without limit', () => {
  for (const good of ['0', '2', '1.05', '1000'])
    assert.deepEqual(problemsOf({ EXCHANGE_RATES_CHANGE_MAX: good }), [], good)
  for (const bad of ['1', '0.5', '-2', '2%', '1e3', 'Infinity'])
    assert.match(
      problemsOf({ EXCHANGE_RATES_CHANGE_MAX: bad }).join(),
      /^EXCHANGE_RATES_CHANGE_MAX must be 0 or/,
      bad,
    )
})
