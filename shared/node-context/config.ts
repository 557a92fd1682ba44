import {
  type ConfigOf,
  configuration,
  databasePasswordVariable,
  deployableChecks,
  deployableVariables,
  optionalVariable,
  passwordOf,
  variable,
} from '../platform/index.ts'
import { telemetryVariables } from '../telemetry/index.ts'
import { parseExtraEvents } from '../webhooks/index.ts'
import { keyId, milliseconds, share, timerMilliseconds } from './parsers.ts'

const { base64Bytes, baseUrl, boolean, httpUrl, ilpAddress, integer, oneOf, postgresUrl, secretText, text } =
  configuration

/** Further than this, dates are mistakes. */
const CENTURY_MS = 3_153_600_000_000

/** What every deployable on the resource database reads (contracts/admin/environment.md §1). Ports and the like are in `resourceVariables`. */
export const nodeConfig = {
  ...deployableVariables,
  ...telemetryVariables,

  databaseUrl: variable('DATABASE_URL', postgresUrl, {
    about: 'resource database',
    default: 'postgresql://postgres:password@localhost:5432/development',
    secret: true,
    completion: passwordOf('DATABASE_PASSWORD'),
  }),
  databasePassword: databasePasswordVariable('DATABASE_PASSWORD', 'DATABASE_URL'),
  databaseListenUrl: optionalVariable('DATABASE_LISTEN_URL', postgresUrl, {
    about:
      'with DATABASE_POOLER=true: the same database with a session of its own, past the proxy or pinned by it, so that servers hear of work at once; default: they look every second',
    secret: true,
    completion: passwordOf('DATABASE_PASSWORD'),
  }),
  ledgerDatabaseUrl: optionalVariable('LEDGER_DATABASE_URL', postgresUrl, {
    about: 'database of the Postgres ledger; default DATABASE_URL',
    secret: true,
    completion: passwordOf('LEDGER_DATABASE_PASSWORD'),
  }),
  ledgerDatabasePassword: databasePasswordVariable('LEDGER_DATABASE_PASSWORD', 'LEDGER_DATABASE_URL'),
  useTigerbeetle: variable('USE_TIGERBEETLE', boolean, {
    about: 'ledger in TigerBeetle; false: in Postgres',
    default: true,
  }),
  queueDriver: variable<'postgres' | 'redis' | 'sqs'>('QUEUE_DRIVER', oneOf('postgres', 'redis', 'sqs'), {
    about:
      'what carries work to the workers: the database itself, or a broker beside it, which then needs the relay',
    default: 'postgres',
  }),

  openPaymentsUrl: variable('OPEN_PAYMENTS_URL', baseUrl, {
    about: 'public base URL of the resource server',
  }),
  walletAddressUrl: variable('WALLET_ADDRESS_URL', httpUrl, {
    about: "the node's own wallet address, its identity as a client",
    default: 'http://127.0.0.1:3001/.well-known/pay',
  }),
  authServerGrantUrl: variable('AUTH_SERVER_GRANT_URL', baseUrl, {
    about: 'public base URL of the authorization server',
  }),
  keyId: variable('KEY_ID', keyId, { about: "kid of the node's signing key" }),
  privateKeyFile: optionalVariable('PRIVATE_KEY_FILE', text, {
    about: 'Ed25519 key in PEM; default: generated once and kept encrypted in the database',
  }),
  previousKeyId: optionalVariable('KEY_ID_PREVIOUS', keyId, {
    about: 'kid of the key in PRIVATE_KEY_FILE_PREVIOUS',
  }),
  previousPrivateKeyFile: optionalVariable('PRIVATE_KEY_FILE_PREVIOUS', text, {
    about: 'the key before, which signs until others know the one in PRIVATE_KEY_FILE',
  }),
  keyOverlapSeconds: variable('KEY_OVERLAP_SECONDS', integer({ min: 0, max: 2_592_000 }), {
    about:
      'how long a new signing key is published before it signs, and the old one afterwards, in s; 0: at once',
    default: 600,
  }),

  ilpAddress: variable('ILP_ADDRESS', ilpAddress, { about: "the node's ILP address" }),
  streamSecret: variable('STREAM_SECRET', base64Bytes(32), {
    about: 'seed of STREAM secrets, 32 bytes in base64',
    secret: true,
  }),
  connectorRpcUrl: variable('CONNECTOR_RPC_URL', httpUrl, {
    about: "the connector's internal RPC",
    default: 'http://127.0.0.1:3012',
  }),
  connectorRpcSecret: optionalVariable('CONNECTOR_RPC_SECRET', secretText, {
    about: 'signs RPC calls; default derived from ADMIN_API_SECRET',
    secret: true,
  }),

  exchangeRatesUrl: optionalVariable('EXCHANGE_RATES_URL', httpUrl, {
    about: 'rates, asked as GET ?base=CODE; needed for payments across currencies',
  }),
  slippage: variable('SLIPPAGE', share, {
    about: 'share of the price that an ILP payment may lose',
    default: share('0.01'),
  }),
  quoteLifespanMs: variable('QUOTE_LIFESPAN', timerMilliseconds, {
    about: 'life of a quote in ms',
    default: 300_000,
  }),
  outgoingPaymentAttemptsMax: variable(
    'MAX_OUTGOING_PAYMENT_RETRY_ATTEMPTS',
    integer({ min: 1, max: 1_000_000 }),
    { about: 'attempts before a payment fails', default: 5 },
  ),
  incomingPaymentExpiryMaxMs: variable(
    'INCOMING_PAYMENT_EXPIRY_MAX_MS',
    integer({ min: 1, max: CENTURY_MS }),
    {
      about: 'default and longest life of an incoming payment in ms',
      default: 2_592_000_000,
    },
  ),
  pollIncomingPaymentCreated: variable('POLL_INCOMING_PAYMENT_CREATED_WEBHOOK', boolean, {
    about: 'hold the creation of an incoming payment until the wallet approves or cancels it',
    default: false,
  }),
  incomingPaymentCreatedPollTimeoutMs: variable(
    'INCOMING_PAYMENT_CREATED_POLL_TIMEOUT_MS',
    timerMilliseconds,
    { about: 'limit of that wait in ms', default: 10_000 },
  ),
  incomingPaymentCreatedPollFrequencyMs: variable(
    'INCOMING_PAYMENT_CREATED_POLL_FREQUENCY_MS',
    timerMilliseconds,
    { about: 'step of that wait in ms', default: 1_000 },
  ),
  walletAddressLookupTimeoutMs: variable('WALLET_ADDRESS_LOOKUP_TIMEOUT_MS', timerMilliseconds, {
    about: 'how long a wallet has to create an address that somebody asks for, in ms',
    default: 1_500,
  }),
  walletAddressPollingFrequencyMs: variable('WALLET_ADDRESS_POLLING_FREQUENCY_MS', timerMilliseconds, {
    about: 'step of that wait in ms',
    default: 100,
  }),
  walletAddressDeactivationGraceMs: variable(
    'WALLET_ADDRESS_DEACTIVATION_PAYMENT_GRACE_PERIOD_MS',
    milliseconds,
    { about: 'life of open incoming payments after deactivation, at most, in ms', default: 86_400_000 },
  ),

  webhookUrl: variable('WEBHOOK_URL', httpUrl, { about: 'receiver of webhooks' }),
  webhookTimeoutMs: variable('WEBHOOK_TIMEOUT', timerMilliseconds, {
    about: 'limit of a delivery in ms',
    default: 2_000,
  }),
  webhookAttemptsMax: optionalVariable('WEBHOOK_MAX_RETRY', integer({ min: 0, max: 1_000_000 }), {
    about: 'attempts in all; default: for 72 hours',
  }),
  webhookSecret: optionalVariable('SIGNATURE_SECRET', secretText, {
    about: 'signs webhooks; default: unsigned',
    secret: true,
  }),
  webhookPreviousSecret: optionalVariable('SIGNATURE_SECRET_PREVIOUS', secretText, {
    about: 'still good while SIGNATURE_SECRET changes: receivers that know either can verify',
    secret: true,
  }),
  webhookExtraEvents: variable('WEBHOOK_EXTRA_EVENTS', parseExtraEvents, {
    about: 'event types beyond those that every wallet knows, for tenants without a setting of their own',
    default: [],
  }),
  cardWebhookUrl: optionalVariable('CARD_WEBHOOK_SERVICE_URL', httpUrl, {
    about: 'receiver of events about outgoing card payments',
  }),
  posWebhookUrl: optionalVariable('POS_WEBHOOK_SERVICE_URL', httpUrl, {
    about: 'receiver of events about incoming card payments',
  }),
  webhookSignatureVersion: variable('SIGNATURE_VERSION', integer({ min: 0, max: 9999 }), {
    about: 'version label in webhook signatures',
    default: 1,
  }),
  sendTenantWebhooksToOperator: variable('SEND_TENANT_WEBHOOKS_TO_OPERATOR', boolean, {
    about: "copy tenants' events to the operator",
    default: false,
  }),

  cacheMs: variable('LOCAL_CACHE_DURATION_MS', milliseconds, {
    about: 'life of cached tenants, assets, wallet addresses and fees in ms',
    default: 15_000,
  }),
}

export type NodeConfig = ConfigOf<typeof nodeConfig>

/** Relations between variables. Each deployable's `loadConfig` adds these to its own. */
export function nodeConfigChecks(config: NodeConfig): string[] {
  const problems: string[] = deployableChecks(config)
  if ((config.previousKeyId === undefined) !== (config.previousPrivateKeyFile === undefined))
    problems.push('KEY_ID_PREVIOUS and PRIVATE_KEY_FILE_PREVIOUS must be set together')
  if (config.previousKeyId === config.keyId)
    problems.push('KEY_ID_PREVIOUS must differ from KEY_ID: each key has its own')
  if (config.webhookPreviousSecret !== undefined && config.webhookSecret === undefined)
    problems.push('SIGNATURE_SECRET_PREVIOUS needs SIGNATURE_SECRET')
  if (config.incomingPaymentCreatedPollFrequencyMs > config.incomingPaymentCreatedPollTimeoutMs)
    problems.push(
      'INCOMING_PAYMENT_CREATED_POLL_FREQUENCY_MS must not exceed INCOMING_PAYMENT_CREATED_POLL_TIMEOUT_MS',
    )
  if (config.walletAddressPollingFrequencyMs > config.walletAddressLookupTimeoutMs)
    problems.push('WALLET_ADDRESS_POLLING_FREQUENCY_MS must not exceed WALLET_ADDRESS_LOOKUP_TIMEOUT_MS')
  return problems
}
