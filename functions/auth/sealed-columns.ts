import type { SealedColumn } from '../../shared/platform/index.ts'
import { sealedInteractionColumns } from './interactions/index.ts'
import { sealedTenantColumns } from './tenants/index.ts'

/** Everything that is sealed in the authorization database. */
export const sealedAuthColumns: readonly SealedColumn[] = [
  ...sealedTenantColumns,
  ...sealedInteractionColumns,
]
