import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectorRefusal, type PacketCounts, type SendInput } from '../../shared/connector-client/index.ts'
import type { Account, Ledger } from '../../shared/ledger/index.ts'
import { convertCeil, maximum, minimum, type Rate } from '../../shared/money/index.ts'
import type { AnsweredPacket } from '../../shared/outgoing-payments/index.ts'
import type { Clock, Logger } from '../../shared/platform/index.ts'
import type { RejectCount } from '../stream/index.ts'

export interface SendTotals {
  sentAmount: bigint
  deliveredAmount: bigint
  packets: PacketCounts
  /** Of the rejected ones, most frequent first. */
  rejects: RejectCount[]
}

/** What senders leave in the database, for one that comes after a crash. */
export interface SendRecords {
  /** What was recorded last, and whether the payment may still be sent. */
  getSendProgress(outgoingPaymentId: string): Promise<SendTotals & { state: string }>
  /** Running totals. Older figures change nothing. `answered`: ids of kept packets that they count, which are forgotten with it. */
  recordSendProgress(
    outgoingPaymentId: string,
    totals: SendTotals,
    answered: readonly string[],
  ): Promise<void>
  /**
   * Adds what kept packets of another connector brought, and forgets all that are over. Those that somebody has forgotten before count already. Nothing
   * counts that would be more than was debited.
   */
  recordAnswers(input: {
    outgoingPaymentId: string
    debitsPosted: bigint
    answered: readonly AnsweredPacket[]
    over: readonly string[]
  }): Promise<void>
}

interface Context {
  ledger: Ledger
  records: SendRecords
  clock: Clock
  log: Logger
}

/** Throws {@link ConnectorRefusal} unless the payment is SENDING: of one that ended nothing more may leave. */
export async function getSendable(ctx: Context, outgoingPaymentId: string): Promise<SendTotals> {
  const { state, ...recorded } = await ctx.records.getSendProgress(outgoingPaymentId)
  if (state !== 'SENDING')
    throw new ConnectorRefusal('invalid_request', { message: `the outgoing payment is ${state}` })
  return recorded
}

const PENDING_POLL_MS = 250

/**
 * Begins to ask the ledger for a payment's account, for {@link readSendTotals}, while the database is asked for what was recorded.
 * Whoever sent before is in the ledger with all of it before the next slice is asked for.
 */
export function readAccountAhead(ctx: Context, outgoingPaymentId: string): Promise<Account> {
  const reading = getAccount(ctx, outgoingPaymentId)
  // Whether anybody waits for it is not known yet.
  reading.catch(() => undefined)
  return reading
}

/**
 * What was sent before this process knew of the payment. The ledger says what was debited. Debits that are still held belong to
 * packets of a connector that is gone, and end, one way or the other, within the hold's time: nothing more is sent before, so that
 * nothing is sent twice. `undefined`: they have not ended by `untilMs`.
 */
export async function readSendTotals(
  ctx: Context,
  input: SendInput,
  given: {
    recorded: SendTotals
    ahead: Promise<Account> | undefined
    untilMs: number
    signal: AbortSignal
  },
): Promise<SendTotals | undefined> {
  const { recorded } = given
  for (let reading = given.ahead; ; reading = undefined) {
    const account = await (reading ?? getAccount(ctx, input.outgoingPaymentId))
    if (account.debitsPending === 0n) return reconcile(ctx, input, recorded, account.debitsPosted)
    if (given.signal.aborted || ctx.clock.nowMs() + PENDING_POLL_MS >= given.untilMs) return undefined
    await sleep(PENDING_POLL_MS, undefined, { signal: given.signal }).catch(() => undefined)
  }
}

async function getAccount(ctx: Context, id: string): Promise<Account> {
  const [account] = await ctx.ledger.lookupAccounts([id])
  if (!account)
    throw new ConnectorRefusal('invalid_request', { message: 'the outgoing payment has not been funded' })
  return account
}

/**
 * What was debited and not recorded was sent in the last moments before a crash, and nobody remembers the receiver's answers. It
 * counts as delivered at the best rate that the path ever showed: too much rather than too little, because the difference would
 * be paid a second time. Exact for a single packet at an unchanged rate; short by at most one unit per further packet.
 */
function reconcile(ctx: Context, input: SendInput, recorded: SendTotals, debitsPosted: bigint): SendTotals {
  const unrecorded = debitsPosted - recorded.sentAmount
  if (unrecorded <= 0n) return recorded
  // The worker may have raised the recorded figure by an estimate of its own: all together cannot be more than this.
  const estimate = minimum(
    recorded.deliveredAmount + mostDelivered(unrecorded, input.highRate),
    mostDelivered(debitsPosted, input.highRate),
  )
  const deliveredAmount = maximum(recorded.deliveredAmount, minimum(estimate, input.receiveAmount))
  ctx.log.warn(
    {
      outgoingPaymentId: input.outgoingPaymentId,
      unrecorded: unrecorded.toString(),
      deliveredAmount: deliveredAmount.toString(),
    },
    'part of a payment was sent and not recorded: what arrived of it is estimated',
  )
  return { sentAmount: debitsPosted, deliveredAmount, packets: recorded.packets, rejects: recorded.rejects }
}

/** `highRate` is never reached: the most is the largest whole number below it. */
const mostDelivered = (amount: bigint, highRate: Rate): bigint =>
  maximum(0n, convertCeil(amount, highRate) - 1n)
