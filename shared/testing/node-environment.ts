/** What a deployable on the resource database needs to start in a test, and no more. */
export const testNodeEnvironment = (databaseUrl: string): Record<string, string> => ({
  LOG_LEVEL: 'silent',
  USE_TIGERBEETLE: 'false',
  REDIS_URL: 'none',
  DATABASE_URL: databaseUrl,
  OPEN_PAYMENTS_URL: 'https://bank.example',
  AUTH_SERVER_GRANT_URL: 'https://auth.bank.example',
  WEBHOOK_URL: 'http://localhost:1/webhooks',
  ADMIN_API_SECRET: 'a secret of sufficient length for tests',
  OPERATOR_TENANT_ID: '5d1f3d1e-7b0a-4f0e-9c39-0a9a3b6f2c11',
  STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
  ILP_ADDRESS: 'test.bank',
  KEY_ID: 'key-1',
})
