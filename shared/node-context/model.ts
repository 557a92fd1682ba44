import type { KeyObject } from 'node:crypto'
import type { ConnectorClient } from '../connector-client/index.ts'
import type { GrantsClient } from '../grants-client/index.ts'
import type { Jwk } from '../http-signatures/index.ts'
import type { IncomingPaymentSettings } from '../incoming-payments/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { Rate } from '../money/index.ts'
import type { PaymentMethods } from '../payment-methods/index.ts'
import {
  type Cache,
  type Clock,
  type DbPool,
  type HttpClient,
  type Invocation,
  type Listener,
  type Logger,
  present,
  type SecretBox,
} from '../platform/index.ts'
import type { Telemetry } from '../telemetry/index.ts'
import type { NodeConfig } from './config.ts'

/** What use cases need to know of this node, from the environment. */
export interface NodeSettings extends IncomingPaymentSettings {
  adminApiSecret: string
  adminApiPreviousSecret?: string
  /** The node's own wallet address: its identity as a client. */
  walletAddressUrl: string
  authServerGrantUrl: string
  keyId: string
  slippage: Rate
  quoteLifespanMs: number
  outgoingPaymentAttemptsMax: number
  cacheMs: number
  pollIncomingPaymentCreated: boolean
  incomingPaymentCreatedPollTimeoutMs: number
  incomingPaymentCreatedPollFrequencyMs: number
  walletAddressLookupTimeoutMs: number
  walletAddressPollingFrequencyMs: number
  walletAddressDeactivationGraceMs: number
}

/** What the node signs a request with. */
export interface InstanceKey {
  privateKey: KeyObject
  keyId: string
  jwk: Jwk
}

/** The node's signing keys over time. */
export interface InstanceKeys {
  /** To be asked for at each signature. */
  current(): InstanceKey
  /** For `jwks.json` of WALLET_ADDRESS_URL: the one that signs, those that will, and those that did and may still be under way. */
  published(): Jwk[]
}

/** Everything that a deployable on the resource database stands on. Use cases take the parts that they name. */
export interface NodeContext {
  db: DbPool
  ledger: Ledger
  /** Releases holds that have expired, in a Postgres ledger; TigerBeetle does so itself. Returns how many groups there were. */
  sweepHolds: () => Promise<number>
  clock: Clock
  log: Logger
  cache: Cache
  listener: Listener
  secretBox: SecretBox
  /** For URLs from the environment and the operator. */
  trustedHttp: HttpClient
  /** For everybody else's URLs. */
  guardedHttp: HttpClient
  connector: ConnectorClient
  grants: GrantsClient
  instanceKeys: InstanceKeys
  settings: NodeSettings
  methods: PaymentMethods
  /** What this process is watched with. */
  telemetry: Telemetry
  /** Of a sandbox: before and after the work of each invocation, while it is not frozen. */
  invocation: Invocation
  /** Throws when the database is away. */
  ready: () => Promise<void>
  /** Ends what the context opened, the database last. */
  close(): Promise<void>
}

const settingKeys = [
  'operatorTenantId',
  'adminApiSecret',
  'openPaymentsUrl',
  'walletAddressUrl',
  'authServerGrantUrl',
  'keyId',
  'ilpAddress',
  'streamSecret',
  'slippage',
  'quoteLifespanMs',
  'outgoingPaymentAttemptsMax',
  'incomingPaymentExpiryMaxMs',
  'cacheMs',
  'pollIncomingPaymentCreated',
  'incomingPaymentCreatedPollTimeoutMs',
  'incomingPaymentCreatedPollFrequencyMs',
  'walletAddressLookupTimeoutMs',
  'walletAddressPollingFrequencyMs',
  'walletAddressDeactivationGraceMs',
  'webhookUrl',
  'webhookTimeoutMs',
  'webhookSignatureVersion',
  'sendTenantWebhooksToOperator',
  'webhookExtraEvents',
] as const satisfies readonly (keyof NodeSettings & keyof NodeConfig)[]

/** Picks what use cases may see: no connection strings, no encryption keys. */
export function settingsOf(config: NodeConfig): NodeSettings {
  const picked = Object.fromEntries(settingKeys.map((key) => [key, config[key]])) as Pick<
    NodeConfig,
    (typeof settingKeys)[number]
  >
  const { exchangeRatesUrl, webhookAttemptsMax, webhookSecret, webhookPreviousSecret } = config
  const { adminApiPreviousSecret } = config
  const { cardWebhookUrl, posWebhookUrl } = config
  const urls = present({ exchangeRatesUrl, cardWebhookUrl, posWebhookUrl })
  const secrets = present({ webhookSecret, webhookPreviousSecret, adminApiPreviousSecret })
  return { ...picked, ...urls, ...secrets, ...present({ webhookAttemptsMax }) }
}
