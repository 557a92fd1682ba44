/** What of a tenant's is in hand, as one look found it. */
export interface InHand {
  tenantId: string | undefined
  count: number
  /** There may be more than were counted. */
  isCut: boolean
}

/** What tenants may have in hand beyond their shares, because what they have there ends soon. */
export interface Earnings {
  earned(): ReadonlyMap<string | undefined, number>
  /** `added`: how many jobs of each tenant have come into hand since. */
  saw(nowMs: number, found: readonly InHand[], added: ReadonlyMap<string | undefined, number>): void
}

interface Account {
  inHand: number
  /** How long those that are in hand have been there, together. What ends takes its part of it along. */
  heldMs: number
  earned: number
  atMs: number
  /** Since when nothing has ended. */
  quietSinceMs: number
}

/**
 * Learns from how many of a tenant's jobs are in hand at each look, for whoever does not see them end. On average each that ended had been
 * there for as long as those in hand have: within `promptMs` it earns its tenant one more, later it takes one away. While nothing
 * ends, half is lost each `promptMs`. Many that time out at the same moment earn nothing therefore, and a tenant whose endpoints hang in
 * part cannot hold more of them than end in `promptMs`. Who has nothing in hand begins anew.
 */
export function createEarnings({ promptMs, most }: { promptMs: number; most: number }): Earnings {
  const accounts = new Map<string | undefined, Account>()

  const settle = (account: Account, nowMs: number, { count, isCut }: Omit<InHand, 'tenantId'>): void => {
    const { inHand } = account
    account.heldMs += inHand * (nowMs - account.atMs)
    account.atMs = nowMs
    const meanMs = inHand === 0 ? 0 : account.heldMs / inHand
    const ended = isCut ? 0 : Math.max(inHand - count, 0)
    if (ended > 0) {
      account.heldMs -= meanMs * ended
      account.earned = Math.min(Math.max(account.earned + (meanMs <= promptMs ? ended : -ended), 0), most)
      account.quietSinceMs = nowMs
    } else if (inHand === 0) account.quietSinceMs = nowMs
    else if (nowMs - account.quietSinceMs > promptMs) {
      account.earned = Math.floor(account.earned / 2)
      account.quietSinceMs = nowMs
    }
    if (isCut) account.heldMs = meanMs * Math.min(count, inHand)
  }

  return {
    earned: () => new Map([...accounts].map(([tenantId, { earned }]) => [tenantId, earned])),
    saw(nowMs, found, added) {
      const counted = new Map(found.map(({ tenantId, ...rest }) => [tenantId, rest]))
      for (const tenantId of new Set([...accounts.keys(), ...counted.keys(), ...added.keys()])) {
        const account = accounts.get(tenantId) ?? {
          inHand: 0,
          heldMs: 0,
          earned: 0,
          atMs: nowMs,
          quietSinceMs: nowMs,
        }
        const now = counted.get(tenantId) ?? { count: 0, isCut: false }
        settle(account, nowMs, now)
        account.inHand = now.count + (added.get(tenantId) ?? 0)
        if (account.inHand > 0) accounts.set(tenantId, account)
        else accounts.delete(tenantId)
      }
    },
  }
}
