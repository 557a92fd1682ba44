export interface Prover {
  /** There is something to prove. */
  wake(): void
  close(): Promise<void>
}

/** The other node stores what it was told in a moment; after that, it may take its time. */
const EVERY_MS = 200
/** What another process has accepted, or one that ended, is found within this time. */
const IDLE_MS = 10_000

/** Looks at what waits for a proof: soon after a request, again while something does, and now and then. */
export function createProver(ctx: {
  /** Says how many still wait. */
  prove: () => Promise<number>
  onFault: (error: unknown) => void
}): Prover {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let closed = false

  const look = async (): Promise<void> => {
    const waiting = await ctx.prove().catch((error: unknown) => {
      ctx.onFault(error)
      return 0
    })
    running = undefined
    sleep(waiting > 0 ? EVERY_MS : IDLE_MS)
  }
  const sleep = (milliseconds: number) => {
    if (closed) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      running ??= look()
    }, milliseconds)
    timer.unref()
  }

  sleep(0)
  return {
    wake: () => sleep(EVERY_MS),
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
