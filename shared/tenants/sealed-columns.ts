import type { SealedColumn } from '../platform/index.ts'
import { apiSecretPlace, idpSecretPlace } from './store.ts'

const sealedIn = (column: string, placeOf: (id: string) => string): SealedColumn => ({
  table: 'tenants',
  column,
  key: 'id',
  keyType: 'uuid',
  place: (row) => placeOf(row.id),
})

export const sealedTenantColumns: readonly SealedColumn[] = [
  sealedIn('api_secret_sealed', apiSecretPlace),
  sealedIn('previous_api_secret_sealed', apiSecretPlace),
  sealedIn('idp_secret_sealed', idpSecretPlace),
]
