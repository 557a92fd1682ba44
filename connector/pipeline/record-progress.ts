import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { withinMs } from './within-ms.ts'

export interface Progress {
  incomingPaymentId: string
  /** All that was ever credited. */
  receivedAmount: bigint
}

/** Writes the payment's state and its event. May be repeated; older figures change nothing. */
export type WriteProgress = (progress: Progress) => Promise<void>

export interface ProgressRecorder {
  /** Resolves when it is written, or after {@link WAIT_MS}; then it goes on in the background. Never rejects. */
  record(progress: Progress): Promise<void>
  /** Does this after a while, unless the connector ends before. */
  later(delayMs: number, work: () => Promise<void>): void
  /** Waits for what is still to be written, up to `timeoutMs`. What is lost is repaired at the next start. */
  close(timeoutMs: number): Promise<void>
}

/** A packet waits this long for the state to follow the money: mostly milliseconds. Money never waits for longer. */
const WAIT_MS = 1_000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000

export function createProgressRecorder(ctx: {
  write: WriteProgress
  log: Logger
  counters: Counters
}): ProgressRecorder {
  const running = new Set<Promise<void>>()
  const waiting = new Set<NodeJS.Timeout>()
  let closed = false

  const writeUntilDone = async (progress: Progress): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      try {
        await ctx.write(progress)
        return
      } catch (error) {
        ctx.counters.count('progress_retries')
        const about = { incomingPaymentId: progress.incomingPaymentId, attempt, reason: messageOf(error) }
        ctx.log.error(about, 'incoming payment: the money is posted, its state is not recorded yet')
        if (closed) return
        await sleep(Math.min(RETRY_MS_MIN * 2 ** attempt, RETRY_MS_MAX), undefined, { ref: false })
      }
    }
  }

  return {
    record(progress) {
      const writing = writeUntilDone(progress).finally(() => running.delete(writing))
      running.add(writing)
      return withinMs(writing, WAIT_MS)
    },
    later(delayMs, work) {
      if (closed) return
      const timer = setTimeout(() => {
        waiting.delete(timer)
        const working = work().finally(() => running.delete(working))
        running.add(working)
      }, delayMs)
      timer.unref()
      waiting.add(timer)
    },
    async close(timeoutMs) {
      closed = true
      for (const timer of waiting) clearTimeout(timer)
      await withinMs(Promise.allSettled(running), timeoutMs)
    },
  }
}
