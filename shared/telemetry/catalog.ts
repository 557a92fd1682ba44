/** What a metric is. Its labels are the declared ones and no others: nothing that others choose freely may become one. */
export interface CatalogEntry {
  kind: 'counter' | 'histogram' | 'gauge'
  about: string
  /** Labels, and what may stand in them. */
  labels?: Readonly<Record<string, string>>
  /** Labels that never change, because dashboards group by them. */
  fixed?: Readonly<Record<string, string>>
  /** In Prometheus' text, where that is not the name with `_total` behind a counter's. */
  exposedAs?: string
}

const timing = (about: string, callName: string, labels?: Readonly<Record<string, string>>) =>
  ({ kind: 'histogram', about, fixed: { callName }, ...(labels && { labels }) }) as const

const counter = (about: string, labels?: Readonly<Record<string, string>>) =>
  ({ kind: 'counter', about, ...(labels && { labels }) }) as const

const gauge = (about: string, labels?: Readonly<Record<string, string>>) =>
  ({ kind: 'gauge', about, ...(labels && { labels }) }) as const

/** Its name had no `_total` before there were others. */
const connectorCounter = <Name extends string>(name: Name, about: string) =>
  ({ kind: 'counter', about, exposedAs: `upesi_connector_${name}` }) as const

const outcome = '`ok`, the code of a refusal or fault, or `error`'
const queue = 'name of the queue'

/**
 * Every metric there is. Names up to the first `upesi_` are those that dashboards for Rafiki use, with the same meaning
 * (features.md §I); times are in milliseconds and have no unit for the collector, which would append it to the name.
 */
export const catalog = {
  transactions_total: counter('outgoing payments that were funded and completed'),
  transaction_fee_amounts: counter(
    "what stayed behind of completed payments: sent less the quote's receive amount, in US dollars of scale 4",
  ),
  packet_count_prepare: counter('packets with an amount that were handled, probes excepted'),
  packet_count_fulfill: counter('of these, fulfilled'),
  packet_count_reject: counter('of these, rejected'),
  packet_amount_fulfill: counter(
    'amounts of fulfilled packets, in US dollars of scale 4, each rounded to a bucket and with noise',
  ),
  grant_spent_amounts_missing_record_total: counter(
    'amounts of a grant without a record: zero, since both are one statement here',
  ),
  pay_time_ms: timing('one run of paying, by either method', 'PaymentMethodHandlerService:pay'),
  ilp_pay_time_ms: timing('one run of paying over ILP', 'PaymentMethod:ILP:pay'),
  ilp_payment_round_trip_ms: timing('the same: from the first packet to the last answer', 'Pay:pay', {
    error: '`none`, or the code of the failure',
  }),
  ilp_rate_probe_time_ms: timing('probing a path for a quote', 'Pay:startQuote'),
  ilp_get_quote_rate_time_ms: timing('asking for a price', 'RateService:rates'),
  ilp_prepare_packet_processing_ms: {
    kind: 'histogram',
    about: 'a packet, from its arrival to its answer, the next hop included',
    labels: { operation: '`outgoing_payment`, `incoming_payment`, `routing` or `unknown`' },
  },
  quote_service_create_time_ms: timing('creating a quote', 'QuoteService:create'),
  quote_service_create_get_quote_time_ms: timing(
    'of that, asking the payment method',
    'PaymentMethodHandlerService:getQuote',
  ),
  outgoing_payment_service_create_time_ms: timing(
    'creating an outgoing payment',
    'OutgoingPaymentService:create',
  ),
  outgoing_payment_lifecycle_completed_ms: timing(
    'life of a completed payment, from its creation',
    'OutgoingPaymentLifecycle:handleCompleted',
  ),
  process_pending_payment_ms: timing(
    'one run of the payments worker on an outgoing payment',
    'OutgoingPaymentWorker:processPendingPayment',
  ),
  handle_sending_ms: timing('the same, while it is sending', 'OutoingPaymentWorker:handleSending'),
  fund_payment_ms: timing('funding an outgoing payment', 'OutgoingPaymentService:fund'),
  deposit_outgoing_payment_liquidity_ms: timing(
    'the mutation depositOutgoingPaymentLiquidity',
    'Resolver:depositOutgoingPaymentLiquidity',
  ),
  getReceiver: timing('reading a receiver, here or at another bank', 'ReceiverService:get'),
  psql_create_transfer_ms: timing(
    'a call of the Postgres ledger that moves money',
    'AccountingService:Postgres:createTransfer',
  ),
  psql_get_account_balances: timing(
    'a call of the Postgres ledger that reads accounts',
    'AccountingService:Postgres:getAccountBalances',
  ),
  tb_create_transfer_ms: timing('the same of TigerBeetle', 'AccountingService:Tigerbeetle:createTransfer'),
  tb_get_account_balances: timing(
    'the same of TigerBeetle',
    'AccountingService:Tigerbeetle:getAccountBalances',
  ),

  upesi_ledger_call_ms: {
    kind: 'histogram',
    about: 'a call of the ledger; some events of a batch may be refused and the call still be `ok`',
    labels: { operation: 'function of the ledger port', outcome },
  },
  upesi_ledger_transfers: counter('transfers by what the ledger said', {
    status: 'status of the ledger port',
  }),
  upesi_payments_ended: counter('outgoing payments that ended', {
    state: '`COMPLETED` or `FAILED`',
    code: '`none`, or the stable code of the failure',
  }),
  upesi_queue_jobs: gauge('jobs in a queue; counted up to 100,000', {
    queue,
    state: '`due`, `running` or `later`',
  }),
  upesi_queue_oldest_due_seconds: gauge('for how long the oldest due job has waited', { queue }),
  upesi_queue_retrying_jobs: gauge('of the jobs, those whose last runs threw', { queue }),
  upesi_queue_run_ms: {
    kind: 'histogram',
    about: 'one run of a job',
    labels: {
      queue,
      outcome: '`done`, `retry`, `postponed` (a dependency is away), `lease_lost` or `threw`',
    },
  },
  upesi_queue_attempts: {
    kind: 'histogram',
    about: 'the number of the run, 1 at first: how often jobs have to be tried again after a throw',
    labels: { queue },
  },
  upesi_task_runs: counter('runs of a scheduled task', { task: 'name of the task', outcome }),
  upesi_queue_messages: gauge("messages in a broker's queue, as the broker counts", {
    queue: "name of the broker's queue",
    state: '`waiting`, `in_flight` or `dead`',
  }),
  upesi_queue_messages_sent: counter('messages about due jobs that the relay sent to the broker', {
    queue,
    outcome: '`sent` or `failed`: the broker did not take it, and it is sent again',
  }),
  upesi_webhook_attempts: counter('attempts to deliver a webhook', {
    status: 'HTTP status, `other`, `silent` (nobody answered in time) or `error` (it could not be sent)',
  }),
  upesi_webhook_attempt_ms: {
    kind: 'histogram',
    about: 'an attempt, from the request to the answer',
    labels: { outcome: '`accepted`, `refused` or `silent`' },
  },
  upesi_webhook_deliveries_dead: gauge(
    'deliveries that were given up and not sent again; counted up to 100,000',
  ),
  upesi_http_request_ms: {
    kind: 'histogram',
    about: 'an HTTP request of a listener',
    labels: {
      listener: 'name of the listener',
      method: 'HTTP method, or `other`',
      route: "the route's pattern, or `none`",
      status: 'HTTP status',
    },
  },
  upesi_http_client_ms: {
    kind: 'histogram',
    about: 'an outbound HTTP exchange',
    labels: { client: '`trusted` or `guarded`', outcome: "status class such as `2xx`, or the fault's code" },
  },
  upesi_graphql_ms: {
    kind: 'histogram',
    about: 'a GraphQL operation',
    labels: {
      operation: '`query` or `mutation` and the names of its fields in the schema',
      outcome: '`ok`, or the code of its first error',
    },
  },
  upesi_rpc_ms: {
    kind: 'histogram',
    about: "a call of the connector's RPC, at the connector",
    labels: { method: 'method of the RPC', outcome },
  },
  upesi_packet_rejects: counter('rejected packets of all kinds, probes included', {
    code: 'ILP code, or `other`',
    origin: '`self`: this node said no; `other`: a node behind it',
  }),
  upesi_packets_in_flight: gauge('packets under way'),
  upesi_connector_late_postings: connectorCounter(
    'late_postings',
    "a fulfilled packet's hold was gone: its movement was recorded afterwards. To be looked at",
  ),
  upesi_connector_covered_postings: connectorCounter(
    'covered_postings',
    "the same, and the node covered it, because the payer's account could not pay. To be looked at",
  ),
  upesi_connector_unanswered_packets: connectorCounter(
    'unanswered_packets',
    'packets left without an ILP answer, because none would have been true. To be looked at',
  ),
  upesi_connector_packets_received: connectorCounter(
    'packets_received',
    'packets that came in, own ones included',
  ),
  upesi_connector_packets_fulfilled: connectorCounter('packets_fulfilled', 'packets answered with Fulfill'),
  upesi_connector_packets_rejected: connectorCounter('packets_rejected', 'packets answered with Reject'),
  upesi_connector_packets_forwarded: connectorCounter('packets_forwarded', 'packets sent to a peer'),
  upesi_connector_packets_repeated: connectorCounter(
    'packets_repeated',
    'packets sent again, because their answer was lost',
  ),
  upesi_connector_packets_delivered: connectorCounter(
    'packets_delivered',
    'packets credited to a payee of this node',
  ),
  upesi_connector_duplicate_packets: connectorCounter('duplicate_packets', 'packets that came in again'),
  upesi_connector_unshared_limits: connectorCounter(
    'unshared_limits',
    'packets whose limit this connector decided by its own part, because Redis was away',
  ),
  upesi_connector_missing_receipts: connectorCounter(
    'missing_receipts',
    'packets fulfilled without the receipt that they asked for, because Redis was away',
  ),
  upesi_connector_progress_retries: connectorCounter(
    'progress_retries',
    'times that the progress of an incoming payment could not be recorded at once',
  ),
  upesi_rates_failures: counter(
    'answers of rates services that were not used, and single prices of answers',
    {
      code: '`rates_unavailable`, `malformed_rates`, `wrong_base`, `stale_rates`, `implausible_price` or `no_rates_service`',
    },
  ),
  upesi_telemetry_exports: counter('exports to collectors', {
    signal: '`metrics` or `traces`',
    outcome: '`ok` or `failed`',
  }),

  process_cpu_seconds_total: counter('CPU time of the process, in s'),
  process_resident_memory_bytes: gauge('memory of the process'),
  process_start_time_seconds: gauge('when it started, in s since 1970'),
  nodejs_heap_size_used_bytes: gauge('of that, used by JavaScript'),
  nodejs_eventloop_lag_mean_seconds: gauge('lag of the event loop since the last look: mean'),
  nodejs_eventloop_lag_p99_seconds: gauge('the same: 99th percentile'),
  nodejs_eventloop_lag_max_seconds: gauge('the same: maximum'),
} as const satisfies Readonly<Record<string, CatalogEntry>>

export type MetricName = keyof typeof catalog
type Named<Kind> = {
  [Name in MetricName]: (typeof catalog)[Name]['kind'] extends Kind ? Name : never
}[MetricName]
export type CounterName = Named<'counter'>
export type HistogramName = Named<'histogram'>
export type GaugeName = Named<'gauge'>
