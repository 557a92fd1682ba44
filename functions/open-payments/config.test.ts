import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError } from '../../shared/platform/index.ts'
import { loadOpenPaymentsConfig } from './config.ts'
import { startOpenPayments } from './wiring.ts'

const environment = {
  USE_TIGERBEETLE: 'false',
  OPERATOR_TENANT_ID: '0190c0de-0000-7000-8000-00000000000a',
  ADMIN_API_SECRET: 'secret',
  OPEN_PAYMENTS_URL: 'https://bank.example',
  AUTH_SERVER_GRANT_URL: 'https://auth.example',
  AUTH_SERVER_INTROSPECTION_URL: 'http://auth.internal:3007',
  ILP_ADDRESS: 'test.bank',
  STREAM_SECRET: Buffer.alloc(32).toString('base64'),
  KEY_ID: 'key',
  WEBHOOK_URL: 'http://wallet.internal/webhooks',
}
const problemsOf = (more: Record<string, string>) => {
  try {
    loadOpenPaymentsConfig({ ...environment, ...more })
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

test('the defaults are the contract’s', () => {
  const config = loadOpenPaymentsConfig(environment)
  assert.equal(config.openPaymentsPort, 3003)
  assert.equal(config.introspectionCacheMs, 0)
  assert.equal(config.signatureWindowSeconds, 300)
  assert.equal(config.walletAddressNotFoundPolling, false)
  assert.equal(config.trustProxy, false)
})

test('a redirect template must become a URL', () => {
  for (const template of ['https://people.example/%wp', 'https://%wp/'])
    assert.deepEqual(problemsOf({ WALLET_ADDRESS_REDIRECT_HTML_PAGE: template }), [])
  for (const template of ['people.example/%wa', 'javascript:alert(1)', '%wa'])
    assert.deepEqual(problemsOf({ WALLET_ADDRESS_REDIRECT_HTML_PAGE: template }), [
      'WALLET_ADDRESS_REDIRECT_HTML_PAGE must be a URL with http or https',
    ])
})

test('a start without its environment names everything that is missing, and opens nothing', async () => {
  await assert.rejects(startOpenPayments({}), (error) => {
    assert.ok(error instanceof ConfigError)
    for (const name of ['OPEN_PAYMENTS_URL', 'AUTH_SERVER_GRANT_URL', 'AUTH_SERVER_INTROSPECTION_URL'])
      assert.ok(
        error.problems.some((problem) => problem.startsWith(`${name} is required`)),
        name,
      )
    return true
  })
})
