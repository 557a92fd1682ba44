/**
 * Tenants here are the mirror of the node's tenants: what the authorization server needs of them. The node writes them through
 * the service API; the operator's own row is ensured at every start. Deleted ones stay, without effect on tokens already given.
 */
export { forgetTenant } from './forget.ts'
export { ensureIdpSecretHashes, listTenantsOfIdp } from './idp.ts'
export {
  createTenant,
  deleteTenant,
  ensureOperatorTenant,
  findApiSecrets,
  findTenant,
  type PreviousApiSecret,
  sealedTenantColumns,
  type TenantChange,
  type TenantContext,
  updateTenant,
} from './tenants.ts'
