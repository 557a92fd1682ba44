import type { Clock, Db } from '../../shared/platform/index.ts'
import type { Task } from '../../shared/schedule/index.ts'
import { sweepIdempotencyKeys } from './idempotency.ts'
import { sweepSignatures } from './used-signatures.ts'

const SWEEP_MS = 60_000

/** What the Admin API does by the clock. */
export function adminTasks(ctx: { db: Db; clock: Clock }): Task[] {
  const forget = (name: string, run: () => Promise<unknown>): Task => ({
    name,
    everyMs: SWEEP_MS,
    run: async () => {
      await run()
      return false
    },
  })
  return [
    forget('signatures-cleanup', () => sweepSignatures(ctx)),
    forget('idempotency-cleanup', () => sweepIdempotencyKeys(ctx)),
  ]
}
