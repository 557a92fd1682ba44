import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock, Listener } from '../platform/index.ts'
import {
  askAboutPartialPayment,
  findPartialDecision,
  PARTIAL_PAYMENTS_CHANNEL,
  type PartialDecision,
  type PartialPayment,
} from './partial-payments.ts'

export interface PartialDecisions {
  /**
   * Asks the wallet and waits for what it says; silence is a refusal. No longer than the packet lives, and no transaction is open
   * meanwhile. The same partial payment again is not asked about again. Throws what the database throws.
   */
  decide(partial: PartialPayment, expiresAt: Date): Promise<PartialDecision>
}

type Context = Parameters<typeof askAboutPartialPayment>[0] & {
  clock: Clock
  listener: Pick<Listener, 'listen'>
}

export interface PartialDecisionLimits {
  /** PARTIAL_PAYMENT_DECISION_MAX_WAIT_MS. */
  maxWaitMs: number
  /** PARTIAL_PAYMENT_DECISION_SAFETY_MARGIN_MS: kept back before the packet expires. */
  safetyMarginMs: number
}

/** The contract's words (webhooks.md §7). */
const silence: PartialDecision = { accepted: false, reason: 'No response from receiving ASE' }

/** Decisions announce themselves; this often they are looked for all the same, in case the announcement is lost. */
const LOOK_MS = 250

export function createPartialDecisions(ctx: Context, limits: PartialDecisionLimits): PartialDecisions {
  const waiting = new Map<string, Set<() => void>>()
  ctx.listener.listen(PARTIAL_PAYMENTS_CHANNEL, (id) => {
    const bells = id === undefined ? [...waiting.values()] : [waiting.get(id) ?? []]
    for (const bell of bells) for (const ring of bell) ring()
  })

  /** Until it is told that something may have changed, or for {@link LOOK_MS}. */
  async function waitForWord(rung: Promise<void>): Promise<void> {
    const timer = new AbortController()
    await Promise.race([rung, sleep(LOOK_MS, undefined, { signal: timer.signal }).catch(() => undefined)])
    timer.abort()
  }

  async function askAndWait(partial: PartialPayment, isOver: () => boolean): Promise<PartialDecision> {
    const { partialIncomingPaymentId: id } = partial
    if (!(await askAboutPartialPayment(ctx, partial))) return silence
    while (!isOver()) {
      // Before the look, so that what is said in between is heard.
      const { promise: rung, resolve: ring } = Promise.withResolvers<void>()
      const bell = waiting.get(id) ?? new Set()
      waiting.set(id, bell.add(ring))
      try {
        const decision = await findPartialDecision(ctx.db, id)
        if (decision) return decision
        await waitForWord(rung)
      } finally {
        bell.delete(ring)
        if (bell.size === 0) waiting.delete(id)
      }
    }
    return silence
  }

  return {
    async decide(partial, expiresAt) {
      const nowMs = ctx.clock.nowMs()
      const waitMs = Math.min(expiresAt.getTime() - limits.safetyMarginMs - nowMs, limits.maxWaitMs)
      if (waitMs <= 0) return silence
      const timer = new AbortController()
      let isOver = false
      const over = sleep(waitMs, silence, { signal: timer.signal }).catch(() => silence)
      try {
        return await Promise.race([askAndWait(partial, () => isOver), over])
      } finally {
        isOver = true
        timer.abort()
      }
    },
  }
}
