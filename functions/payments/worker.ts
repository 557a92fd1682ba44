import { loadIncomingPayment, processIncomingPayment } from '../../shared/incoming-payments/index.ts'
import {
  loadOutgoingPayment,
  processOutgoingPayment,
  type SendingContext,
} from '../../shared/outgoing-payments/index.ts'
import {
  type ConsumeContext,
  type ConsumeQueueContext,
  type ConsumeTerms,
  consumeQueue,
  type QueueName,
  type QueueWork,
} from '../../shared/queue/index.ts'
import { silentTelemetry } from '../../shared/telemetry/index.ts'
import { observeProcessing } from './observe-payments.ts'
import type { PaymentsTaskOptions } from './tasks.ts'

/**
 * Payments in flight for each of OUTGOING_PAYMENT_WORKERS. In Rafiki a worker is one payment at a time; here it is a share of one
 * event loop: a payment mostly waits for other nodes, and few workers must keep many going.
 */
const OUTGOING_PER_WORKER = 200
/** Of these of one tenant: receivers that hang until their timeout use up their payer's places only. */
const OUTGOING_PER_TENANT_AND_WORKER = 150
/** For each of INCOMING_PAYMENT_WORKERS. These only talk to the database and the ledger. */
const INCOMING_PER_WORKER = 200
/** Longer than a slice of sending; extended while one is under way. */
const LEASE_SECONDS = 10
/** Messages in one invocation of a function, at most. */
const BATCH_MAX = 10_000
/** Work is announced, so this only looks for what an announcement missed; *_WORKER_IDLE may make it rarer. */
const IDLE_MS_MIN = 5_000

export interface PaymentsOptions extends PaymentsTaskOptions {
  outgoingWorkers: number
  outgoingIdleMs: number
  incomingWorkers: number
  incomingIdleMs: number
}

export interface PaymentsWorker {
  /** Takes no more work, and resolves when everything in flight has ended and is recorded. */
  close(): Promise<void>
}

export type PaymentsContext = SendingContext & ConsumeContext

/** What the worker does with the jobs of its two queues, whoever hands them out. */
export const paymentsWork = (ctx: PaymentsContext): readonly QueueWork[] => [
  {
    queue: 'outgoing-payments',
    load: loadOutgoingPayment,
    handler: observeProcessing(ctx.telemetry ?? silentTelemetry, (job) => processOutgoingPayment(ctx, job)),
    paymentOf: ({ key }) => ({ outgoingPaymentId: key }),
  },
  {
    queue: 'incoming-payments',
    load: loadIncomingPayment,
    handler: (job) => processIncomingPayment(ctx, job),
    paymentOf: ({ key }) => ({ incomingPaymentId: key }),
  },
]

/** How many at once, and how often to look. */
function termsOf(queue: QueueName, options: PaymentsOptions): ConsumeTerms {
  if (queue === 'incoming-payments')
    return {
      concurrency: options.incomingWorkers * INCOMING_PER_WORKER,
      idleMs: Math.max(options.incomingIdleMs, IDLE_MS_MIN),
      leaseSeconds: LEASE_SECONDS,
    }
  return {
    concurrency: options.outgoingWorkers * OUTGOING_PER_WORKER,
    shares: {
      own: 0,
      most: options.outgoingWorkers * OUTGOING_PER_TENANT_AND_WORKER,
      common: options.outgoingWorkers * OUTGOING_PER_WORKER,
    },
    idleMs: Math.max(options.outgoingIdleMs, IDLE_MS_MIN),
    leaseSeconds: LEASE_SECONDS,
  }
}

/** Sends outgoing payments, closes and announces incoming ones. */
export const consumePayments = (
  ctx: PaymentsContext & ConsumeQueueContext,
  options: PaymentsOptions,
): PaymentsWorker =>
  consumeQueue(
    ctx,
    paymentsWork(ctx).map((work) => ({ ...work, ...termsOf(work.queue, options) })),
  )

/** How many at once in a function that is handed messages: all of them, for nobody else's wait there. */
export const paymentsBatchTerms = { concurrency: BATCH_MAX, leaseSeconds: LEASE_SECONDS }
