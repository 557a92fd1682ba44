import type { IlpReject } from '../packet/index.ts'

/** How often a node rejected with a code; for the payment's timeline. */
export interface RejectCount {
  code: string
  triggeredBy: string
  count: number
}

const KINDS_MAX = 50

/** Counts rejects by code and sender. Whoever invents senders shares one count with an empty sender. */
export function createRejectTally() {
  const counts = new Map<string, RejectCount>()
  const count = (reject: Pick<IlpReject, 'code' | 'triggeredBy'>, times: number): void => {
    const known = counts.get(`${reject.code} ${reject.triggeredBy}`)
    const triggeredBy = known || counts.size < KINDS_MAX ? reject.triggeredBy : ''
    const key = `${reject.code} ${triggeredBy}`
    const entry = counts.get(key) ?? { code: reject.code, triggeredBy, count: 0 }
    entry.count += times
    counts.set(key, entry)
  }
  return {
    add: (reject: Pick<IlpReject, 'code' | 'triggeredBy'>): void => count(reject, 1),
    merge: (entry: RejectCount): void => count(entry, entry.count),
    list: (): RejectCount[] =>
      [...counts.values()].map((entry) => ({ ...entry })).sort((a, b) => b.count - a.count),
  }
}

/** Both counts in one. */
export function addRejects(a: readonly RejectCount[], b: readonly RejectCount[]): RejectCount[] {
  const tally = createRejectTally()
  for (const entry of [...a, ...b]) tally.merge(entry)
  return tally.list()
}
