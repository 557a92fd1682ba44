import { setTimeout as sleep } from 'node:timers/promises'
import type { CreateTransferStatus, Ledger, TransferEvent } from '../../shared/ledger/index.ts'
import { type Clock, Fault, type Logger, messageOf } from '../../shared/platform/index.ts'

/** What became of a chain. It is whole: all of its events happened, or none. */
export type ChainOutcome =
  /** `repeated`: an earlier attempt of this call ended without an answer, so that an `exists` may be its work. */
  | { kind: 'created' | 'exists'; repeated: boolean }
  | { kind: 'refused'; status: CreateTransferStatus; index: number; repeated: boolean }
  /** Nobody knows before `giveUpAtMs`. */
  | { kind: 'unknown' }

const RETRY_MS_MIN = 20
const RETRY_MS_MAX = 1_000

/** Faults that say nothing about whether the events happened. */
const isUnknown = (error: unknown): boolean => error instanceof Fault && error.retryable

/**
 * Applies one chain and repeats it under the same ids until the ledger has answered: a repeat cannot act twice. Gives up only at
 * `giveUpAtMs`; without one it goes on as long as the process does.
 */
export async function applyChain(
  ctx: { ledger: Pick<Ledger, 'createTransfers'>; clock: Clock; log: Logger },
  events: readonly TransferEvent[],
  giveUpAtMs = Number.POSITIVE_INFINITY,
): Promise<ChainOutcome> {
  for (let attempt = 0; ; attempt++) {
    try {
      return outcomeOf(await ctx.ledger.createTransfers(events), attempt > 0)
    } catch (error) {
      if (!isUnknown(error)) throw error
      const delayMs = Math.min(RETRY_MS_MIN * 2 ** attempt, RETRY_MS_MAX)
      if (ctx.clock.nowMs() + delayMs >= giveUpAtMs) return { kind: 'unknown' }
      ctx.log.warn({ attempt, reason: messageOf(error) }, 'ledger outcome unknown; repeating')
      await sleep(delayMs)
    }
  }
}

/**
 * A chain that exists already may say so at its first event only and call the others failed with it (TigerBeetle does), hence
 * `linked_event_failed` beside an `exists` is no failure.
 */
function outcomeOf(statuses: readonly CreateTransferStatus[], repeated: boolean): ChainOutcome {
  if (statuses.every((status) => status === 'created')) return { kind: 'created', repeated }
  const index = statuses.findIndex(
    (status) => status !== 'created' && status !== 'exists' && status !== 'linked_event_failed',
  )
  const status = statuses[index]
  if (status !== undefined) return { kind: 'refused', status, index, repeated }
  return { kind: 'exists', repeated }
}
