import type { SealedColumn } from '../../../shared/platform/index.ts'
import { referencePurpose } from './request-consent.ts'

export const sealedInteractionColumns: readonly SealedColumn[] = [
  {
    table: 'interactions',
    column: 'interact_ref_sealed',
    key: 'id',
    keyType: 'uuid',
    place: (row) => referencePurpose(row.id),
  },
]
