import {
  findIncomingPaymentsToProcess,
  processIncomingPayment,
  reconcileIncomingPayments,
} from '../../shared/incoming-payments/index.ts'
import {
  cancelUnfundedPayments,
  processOutgoingPayment,
  type SendingContext,
  sweepOutgoingPayments,
} from '../../shared/outgoing-payments/index.ts'
import {
  type ConsumeContext,
  type ConsumeTerms,
  consumeJobs,
  type QueueName,
  type QueueWork,
} from '../../shared/queue/index.ts'
import { silentTelemetry } from '../../shared/telemetry/index.ts'
import { announceWalletAddressCredits } from '../../shared/wallet-addresses/index.ts'
import { observeProcessing } from './observe-payments.ts'
import { type Repeated, repeat } from './repeat.ts'

/**
 * Payments in flight for each of OUTGOING_PAYMENT_WORKERS. In Rafiki a worker is one payment at a time; here it is a share of one
 * event loop: a payment mostly waits for other nodes, and few workers must keep many going.
 */
const OUTGOING_PER_WORKER = 50
/** Of these of one tenant: receivers that hang until their timeout use up their payer's places only. */
const OUTGOING_PER_TENANT_AND_WORKER = 38
/** For each of INCOMING_PAYMENT_WORKERS. These only talk to the database and the ledger. */
const INCOMING_PER_WORKER = 50
/** Events written at once for each of WALLET_ADDRESS_WORKERS. */
const WALLET_ADDRESSES_PER_WORKER = 8
/** Longer than a slice of sending; extended while one is under way. */
const LEASE_SECONDS = 10
/** Work is announced, so this only looks for what an announcement missed; *_WORKER_IDLE may make it rarer. */
const IDLE_MS_MIN = 5_000
/** Nobody announces that a wallet address is due. */
const WALLET_ADDRESS_IDLE_MS_MIN = 2_000
const SWEEP_MS = 10_000
const RECONCILE_MS = 60_000
const SWEEP_SIZE = 500

export interface PaymentsOptions {
  outgoingWorkers: number
  outgoingIdleMs: number
  incomingWorkers: number
  incomingIdleMs: number
  walletAddressWorkers: number
  walletAddressIdleMs: number
  unfundedPaymentTimeoutMs?: number
  withdrawalThrottleDelayMs?: number
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
    handler: observeProcessing(ctx.telemetry ?? silentTelemetry, (job) => processOutgoingPayment(ctx, job)),
    paymentOf: ({ key }) => ({ outgoingPaymentId: key }),
  },
  {
    queue: 'incoming-payments',
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

/** Sends outgoing payments, closes and announces incoming ones and what wallet addresses got, and finds again what a crash left. */
export function consumePayments(ctx: PaymentsContext, options: PaymentsOptions): PaymentsWorker {
  const consumers = paymentsWork(ctx).map((work) =>
    consumeJobs(ctx, { ...work, ...termsOf(work.queue, options) }),
  )
  const sweeps = startSweeps(ctx, options)
  return {
    async close() {
      await Promise.all([...consumers, ...sweeps].map((part) => part.close()))
    },
  }
}

function startSweeps(ctx: SendingContext, options: PaymentsOptions): Repeated[] {
  const found = (name: string, ids: readonly string[]): boolean => {
    if (ids.length > 0) ctx.log.info({ sweep: name, count: ids.length }, 'a sweep found work')
    return ids.length >= SWEEP_SIZE
  }
  const sweep = (name: string, everyMs: number, find: () => Promise<readonly string[]>) =>
    repeat(ctx, { name, everyMs, run: async () => found(name, await find()) })
  /** These find the same again until it is worked off, or all of it in one run: a full batch is no reason to hurry. */
  const once = (name: string, everyMs: number, find: () => Promise<readonly string[]>) =>
    repeat(ctx, {
      name,
      everyMs,
      run: async () => {
        found(name, await find())
        return false
      },
    })

  const { unfundedPaymentTimeoutMs: timeoutMs, withdrawalThrottleDelayMs: throttleDelayMs } = options
  const announceCredits = repeat(ctx, {
    name: 'wallet addresses',
    everyMs: Math.max(options.walletAddressIdleMs, WALLET_ADDRESS_IDLE_MS_MIN),
    run: async () => {
      await announceWalletAddressCredits(ctx, {
        concurrency: options.walletAddressWorkers * WALLET_ADDRESSES_PER_WORKER,
        ...(throttleDelayMs !== undefined && { throttleDelayMs }),
      })
      return false
    },
  })
  return [
    announceCredits,
    sweep('outgoing', SWEEP_MS, () => sweepOutgoingPayments(ctx, { limit: SWEEP_SIZE })),
    once('incoming', SWEEP_MS, () => findIncomingPaymentsToProcess(ctx, SWEEP_SIZE)),
    once('reconcile', RECONCILE_MS, () => reconcileIncomingPayments(ctx)),
    ...(timeoutMs === undefined
      ? []
      : [sweep('unfunded', SWEEP_MS, () => cancelUnfundedPayments(ctx, { timeoutMs, limit: SWEEP_SIZE }))]),
  ]
}
