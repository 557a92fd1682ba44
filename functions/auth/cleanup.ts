import { type Clock, type Db, type Logger, messageOf } from '../../shared/platform/index.ts'
import { deleteOldNonces } from './nonces.ts'
import { deleteOldTokens } from './tokens/index.ts'

const EVERY_MS = 3_600_000
const DAY_MS = 86_400_000

/** Now and every hour: tokens that expired `keptDays` ago, nonces that nobody could use again. A failure waits for the next hour. */
export function startCleanup(
  ctx: { db: Db; clock: Clock; log: Logger },
  keptDays: number,
): { close(): Promise<void> } {
  const run = async () => {
    try {
      const tokens = await deleteOldTokens(ctx.db, ctx.clock.fromNow(-keptDays * DAY_MS))
      const nonces = await deleteOldNonces(ctx.db, ctx.clock.now())
      if (tokens + nonces > 0) ctx.log.debug({ tokens, nonces }, 'old rows deleted')
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
