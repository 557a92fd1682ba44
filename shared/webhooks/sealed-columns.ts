import type { Row, SealedColumn } from '../platform/index.ts'
import { webhookSecretPlace } from './secrets.ts'

const sealedIn = (column: string): SealedColumn => ({
  table: 'webhook_secrets',
  column,
  key: 'tenant_id',
  keyType: 'uuid',
  place: (row: Row) => webhookSecretPlace(row.tenant_id),
})

export const sealedWebhookColumns: readonly SealedColumn[] = [
  sealedIn('current_sealed'),
  sealedIn('previous_sealed'),
]
