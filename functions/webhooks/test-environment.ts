import { deriveId } from '../../shared/platform/index.ts'

export const operatorTenantId = deriveId('operator')

/** What a webhook worker needs to start in a test. */
export const testEnvironment = (
  databaseUrl: string,
  webhookUrl: string,
  more: Record<string, string> = {},
): Record<string, string> => ({
  LOG_LEVEL: 'silent',
  USE_TIGERBEETLE: 'false',
  REDIS_URL: 'none',
  DATABASE_URL: databaseUrl,
  OPERATOR_TENANT_ID: operatorTenantId,
  ADMIN_API_SECRET: 'an admin secret for tests',
  OPEN_PAYMENTS_URL: 'https://localhost:3003',
  AUTH_SERVER_GRANT_URL: 'https://localhost:3006',
  ILP_ADDRESS: 'test.bank',
  STREAM_SECRET: Buffer.alloc(32, 7).toString('base64'),
  KEY_ID: 'test-key',
  SIGNATURE_SECRET: 'a webhook secret for tests',
  WEBHOOK_URL: webhookUrl,
  ...more,
})
