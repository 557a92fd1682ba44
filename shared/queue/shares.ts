/** How the tenants of a queue share the jobs in flight of one process. */
export interface Shares {
  /** Places that each tenant has for itself: no crowd of others can take them. */
  own: number
  /** Jobs in flight of one tenant at most. */
  most: number
  /** For everything that tenants have beyond their own places, together. */
  common: number
  /**
   * Present: a tenant begins with its own places and earns more by answers that came within this time. Slower ones take them away
   * again, down to its own; silence halves what it has, down to one. Absent: a tenant may have `most` from the beginning.
   */
  promptMs?: number
}

/** What a run says about the other side that it talked to: whether anybody answered. Not whether the answer was a good one. */
export type OtherSide = 'answered' | 'silent'

/** What one tenant may have more: `places` in all, of these `own` that are its own. */
export interface TenantPlaces {
  own: number
  places: number
}

/** What a claim may take. */
export interface FreePlaces {
  /** Of a tenant that is not in `tenants`. */
  idle: TenantPlaces
  tenants: ReadonlyMap<string | undefined, TenantPlaces>
  /** Beyond tenants' own places, together. */
  common: number
}

export interface TenantShares {
  /** Jobs in flight, of everybody. */
  total(): number
  free(): FreePlaces
  /** Whether one more of this tenant may start. */
  hasPlace(tenantId: string | undefined): boolean
  start(tenantId: string | undefined): void
  end(tenantId: string | undefined, run: { otherSide?: OtherSide | undefined; ms: number }): void
}

/** Keeps count of who has which places. Without `shares` everything is first come, first served. */
export function createTenantShares({
  concurrency,
  shares,
}: {
  concurrency: number
  shares?: Shares
}): TenantShares {
  const { own, most, common, promptMs } = shares ?? { own: 0, most: concurrency, common: concurrency }
  const first = promptMs === undefined ? most : Math.min(own, most)
  const running = new Map<string | undefined, number>()
  /** What tenants may have, where that is not `first`. */
  const windows = new Map<string | undefined, number>()
  let total = 0
  let beyond = 0

  const windowOf = (tenantId: string | undefined) => windows.get(tenantId) ?? first
  const placesOf = (tenantId: string | undefined): TenantPlaces => {
    const taken = running.get(tenantId) ?? 0
    const window = windowOf(tenantId)
    return { own: Math.max(Math.min(own, window) - taken, 0), places: Math.max(window - taken, 0) }
  }
  const change = (tenantId: string | undefined, by: 1 | -1) => {
    const before = running.get(tenantId) ?? 0
    total += by
    if (Math.max(before, before + by) > own) beyond += by
    if (before + by > 0) running.set(tenantId, before + by)
    else running.delete(tenantId)
  }
  const learn = (tenantId: string | undefined, otherSide: OtherSide, ms: number, prompt: number) => {
    const window = windowOf(tenantId)
    if (otherSide === 'silent') windows.set(tenantId, Math.max(Math.floor(window / 2), 1))
    else if (ms <= prompt) windows.set(tenantId, Math.min(window + 1, most))
    else if (window !== first) windows.set(tenantId, window > first ? window - 1 : window + 1)
  }

  return {
    total: () => total,
    free: () => ({
      idle: { own: Math.min(own, first), places: first },
      tenants: new Map(
        [...new Set([...running.keys(), ...windows.keys()])].map((tenantId) => [
          tenantId,
          placesOf(tenantId),
        ]),
      ),
      common: Math.max(common - beyond, 0),
    }),
    hasPlace(tenantId) {
      if (total >= concurrency) return false
      const { own: ownPlaces, places } = placesOf(tenantId)
      return ownPlaces > 0 || (places > 0 && beyond < common)
    },
    start: (tenantId) => change(tenantId, 1),
    end(tenantId, { otherSide, ms }) {
      change(tenantId, -1)
      if (otherSide !== undefined && promptMs !== undefined) learn(tenantId, otherSide, ms, promptMs)
      // Who does nothing begins anew; only silence is remembered, until somebody answers.
      if (!running.has(tenantId) && windowOf(tenantId) >= first) windows.delete(tenantId)
    },
  }
}
