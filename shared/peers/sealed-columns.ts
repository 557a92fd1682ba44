import type { SealedColumn } from '../platform/index.ts'
import { sealedProofColumns } from './accepted-store.ts'
import { tokenPlace } from './store.ts'

export const sealedPeerColumns: readonly SealedColumn[] = [
  {
    table: 'peers',
    column: 'outgoing_token_sealed',
    key: 'id',
    keyType: 'uuid',
    place: (row) => tokenPlace(row.id),
  },
  ...sealedProofColumns,
]
