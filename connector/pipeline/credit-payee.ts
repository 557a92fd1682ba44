import { setTimeout as sleep } from 'node:timers/promises'
import { CREDIT_DECISION_AGE_MAX_MS } from '../../shared/incoming-payments/index.ts'
import { type Ledger, type NewAccount, type TransferEvent, withoutNeeds } from '../../shared/ledger/index.ts'
import { type Clock, Fault, type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Payee } from './deliveries.ts'
import { AnswerUnknown } from './errors.ts'
import { applyChain, type ChainOutcome } from './ledger-outcome.ts'
import type { LocalPacket, Reply } from './model.ts'
import { type Leg, legsOf, postedChain, transferId, transferReason } from './movement.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

interface Context {
  ledger: Ledger
  clock: Clock
  log: Logger
  rejects: Rejects
}

export type Credit =
  /** Now, or by an earlier packet that was this one; `uncertain`: one of the two. */
  | { kind: 'credited' | 'uncertain' }
  | { kind: 'refused'; reject: Reply }
  /** The payee ended before anything was tried. */
  | { kind: 'closed' }
  /** The ledger did not answer all of what it was asked, and cannot be asked further: it may still happen. */
  | { kind: 'abandoned'; reason: string }

export interface CreditInput {
  packet: LocalPacket
  payee: Payee
  /** In the payee's asset. */
  amount: bigint
  /** The payee's, while nothing is known to be on it. */
  newAccount: NewAccount | undefined
  /** When the payee was last read as open; `undefined` once it is closed. */
  mayCredit: () => Promise<number | undefined>
}

/** The ledger's own deadline for one call: after that nothing of an abandoned call can still happen. */
export const ABANDONED_CALL_MS = 15_000

/**
 * Moves a packet's money to the payee: one chain of posted transfers. The same packet again finds its transfers and is a
 * success without a second credit. While the outcome is unknown the same ids are repeated, as long as the packet lives and the
 * payee is known to be open; after that nothing new may move, so the ledger is only asked whether it did. Throws
 * {@link AnswerUnknown} when neither answer is true.
 */
export async function creditPayee(ctx: Context, input: CreditInput): Promise<Credit> {
  const { packet, payee, amount, newAccount } = input
  const legs = legsOf(packet, {
    accountId: payee.id,
    asset: payee.asset,
    amount,
    ...(newAccount && { newAccount }),
  })
  const events = postedChain({
    packet,
    legs,
    idOf: (leg) => transferId(packet, leg, 'move'),
    about: payee.id,
    reason: transferReason.delivered,
  })
  const readAtMs = await input.mayCredit()
  if (readAtMs === undefined) return { kind: 'closed' }
  try {
    let outcome = await applyWhileOpen(ctx, input, events, readAtMs)
    // It exists with other fields, which is as good: the id is the payee's.
    if (outcome.kind === 'refused' && outcome.status === 'needed_account_refused')
      outcome = await applyWhileOpen(ctx, input, withoutNeeds(events), readAtMs)
    if (outcome.kind === 'unknown') return await findOut(ctx, packet)
    if (outcome.kind === 'refused') return refused(ctx, input, legs, outcome)
    // What exists may be the work of an attempt whose answer was lost, here or inside of the ledger's client.
    return { kind: outcome.kind === 'created' ? 'credited' : 'uncertain' }
  } catch (error) {
    if (error instanceof AnswerUnknown) throw error
    return { kind: 'abandoned', reason: messageOf(error) }
  }
}

/** The outcome of a call that began before the decision was too old, or `unknown` for good. */
async function applyWhileOpen(
  ctx: Context,
  { packet, mayCredit }: CreditInput,
  events: readonly TransferEvent[],
  firstReadAtMs: number,
): Promise<ChainOutcome> {
  const expiresMs = packet.prepare.expiresAt.getTime()
  let readAtMs: number | undefined = firstReadAtMs
  for (;;) {
    const untilMs = Math.min(expiresMs, readAtMs + CREDIT_DECISION_AGE_MAX_MS)
    const outcome = await applyChain(ctx, events, untilMs)
    if (outcome.kind !== 'unknown') return outcome
    readAtMs = await mayCredit().catch(() => undefined)
    if (readAtMs === undefined || ctx.clock.nowMs() >= expiresMs) return { kind: 'unknown' }
  }
}

function refused(
  ctx: Context,
  { payee }: CreditInput,
  legs: readonly Leg[],
  outcome: { status: string; index: number },
): Credit {
  switch (outcome.status) {
    case 'exceeds_credits':
    case 'id_already_failed': {
      const isLiquidity = legs[outcome.index]?.name === 'destination'
      const message = isLiquidity ? rejectMessages.insufficientLiquidity : rejectMessages.insufficientBalance
      return { kind: 'refused', reject: ctx.rejects('T04', message) }
    }
    // The payment ended after it was read as open: the ledger takes no money for it any more.
    case 'credit_account_already_closed':
      return { kind: 'refused', reject: ctx.rejects('F02', rejectMessages.wrongState) }
    case 'exists_with_different_fields':
      // Delivered before at another rate or with another amount: a Fulfill would confirm what did not arrive.
      throw new AnswerUnknown('the packet was delivered before, with another amount')
    default:
      ctx.log.error({ payeeId: payee.id, status: outcome.status }, 'ledger refused a delivery')
      return { kind: 'refused', reject: ctx.rejects('T00', rejectMessages.internal) }
  }
}

/** Nothing more is tried: did it happen? Absence counts only once no abandoned call can still be at work. */
async function findOut(ctx: Context, packet: LocalPacket): Promise<Credit> {
  const id = transferId(packet, 'source', 'move')
  const certainAtMs = ctx.clock.nowMs() + ABANDONED_CALL_MS
  for (let delayMs = 250; ; delayMs = Math.min(delayMs * 2, 2_000)) {
    try {
      const startedAtMs = ctx.clock.nowMs()
      const [transfer] = await ctx.ledger.lookupTransfers([id])
      if (transfer) return { kind: 'uncertain' }
      if (startedAtMs >= certainAtMs)
        return { kind: 'refused', reject: ctx.rejects('R00', rejectMessages.expired) }
    } catch (error) {
      if (!(error instanceof Fault && error.retryable)) throw error
      ctx.log.warn({ reason: messageOf(error) }, 'ledger outcome unknown; asking again')
    }
    await sleep(delayMs)
  }
}
