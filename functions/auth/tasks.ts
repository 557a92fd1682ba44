import type { Clock, Db, Logger } from '../../shared/platform/index.ts'
import type { Task } from '../../shared/schedule/index.ts'
import { deleteAbandonedGrants } from './grants/index.ts'
import { deleteOldInteractions, deleteOldSessions } from './interactions/index.ts'
import { deleteOldNonces } from './nonces.ts'
import { deleteOldTokens } from './tokens/index.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

type CleanupContext = { db: Db; clock: Clock; log: Logger }

/** What nobody can use any more; of tokens and interactions, and of grants that nobody agreed to, once they are `keptDays` old. */
export async function deleteOldRows({ db, clock, log }: CleanupContext, keptDays: number): Promise<void> {
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

/** What the authorization server does by the clock. `keptDays`: ACCESS_TOKEN_DELETION_DAYS. */
export const authTasks = (ctx: CleanupContext, keptDays: number): Task[] => [
  {
    name: 'grants-cleanup',
    everyMs: HOUR_MS,
    run: async () => {
      await deleteOldRows(ctx, keptDays)
      return false
    },
  },
]
