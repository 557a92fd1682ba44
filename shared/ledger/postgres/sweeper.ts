import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '../../platform/index.ts'
import { type Connections, UNAVAILABLE } from './connections.ts'

const SWEEP = 'select ledger.sweep($1, $2) as count'
const HOLDS_PER_SWEEP_MAX = 1000

interface Context {
  connections: Connections
  now: () => Date | undefined
}

/** Releases what expired, some holds per transaction. Returns how many there were. */
export async function sweep(ctx: Context): Promise<number> {
  let total = 0
  for (;;) {
    const values = [ctx.now() ?? null, HOLDS_PER_SWEEP_MAX]
    const [row] = await ctx.connections.run(() => ({ text: SWEEP, values }), UNAVAILABLE)
    const count = Number(row?.count)
    total += count
    if (count < HOLDS_PER_SWEEP_MAX) return total
  }
}

/** Sweeps again and again, so that reserved money comes back also where nobody asks for it. Keeps no process alive. */
export function startSweeper(ctx: Context, intervalMs: number, log: Logger) {
  const ending = new AbortController()
  const run = async () => {
    while (!ending.signal.aborted) {
      await sleep(intervalMs, undefined, { ref: false, signal: ending.signal }).catch(() => undefined)
      if (ending.signal.aborted) return
      await sweep(ctx).catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'ledger sweep failed; the next one follows'),
      )
    }
  }
  const running = intervalMs > 0 ? run() : Promise.resolve()
  return {
    async stop() {
      ending.abort()
      await running
    },
  }
}
