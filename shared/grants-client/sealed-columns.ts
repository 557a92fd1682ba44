import type { SealedColumn } from '../platform/index.ts'
import { placeOf } from './store.ts'

export const sealedGrantColumns: readonly SealedColumn[] = [
  {
    table: 'remote_grants',
    column: 'access_token_sealed',
    key: 'id',
    keyType: 'uuid',
    reads: ['tenant_id', 'auth_server', 'access_type', 'actions'],
    place: (row) =>
      placeOf({
        tenantId: row.tenant_id,
        authServer: row.auth_server,
        type: row.access_type,
        actions: row.actions,
      }),
  },
]
