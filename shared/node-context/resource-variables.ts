import {
  adminApiVariables,
  configuration,
  optionalVariable,
  redisVariables,
  signedRequestVariables,
  variable,
} from '../platform/index.ts'
import { factor, milliseconds, timerMilliseconds } from './parsers.ts'

const { boolean, httpUrl, integer, list, oneOf, port, secretText, text } = configuration

const workers = (name: string, what: string, fallback = 1) =>
  variable(name, integer({ min: 1, max: 10_000 }), {
    about: `multiplies how many ${what} one process works on at once; one already means many`,
    default: fallback,
  })
const idle = (name: string, defaultMs: number) =>
  variable(name, timerMilliseconds, {
    about: 'interval in ms at which a worker looks for work that nothing announced',
    default: defaultMs,
  })

/**
 * Variables of the resource side that one deployable or another needs; each takes its own into its schema, so that a name, a
 * default and a meaning stand in one place (contracts/admin/environment.md §1, decisions: Defaults).
 */
export const resourceVariables = {
  adminPort: variable('ADMIN_PORT', port, { about: 'Admin GraphQL', default: 3001 }),
  connectorPort: variable('CONNECTOR_PORT', port, { about: 'ILP over HTTP', default: 3002 }),
  openPaymentsPort: variable('OPEN_PAYMENTS_PORT', port, {
    about: 'Open Payments and wallet addresses',
    default: 3003,
  }),
  connectorRpcPort: variable('CONNECTOR_RPC_PORT', port, {
    about: "the connector's internal RPC",
    default: 3012,
  }),

  connectorRpcPreviousSecret: optionalVariable('CONNECTOR_RPC_SECRET_PREVIOUS', secretText, {
    about: 'what CONNECTOR_RPC_SECRET was, or will be: the connector accepts it besides',
    secret: true,
  }),

  ilpConnectorUrl: optionalVariable('ILP_CONNECTOR_URL', httpUrl, {
    about: 'where peers post packets; without it this node cannot peer by URL',
  }),

  autoPeeringEnabled: variable('ENABLE_AUTO_PEERING', boolean, {
    about: 'let other nodes make themselves peers',
    default: false,
  }),
  autoPeeringPort: variable('AUTO_PEERING_SERVER_PORT', port, {
    about: 'where other nodes ask to be peers',
    default: 3005,
  }),
  autoPeeringCredit: variable('AUTO_PEERING_CREDIT', integer({ min: 0 }), {
    about: "credit of a peer that asked to be one, in its asset's smallest unit",
    default: 0,
  }),
  autoPeeringCreditTotal: variable('AUTO_PEERING_CREDIT_TOTAL', integer({ min: 0 }), {
    about: 'credit of all of them together, in each asset',
    default: 0,
  }),
  autoPeeringApproval: variable('AUTO_PEERING_APPROVAL', boolean, {
    about: 'their credit waits for approvePeer; false: they have it at once',
    default: true,
  }),
  autoPeeringPeersMax: variable('AUTO_PEERING_PEERS_MAX', integer({ min: 1, max: 1_000_000 }), {
    about: 'peers that asked to be one and are not approved, at most',
    default: 1_000,
  }),

  introspectionUrl: variable('AUTH_SERVER_INTROSPECTION_URL', httpUrl, { about: "auth's introspection" }),
  introspectionCacheMs: variable('INTROSPECTION_CACHE_MS', milliseconds, {
    about: 'life of introspection results in ms',
    default: 0,
  }),
  authServiceApiUrl: variable('AUTH_SERVICE_API_URL', httpUrl, { about: "auth's internal tenant API" }),

  ...adminApiVariables,
  adminCorsOrigins: variable('ADMIN_CORS_ORIGINS', list, {
    about: 'origins that may call the Admin API from a browser',
    default: [],
  }),
  adminApiKeysEnabled: variable('ADMIN_API_KEYS_ENABLED', boolean, {
    about: "take tenants' API keys (Authorization: Bearer) from tools that cannot sign",
    default: false,
  }),
  idempotencyLockMs: variable('GRAPHQL_IDEMPOTENCY_KEY_LOCK_MS', timerMilliseconds, {
    about: 'how long a second request with the same key waits for the first, in ms',
    default: 2_000,
  }),
  idempotencyLifespanMs: variable('GRAPHQL_IDEMPOTENCY_KEY_TTL_MS', integer({ min: 1 }), {
    about: 'life of stored results in ms',
    default: 86_400_000,
  }),

  ...signedRequestVariables,
  walletAddressNotFoundPolling: variable('WALLET_ADDRESS_NOT_FOUND_POLLING_ENABLED', boolean, {
    about: 'ask the wallet also when an unknown address itself is opened',
    default: false,
  }),
  walletAddressRedirectHtmlPage: optionalVariable('WALLET_ADDRESS_REDIRECT_HTML_PAGE', text, {
    about: 'where browsers go that open a wallet address; %wa %ewa %wp %ewp stand for the address',
  }),
  spspEnabled: variable('ENABLE_SPSP_PAYMENT_POINTERS', boolean, {
    about: 'answer application/spsp4+json',
    default: true,
  }),
  cardServiceUrl: optionalVariable('CARD_SERVICE_URL', httpUrl, {
    about: 'published in wallet address documents',
  }),

  ...redisVariables,

  // Text until it is known that TigerBeetle is used: variables of what is switched off are not judged.
  tigerbeetleClusterId: variable('TIGERBEETLE_CLUSTER_ID', text, {
    about: 'number of the TigerBeetle cluster',
    default: '0',
  }),
  tigerbeetleReplicaAddresses: variable('TIGERBEETLE_REPLICA_ADDRESSES', text, {
    about: 'its replicas in their order: port, host:port or [IPv6]:port, with commas between',
    default: '3004',
  }),
  shutdownNoticeMs: variable('CONNECTOR_SHUTDOWN_NOTICE_MS', integer({ min: 0, max: 60_000 }), {
    about: 'how long a connector that ends says so at /readyz before it takes no more connections, in ms',
    default: 2_000,
  }),
  twoPhaseTimeoutSeconds: variable(
    'TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS',
    integer({ min: 1, max: 86_400 }),
    { about: 'shortest hold of a forwarded packet in s', default: 5 },
  ),
  exchangeRatesLifetimeMs: variable('EXCHANGE_RATES_LIFETIME', milliseconds, {
    about: 'life of cached rates in ms',
    default: 15_000,
  }),
  exchangeRatesChangeMax: variable('EXCHANGE_RATES_CHANGE_MAX', factor, {
    about:
      "the factor by which a pair's price may differ from the last one; nothing is quoted on one that differs more, or is the inverse; 0: on any",
    default: 2,
  }),
  exchangeRatesAgeMaxMs: variable('EXCHANGE_RATES_AGE_MAX', milliseconds, {
    about: 'age in ms at which rates that carry a `timestamp` or `date` are not used any more; 0: never',
    default: 604_800_000,
  }),
  ilpTiming: variable('ENABLE_ILP_TIMING_TELEMETRY', boolean, {
    about: 'measure how long each packet takes',
    default: true,
  }),
  telemetryRatesUrl: optionalVariable('TELEMETRY_EXCHANGE_RATES_URL', httpUrl, {
    about: 'rates for amounts in telemetry, where the tenant has none; default: such amounts are not counted',
  }),
  telemetryRatesLifetimeMs: variable('TELEMETRY_EXCHANGE_RATES_LIFETIME', milliseconds, {
    about: 'life of those rates in ms',
    default: 86_400_000,
  }),
  peerPacketsPerMinute: variable('PEER_PACKETS_PER_MINUTE', integer({ min: 1 }), {
    about: 'packets accepted from a peer per minute',
    default: 600_000,
  }),
  streamRejects: variable<'F99' | 'F05'>('STREAM_REJECTS', oneOf('F99', 'F05'), {
    about: 'dialect in which unfulfillable packets are rejected',
    default: 'F99',
  }),

  partialPaymentDecisions: variable('ENABLE_PARTIAL_PAYMENT_DECISION', boolean, {
    about: 'ask the wallet before packets are taken that carry data of their sender',
    default: false,
  }),
  partialPaymentMaxWaitMs: variable('PARTIAL_PAYMENT_DECISION_MAX_WAIT_MS', timerMilliseconds, {
    about: "longest wait for the wallet's decision about a packet in ms",
    default: 1_500,
  }),
  partialPaymentSafetyMarginMs: variable('PARTIAL_PAYMENT_DECISION_SAFETY_MARGIN_MS', milliseconds, {
    about: "time of a packet's life in ms that the wallet does not get for its decision",
    default: 100,
  }),

  outgoingPaymentWorkers: workers('OUTGOING_PAYMENT_WORKERS', 'outgoing payments', 4),
  outgoingPaymentWorkerIdleMs: idle('OUTGOING_PAYMENT_WORKER_IDLE', 200),
  incomingPaymentWorkers: workers('INCOMING_PAYMENT_WORKERS', 'incoming payments'),
  incomingPaymentWorkerIdleMs: idle('INCOMING_PAYMENT_WORKER_IDLE', 200),
  webhookWorkers: workers('WEBHOOK_WORKERS', 'webhooks'),
  webhookWorkerIdleMs: idle('WEBHOOK_WORKER_IDLE', 200),
  walletAddressWorkers: workers('WALLET_ADDRESS_WORKERS', 'wallet addresses'),
  walletAddressWorkerIdleMs: idle('WALLET_ADDRESS_WORKER_IDLE', 200),
  unfundedPaymentTimeoutMs: optionalVariable('UNFUNDED_PAYMENT_TIMEOUT_MS', timerMilliseconds, {
    about: 'cancel payments that nobody funded for so long, in ms; default: never',
  }),
  withdrawalThrottleDelayMs: optionalVariable('WITHDRAWAL_THROTTLE_DELAY', milliseconds, {
    about: 'delay in ms before a credited wallet address announces a withdrawal',
  }),
}

const sqsUrl = (queue: 'WEBHOOKS' | 'PAYMENTS') =>
  optionalVariable(`SQS_${queue}_QUEUE_URL`, text, {
    about: `with QUEUE_DRIVER=sqs: the queue of the ${queue.toLowerCase()} worker`,
  })
const sqsDeadLetterUrl = (queue: 'WEBHOOKS' | 'PAYMENTS') =>
  optionalVariable(`SQS_${queue}_DEAD_LETTER_QUEUE_URL`, text, {
    about: 'its dead-letter queue: malformed messages go there at once; unset: when they have come too often',
  })

/** What carries work between processes, for those that publish and those that work (QUEUE_DRIVER). Judged if it is used: `brokerProblems`. */
export const brokerVariables = {
  ...redisVariables,
  awsRegion: optionalVariable('AWS_REGION', text, {
    about: "with QUEUE_DRIVER=sqs: the queues' region; default: as their URLs say",
  }),
  awsEndpointUrl: optionalVariable('AWS_ENDPOINT_URL', text, {
    about: 'with QUEUE_DRIVER=sqs: where SQS is, if it is an emulator',
  }),
}
/** Of each broker's queue. */
export const sqsVariables = {
  sqsWebhooksQueueUrl: sqsUrl('WEBHOOKS'),
  sqsWebhooksDeadLetterQueueUrl: sqsDeadLetterUrl('WEBHOOKS'),
  sqsPaymentsQueueUrl: sqsUrl('PAYMENTS'),
  sqsPaymentsDeadLetterQueueUrl: sqsDeadLetterUrl('PAYMENTS'),
}

const sqsBatches = (queue: 'WEBHOOKS' | 'PAYMENTS') =>
  optionalVariable(`SQS_${queue}_MAX_CONCURRENCY`, integer({ min: 1, max: 1_000 }), {
    about: `with QUEUE_DRIVER=sqs and a function on Lambda as the ${queue.toLowerCase()} worker: its batches at the same time, which is the event source's maximum concurrency; unset: workers poll`,
  })
/** For whoever publishes: how many batches the functions of each queue are handed at the same time. */
export const functionVariables = {
  sqsWebhooksMaxConcurrency: sqsBatches('WEBHOOKS'),
  sqsPaymentsMaxConcurrency: sqsBatches('PAYMENTS'),
}

/** Client key and certificate for Redis come together. */
export function redisChecks(config: {
  redisKeyFile: string | undefined
  redisCertFile: string | undefined
}): string[] {
  return (config.redisKeyFile === undefined) === (config.redisCertFile === undefined)
    ? []
    : ['REDIS_TLS_KEY_FILE_PATH and REDIS_TLS_CERT_FILE_PATH must be set together']
}
