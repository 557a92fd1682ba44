import type { OtherSide, TenantShares } from './shares.ts'

/** Places for jobs that somebody else chose: what a tenant has no place for waits its turn here. */
export interface Places {
  /** Resolves when there is a place, at once with `false` when too many wait already. */
  take(tenantId: string | undefined): Promise<boolean>
  /** Gives a place back, with what the run says about the other side. */
  giveBack(tenantId: string | undefined, run: { otherSide?: OtherSide | undefined; ms: number }): void
  /** How many more could start now, if they were of tenants that have places. */
  free(): number
  /** From now on nobody gets one; those who wait are told. */
  close(): void
}

export function createPlaces(options: {
  shares: TenantShares
  concurrency: number
  /** Jobs that wait at most: of tenants that have used up their places. */
  waitingMax: number
}): Places {
  const { shares, concurrency, waitingMax } = options
  const waiting = new Map<string | undefined, ((hasPlace: boolean) => void)[]>()
  let count = 0
  let isClosed = false

  /** One of each tenant after the other, so that nobody's crowd goes first: who got one is behind the others then. */
  const admit = (): void => {
    for (const [tenantId, queue] of waiting) {
      if (shares.total() >= concurrency) return
      if (!shares.hasPlace(tenantId)) continue
      count--
      shares.start(tenantId)
      queue.shift()?.(true)
      waiting.delete(tenantId)
      if (queue.length > 0) waiting.set(tenantId, queue)
    }
  }

  return {
    async take(tenantId) {
      if (isClosed) return false
      if (!waiting.has(tenantId) && shares.hasPlace(tenantId)) {
        shares.start(tenantId)
        return true
      }
      if (count >= waitingMax) return false
      count++
      return await new Promise((resolve) => {
        const queue = waiting.get(tenantId)
        if (queue) queue.push(resolve)
        else waiting.set(tenantId, [resolve])
      })
    },
    giveBack(tenantId, run) {
      shares.end(tenantId, run)
      admit()
    },
    free: () => (isClosed ? 0 : Math.max(concurrency - shares.total(), 0)),
    close() {
      isClosed = true
      for (const resolve of [...waiting.values()].flat()) resolve(false)
      waiting.clear()
      count = 0
    },
  }
}
