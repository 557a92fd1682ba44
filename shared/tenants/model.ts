import { hash, timingSafeEqual } from 'node:crypto'
import { configuration } from '../platform/index.ts'
import { type ExtraEventType, parseExtraEvents } from '../webhooks/index.ts'
import { TenantRefusal } from './errors.ts'

export interface PreviousApiSecret {
  secret: string
  until: Date
}

/** An account servicing entity on this node. The operator is the one whose id is OPERATOR_TENANT_ID. */
export interface Tenant {
  id: string
  /** Signs the Admin API. Sealed at rest. */
  apiSecret: string
  /** The one before, good besides until then. */
  previousApiSecret?: PreviousApiSecret
  publicName?: string
  email?: string
  idpConsentUrl?: string
  idpSecret?: string
  createdAt: Date
  deletedAt?: Date
}

/** Keys of stored settings, as on the wire (contracts/admin/tenancy.md §3). */
export const tenantSettingKeys = [
  'EXCHANGE_RATES_URL',
  'WEBHOOK_URL',
  'WEBHOOK_TIMEOUT',
  'WEBHOOK_MAX_RETRY',
  'WEBHOOK_EXTRA_EVENTS',
  'WALLET_ADDRESS_URL',
  'ILP_ADDRESS',
] as const
export type TenantSettingKey = (typeof tenantSettingKeys)[number]

export interface TenantSetting {
  key: TenantSettingKey
  value: string
}

/** A setting with whose word it is. */
export interface StoredSetting extends TenantSetting {
  byOperator: boolean
}

/** Settings that the node sends requests to. */
type UrlSetting = 'WEBHOOK_URL' | 'EXCHANGE_RATES_URL'

/** What applies to a tenant: its own settings, else the node's (tenancy.md §3). */
export interface TenantSettings {
  /** Absent: only payments within one currency. */
  exchangeRatesUrl?: string
  webhookUrl: string
  webhookTimeoutMs: number
  /** Attempts in all. Absent: for 72 hours. */
  webhookAttemptsMax?: number
  /** Event types beyond those that every wallet gets. */
  webhookExtraEvents: readonly ExtraEventType[]
  /** Prefix of the tenant's wallet addresses. Absent: it can have none. */
  walletAddressUrl?: string
  /** Absent: its payments offer no payment method. */
  ilpAddress?: string
  /** URLs that the tenant itself has set: they are reached under the rules for strangers' URLs. */
  untrustedUrls: readonly UrlSetting[]
}

/** The node's own values, from the environment. */
export interface TenantDefaults {
  operatorTenantId: string
  openPaymentsUrl: string
  ilpAddress: string
  exchangeRatesUrl?: string
  webhookUrl: string
  webhookTimeoutMs: number
  webhookAttemptsMax?: number
  /** SIGNATURE_SECRET; absent: webhooks are not signed, but for tenants with a secret of their own. */
  webhookSecret?: string
  /** SIGNATURE_SECRET_PREVIOUS: still good while that one changes. */
  webhookPreviousSecret?: string
  webhookExtraEvents?: readonly ExtraEventType[]
  /** Where events about card payments go, besides their wallets. */
  cardWebhookUrl?: string
  posWebhookUrl?: string
  webhookSignatureVersion: number
  /** SEND_TENANT_WEBHOOKS_TO_OPERATOR. */
  sendTenantWebhooksToOperator: boolean
}

/** Who gets an event of this tenant: itself, and the operator too where the node is set so. */
export function eventRecipients(
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator'>,
  tenantId: string,
): string[] {
  return settings.sendTenantWebhooksToOperator && tenantId !== settings.operatorTenantId
    ? [tenantId, settings.operatorTenantId]
    : [tenantId]
}

/** What a tenant may set. */
export const WEBHOOK_TIMEOUT_MS_MAX = 600_000

/** How a prefix is compared: in lower case and without slashes at its end. */
export const prefixBase = (prefix: string): string => prefix.toLowerCase().replace(/\/+$/, '')

/** Prefixes are held against each other as texts, so there is one way to write each. */
function plainPrefix(value: string): string {
  const { href, pathname, username, password, search, hash } = new URL(configuration.url('https')(value))
  if (username !== '' || password !== '' || search !== '' || hash !== '')
    throw new Error('must be a URL without credentials, query and fragment')
  if (pathname.includes('%') || prefixBase(href) !== prefixBase(value))
    throw new Error('must be a URL in its plain form: no port 443, no encoded characters')
  return value
}

const validators: Record<TenantSettingKey, (value: string) => unknown> = {
  EXCHANGE_RATES_URL: configuration.httpUrl,
  WEBHOOK_URL: configuration.httpUrl,
  WEBHOOK_TIMEOUT: configuration.integer({ min: 1, max: WEBHOOK_TIMEOUT_MS_MAX }),
  WEBHOOK_MAX_RETRY: configuration.integer({ min: 0, max: 1_000_000 }),
  WEBHOOK_EXTRA_EVENTS: parseExtraEvents,
  WALLET_ADDRESS_URL: plainPrefix,
  ILP_ADDRESS: configuration.ilpAddress,
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer')

/** A week: whoever needs longer changes nothing. */
export const API_SECRET_OVERLAP_SECONDS_MAX = 604_800

/** Throws {@link TenantRefusal} `invalid_tenant`. */
export function checkApiSecretOverlap(seconds: number): void {
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > API_SECRET_OVERLAP_SECONDS_MAX)
    throw new TenantRefusal('invalid_tenant', {
      message: `apiSecretOverlapSeconds must be from 0 to ${API_SECRET_OVERLAP_SECONDS_MAX}`,
    })
}

/**
 * What stays good beside a new secret. Nothing without an overlap: a secret is changed because it leaked, too, and then neither it nor
 * the one before may live on. Otherwise the one that was, and no older one; the same secret set again begins nothing anew.
 */
export function previousApiSecretOf(
  tenant: Pick<Tenant, 'apiSecret' | 'previousApiSecret'>,
  change: { apiSecret: string; overlapSeconds: number; now: Date },
): PreviousApiSecret | undefined {
  if (change.overlapSeconds === 0) return undefined
  if (change.apiSecret === tenant.apiSecret) return tenant.previousApiSecret
  return { secret: tenant.apiSecret, until: new Date(change.now.getTime() + change.overlapSeconds * 1000) }
}

/** What the tenant's signatures are held against now. */
export const apiSecretsOf = (
  { apiSecret, previousApiSecret }: Pick<Tenant, 'apiSecret' | 'previousApiSecret'>,
  now: Date,
): string[] =>
  previousApiSecret && previousApiSecret.until > now ? [apiSecret, previousApiSecret.secret] : [apiSecret]

/** Throws {@link TenantRefusal} `invalid_tenant`. The operator is known by its secret: nobody else may have it. */
export function checkApiSecret(apiSecret: string, adminApiSecret: string | undefined): void {
  if (apiSecret === '') throw new TenantRefusal('invalid_tenant', { message: 'apiSecret must not be empty' })
  if (adminApiSecret !== undefined && timingSafeEqual(digest(apiSecret), digest(adminApiSecret)))
    throw new TenantRefusal('invalid_tenant', { message: 'apiSecret cannot be taken' })
}

/** Throws {@link TenantRefusal} `invalid_tenant`. */
export function checkConsentUrl(idpConsentUrl: string | undefined): void {
  if (idpConsentUrl === undefined) return
  try {
    configuration.httpUrl(idpConsentUrl)
  } catch (error) {
    throw new TenantRefusal('invalid_tenant', {
      message: 'idpConsentUrl must be an http or https URL',
      cause: error,
    })
  }
}

/** Throws {@link TenantRefusal} `invalid_setting`. */
export function checkSetting(setting: TenantSetting): void {
  try {
    validators[setting.key](setting.value)
  } catch (error) {
    throw new TenantRefusal('invalid_setting', {
      message: `${setting.key} ${error instanceof Error ? error.message : 'is malformed'}`,
      cause: error,
    })
  }
}

/** Pure: stored settings over the node's defaults. Only the operator inherits the node's ILP address and wallet address prefix. */
export function resolveSettings(
  tenantId: string,
  settings: readonly StoredSetting[],
  defaults: TenantDefaults,
): TenantSettings {
  const isOperator = tenantId === defaults.operatorTenantId
  const stored = new Map(settings.map(({ key, value }) => [key, value]))
  const isUntrusted = (key: UrlSetting, nodeUrl: string | undefined) =>
    !isOperator &&
    settings.some((setting) => setting.key === key && !setting.byOperator && setting.value !== nodeUrl)
  const exchangeRatesUrl = stored.get('EXCHANGE_RATES_URL') ?? defaults.exchangeRatesUrl
  const attempts = stored.get('WEBHOOK_MAX_RETRY')
  const attemptsMax = attempts === undefined ? defaults.webhookAttemptsMax : Number(attempts)
  const timeout = stored.get('WEBHOOK_TIMEOUT')
  const extraEvents = stored.get('WEBHOOK_EXTRA_EVENTS')
  const walletAddressUrl =
    stored.get('WALLET_ADDRESS_URL') ?? (isOperator ? defaults.openPaymentsUrl : undefined)
  const ilpAddress = stored.get('ILP_ADDRESS') ?? (isOperator ? defaults.ilpAddress : undefined)
  const untrustedUrls: UrlSetting[] = []
  if (isUntrusted('WEBHOOK_URL', defaults.webhookUrl)) untrustedUrls.push('WEBHOOK_URL')
  if (isUntrusted('EXCHANGE_RATES_URL', defaults.exchangeRatesUrl)) untrustedUrls.push('EXCHANGE_RATES_URL')
  return {
    untrustedUrls,
    webhookUrl: stored.get('WEBHOOK_URL') ?? defaults.webhookUrl,
    webhookTimeoutMs: timeout === undefined ? defaults.webhookTimeoutMs : Number(timeout),
    webhookExtraEvents:
      extraEvents === undefined ? (defaults.webhookExtraEvents ?? []) : parseExtraEvents(extraEvents),
    ...(exchangeRatesUrl !== undefined && { exchangeRatesUrl }),
    ...(attemptsMax !== undefined && { webhookAttemptsMax: attemptsMax }),
    ...(walletAddressUrl !== undefined && { walletAddressUrl }),
    ...(ilpAddress !== undefined && { ilpAddress }),
  }
}
