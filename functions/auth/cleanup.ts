import { type Clock, type Db, type Logger, messageOf } from '../../shared/platform/index.ts'
import { deleteAbandonedGrants } from './grants/index.ts'
import { deleteOldInteractions, deleteOldSessions } from './interactions/index.ts'
import { deleteOldNonces } from './nonces.ts'
import { deleteOldTokens } from './tokens/index.ts'

const EVERY_MS = 3_600_000
const DAY_MS = 86_400_000

type CleanupContext = { db: Db; clock: Clock; log: Logger }

/** What nobody can use any more; of tokens and interactions, and of grants that nobody agreed to, once they are `keptDays` old. */
async function deleteOldRows({ db, clock, log }: CleanupContext, keptDays: number): Promise<void> {
  const now = clock.now()
  const limit = clock.fromNow(-keptDays * DAY_MS)
  const deleted = {
    tokens: await deleteOldTokens(db, limit),
    nonces: await deleteOldNonces(db, now),
    sessions: await deleteOldSessions(db, now),
    grants: await deleteAbandonedGrants(db, limit),
    interactions: await deleteOldInteractions(db, limit),
  }
  if (Object.values(deleted).some((count) => count > 0)) log.debug(deleted, 'old rows deleted')
}

/** Now and every hour. A failure waits for the next hour. */
export function startCleanup(ctx: CleanupContext, keptDays: number): { close(): Promise<void> } {
  const run = async () => {
    try {
      await deleteOldRows(ctx, keptDays)
    } catch (error) {
      ctx.log.warn({ reason: messageOf(error) }, 'cleanup failed')
    }
  }
  let running = run()
  const timer = setInterval(() => {
    running = run()
  }, EVERY_MS)
  timer.unref()
  return {
    async close() {
      clearInterval(timer)
      await running
    },
  }
}
