import { setTimeout as sleep } from 'node:timers/promises'
import { auditBanks, type Finding } from '../audit/audit-banks.ts'
import type { TestBanks } from '../testing/test-banks.ts'

/** What a kill may leave behind, as docs/architecture.md declares it; at most so much of each. */
export interface Allowance {
  /** Of the payment's asset and receiver: money that the payee's node counts and the payer's does not. */
  money: { about: readonly string[]; most: bigint }
  /** Of the outgoing payment: packets that were posted, and died with their connector before they were counted. */
  packets: { about: string; most: bigint }
}

export interface Audited {
  problems: string[]
  /** What the payee's node counts more than the payer's, since the last audit. */
  money: bigint
  /** Posted and not counted. */
  packets: bigint
}

const SETTLE_MS = 60_000
const ROUND_MS = 250

const keyOf = ({ invariant, disagreement }: Finding): string => `${invariant} ${disagreement?.about ?? ''}`

/**
 * Audits two banks again and again. What an earlier kill left stays as it is, to the unit; what this one leaves has to be within
 * its allowance.
 */
export function createAuditor(banks: TestBanks) {
  let left = new Map<string, bigint>()

  const judge = (findings: readonly Finding[], allowance: Allowance | undefined): Audited => {
    const audited: Audited = { problems: [], money: 0n, packets: 0n }
    const now = new Map<string, bigint>()
    for (const finding of findings) {
      const { problem, disagreement } = finding
      if (problem === undefined) continue
      const key = keyOf(finding)
      const added = (disagreement?.excess ?? 0n) - (left.get(key) ?? 0n)
      if (disagreement) now.set(key, disagreement.excess)
      if (disagreement && added === 0n) continue
      const { money, packets } = allowance ?? {}
      const within = (most: bigint) => added > 0n && added <= most
      const about = disagreement?.about ?? ''
      if (money?.about.includes(about) && within(money.most))
        audited.money = added > audited.money ? added : audited.money
      else if (packets?.about === about && within(packets.most)) audited.packets = added
      else audited.problems.push(`${finding.invariant}: ${problem}`)
    }
    for (const key of left.keys()) if (!now.has(key)) audited.problems.push(`${key}: changed by itself`)
    if (audited.problems.length === 0) left = now
    return audited
  }

  return {
    async audit(allowance?: Allowance): Promise<Audited> {
      const until = Date.now() + SETTLE_MS
      for (;;) {
        const findings = await auditBanks(banks.databases, { settleMs: 0 })
        const audited = judge(findings, allowance)
        if (audited.problems.length === 0 || Date.now() > until) return audited
        await sleep(ROUND_MS)
      }
    },
  }
}
