/**
 * Tenants owns the account servicing entities on this node, their settings, and the two rules that every list and lookup
 * above it obeys: {@link TenantScope} says whose rows a call may touch, and {@link listPage} is the one way to page. Secrets
 * are sealed at rest, and keys hashed; the operator's secret always is ADMIN_API_SECRET, and nobody else's is. Every change
 * that the authorization server has to know is written together with the job that brings it there.
 */

export {
  type AnyOf,
  InvalidPage,
  type ListQuery,
  listPage,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  type Page,
  type Paged,
} from '../platform/index.ts'
export {
  createApiKey,
  findTenantByApiKey,
  listApiKeys,
  revokeApiKey,
  type TenantApiKey,
} from './api-keys.ts'
export { TenantRefusal, type TenantRefusalCode } from './errors.ts'
export {
  type AwaitingMirror,
  createMirroredTenant,
  MIRROR_LEASE_SECONDS,
  type MirrorContext,
  mirrorTenant,
  untilMirrored,
} from './mirror.ts'
export {
  apiSecretsOf,
  eventRecipients,
  type Tenant,
  type TenantDefaults,
  type TenantSetting,
  type TenantSettingKey,
  type TenantSettings,
  tenantSettingKeys,
  WEBHOOK_TIMEOUT_MS_MAX,
} from './model.ts'
export { forgetChangedTenants, TENANTS_CHANNEL } from './notice.ts'
export { askedById, isInScope, type ScopedId, scopeSql, type TenantScope } from './scope.ts'
export { sealedTenantColumns } from './sealed-columns.ts'
export {
  findTenantByWalletAddressUrl,
  getTenantSettings,
  getWalletAddressPrefix,
  isBelowLongerPrefix,
  isBelowPrefix,
  listTenantSettings,
  tenantSettingsAtHand,
} from './settings.ts'
export type { TenantPatch } from './store.ts'
export {
  type CreateTenantInput,
  createTenant,
  deleteTenant,
  ensureOperatorTenant,
  findAnyTenant,
  findTenant,
  getTenant,
  listTenants,
  setTenantSettings,
  type TenantWriteContext,
  updateTenant,
} from './tenants.ts'
export {
  attemptsSeenBy,
  extraEventRecipients,
  serviceRecipients,
  setWebhookSecret,
  webhookRecipient,
} from './webhooks.ts'
