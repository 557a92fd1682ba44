import type { Row, SealedColumn } from '../platform/index.ts'
import { dataFromSenderPlace } from './sealed-data.ts'
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
  {
    table: 'webhook_events',
    column: 'data_from_sender_sealed',
    key: 'id',
    keyType: 'uuid',
    place: (row: Row) => dataFromSenderPlace(row.id),
  },
]
