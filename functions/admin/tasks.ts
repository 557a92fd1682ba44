import type { Clock, Db } from '../../shared/platform/index.ts'
import type { Task } from '../../shared/schedule/index.ts'
import { sweepIdempotencyKeys } from './idempotency.ts'
import { sweepSignatures } from './used-signatures.ts'

const SWEEP_MS = 60_000

/** What the Admin API does by the clock. `mirrorTenants` brings to the authorization server what it has not heard of; beside a consumer there is mostly nothing. */
export function adminTasks(ctx: { db: Db; clock: Clock }, mirrorTenants: () => Promise<unknown>): Task[] {
  const every = (name: string, run: () => Promise<unknown>): Task => ({
    name,
    everyMs: SWEEP_MS,
    run: async () => {
      await run()
      return false
    },
  })
  return [
    every('tenant-mirror', mirrorTenants),
    every('signatures-cleanup', () => sweepSignatures(ctx)),
    every('idempotency-cleanup', () => sweepIdempotencyKeys(ctx)),
  ]
}
