import {
  findIncomingPaymentsToProcess,
  reconcileIncomingPayments,
} from '../../shared/incoming-payments/index.ts'
import {
  cancelUnfundedPayments,
  type SendingContext,
  sweepKeptPackets,
  sweepOutgoingPayments,
} from '../../shared/outgoing-payments/index.ts'
import type { Task } from '../../shared/schedule/index.ts'
import { announceWalletAddressCredits } from '../../shared/wallet-addresses/index.ts'

/** Events written at once for each of WALLET_ADDRESS_WORKERS. */
const WALLET_ADDRESSES_PER_WORKER = 8
/** Nobody announces that a wallet address is due. */
const WALLET_ADDRESS_IDLE_MS_MIN = 2_000
const SWEEP_MS = 10_000
const RECONCILE_MS = 60_000
const HOLDS_MS = 60_000
const KEPT_PACKETS_MS = 600_000
const SWEEP_SIZE = 500

export interface PaymentsTaskOptions {
  walletAddressWorkers: number
  walletAddressIdleMs: number
  /** UNFUNDED_PAYMENT_TIMEOUT_MS. Absent: payments wait for their money for ever. */
  unfundedPaymentTimeoutMs?: number
  withdrawalThrottleDelayMs?: number
}

/** What the payments worker does by the clock: it finds what a crash or a lost message left, and what is due by time. */
export function paymentsTasks(
  ctx: SendingContext & { sweepHolds?: () => Promise<number> },
  options: PaymentsTaskOptions,
): Task[] {
  const counted = async (name: string, find: () => Promise<readonly string[]>): Promise<number> => {
    const { length } = await find()
    if (length > 0) ctx.log.info({ task: name, count: length }, 'a sweep found work')
    return length
  }
  const sweep = (name: string, everyMs: number, find: () => Promise<readonly string[]>): Task => ({
    name,
    everyMs,
    run: async () => (await counted(name, find)) >= SWEEP_SIZE,
  })
  /** These find the same again until it is worked off, or all of it in one run: a full batch is no reason to hurry. */
  const once = (name: string, everyMs: number, find: () => Promise<readonly string[]>): Task => ({
    name,
    everyMs,
    run: async () => {
      await counted(name, find)
      return false
    },
  })
  const { unfundedPaymentTimeoutMs: timeoutMs, withdrawalThrottleDelayMs: throttleDelayMs } = options
  return [
    {
      name: 'wallet-address-events',
      everyMs: Math.max(options.walletAddressIdleMs, WALLET_ADDRESS_IDLE_MS_MIN),
      run: async () => {
        await announceWalletAddressCredits(ctx, {
          concurrency: options.walletAddressWorkers * WALLET_ADDRESSES_PER_WORKER,
          ...(throttleDelayMs !== undefined && { throttleDelayMs }),
        })
        return false
      },
    },
    sweep('outgoing-sweep', SWEEP_MS, () => sweepOutgoingPayments(ctx, { limit: SWEEP_SIZE })),
    sweep('kept-packets', KEPT_PACKETS_MS, () => sweepKeptPackets(ctx, { limit: SWEEP_SIZE })),
    once('incoming-sweep', SWEEP_MS, () => findIncomingPaymentsToProcess(ctx, SWEEP_SIZE)),
    once('incoming-reconcile', RECONCILE_MS, () => reconcileIncomingPayments(ctx)),
    // Every process with a Postgres ledger does it, but none may be running where functions only exist while they are invoked.
    {
      name: 'holds-sweep',
      everyMs: HOLDS_MS,
      run: async () => {
        await ctx.sweepHolds?.()
        return false
      },
    },
    // Without a timeout it is there all the same, so that a schedule need not know.
    sweep('unfunded-sweep', SWEEP_MS, async () =>
      timeoutMs === undefined ? [] : await cancelUnfundedPayments(ctx, { timeoutMs, limit: SWEEP_SIZE }),
    ),
  ]
}
