import { setTimeout as sleep } from 'node:timers/promises'
import type { BankName } from '../bank-settings.ts'
import type { PaymentPlan } from '../payment.ts'
import { endLeases } from '../testing/leases.ts'
import { plainPlans, startTestBanks, type TestBanks } from '../testing/test-banks.ts'
import { createAuditor } from './books.ts'
import { type Driven, drivePayment } from './drive-payment.ts'
import { type KillableBank, type Killed, moveElsewhere, type Place } from './killable-bank.ts'

/** Whose node is killed, in which payment. */
export interface Scene {
  name: string
  killed: BankName
  payee: [bank: BankName, customer: string]
  /** What the payment sends: both nodes keep to it whatever happens. */
  sent: string
}

export const scenes: readonly Scene[] = [
  { name: "payer's node, remote", killed: 'a', payee: ['b', 'bahati'], sent: '500' },
  { name: "payee's node, remote", killed: 'b', payee: ['b', 'bahati'], sent: '500' },
  { name: "payer's node, local", killed: 'a', payee: ['a', 'amara'], sent: '550' },
]

export interface PointOutcome extends Killed {
  scene: Scene
  place: Place
  /** From the kill's order to a clean audit. */
  ms: number
  state: string
  sent: string
  /** What was left of the declared kind: money that the payer's node does not count, and packets that nobody counted. */
  declared: { money: bigint; packets: bigint }
  problems: string[]
}

const TIMEOUT_MS = 120_000
/** A packet lives 20 s. A node that is away for longer cannot be asked again. */
const AWAY_MS_MAX = 15_000
/** Of one payment. */
const PACKETS_IN_FLIGHT = 256n
const CALIBRATIONS = 3
/** Several packets in each payment. */
const plans = { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 100n } }

const planOf = (banks: TestBanks, scene: Scene): PaymentPlan => ({
  payer: banks.side('a', 'alice'),
  payee: banks.side(...scene.payee),
  receiveValue: 500n,
  timeoutMs: TIMEOUT_MS,
})

/** How many statements the node makes from the first call of a payment to the last withdrawal: the least of some, because idle polls count too. */
async function countStatements(bank: KillableBank, plan: PaymentPlan): Promise<number> {
  const counts: number[] = []
  for (let round = 0; round < CALIBRATIONS; round++) {
    const count = bank.countStatements()
    await drivePayment(plan)
    counts.push(count())
  }
  return Math.min(...counts)
}

/** Both sides of each statement, over the whole payment: `index` of `points`. */
function placeOf(index: number, points: number, statements: number): Place {
  const half = Math.floor((index * statements * 2) / points)
  return { statement: 1 + Math.floor(half / 2), moment: half % 2 === 0 ? 'before' : 'after' }
}

/** What has to be true of the payment itself, whoever was killed. */
function problemsOf(scene: Scene, { outgoing }: Driven, mayBeShort: boolean): string[] {
  const { state, sentAmount, debitAmount } = outgoing
  if (state === 'COMPLETED' && sentAmount.value === scene.sent) return []
  const isShort = BigInt(sentAmount.value) <= BigInt(debitAmount.value)
  if (mayBeShort && isShort && (state === 'FAILED' || (state === 'COMPLETED' && sentAmount.value !== '0')))
    return []
  return [`the payment ended ${state} with ${sentAmount.value} sent`]
}

/** The customer at A pays what was sent, and nothing stays reserved; a wallet whose bank was away hears of it again after ten seconds. */
async function walletProblems(banks: TestBanks, sent: bigint, opened: bigint): Promise<string[]> {
  const account = () => banks.a.wallet.account(banks.side('a', 'alice').walletAddress.id)
  const isRight = () => account().held === 0n && account().balance === opened - sent
  const until = Date.now() + TIMEOUT_MS
  while (!isRight() && Date.now() < until) await sleep(100)
  const { balance, held } = account()
  return isRight()
    ? []
    : [`I10: the payer's customer paid ${opened - balance} of ${sent}, ${held} is reserved`]
}

/**
 * Kills a node at the named points of a payment, each in a payment of its own, one after the other between the same two banks,
 * and audits both after each. `isHurried`: the leases of the dead end with them, and not ten
 * seconds later.
 */
export async function sweep(
  scene: Scene,
  points: readonly number[],
  options: { total: number; isHurried?: boolean; onOutcome?: (outcome: PointOutcome) => void },
): Promise<PointOutcome[]> {
  const { total, isHurried = false, onOutcome } = options
  const banks = await startTestBanks({ plans })
  const bank = await moveElsewhere(banks, scene.killed, async () => {
    if (isHurried) await endLeases(banks.databases[scene.killed].resources)
  })
  try {
    const plan = planOf(banks, scene)
    const account = () => banks.a.wallet.account(plan.payer.walletAddress.id)
    const statements = await countStatements(bank, plan)
    const auditor = createAuditor(banks)
    const before = await auditor.audit()
    if (before.problems.length > 0) throw new Error(`before any kill: ${before.problems.join('; ')}`)
    const outcomes: PointOutcome[] = []
    for (const point of points) {
      const place = placeOf(point, total, statements)
      const opened = account().balance
      const startedAt = performance.now()
      const kill = bank.killAt(place)
      const driven = await drivePayment(plan)
      kill.now()
      const killed = await kill.done
      const { outgoing, incomingPaymentId } = driven
      const wallet = await walletProblems(banks, BigInt(outgoing.sentAmount.value), opened)
      // What docs/architecture.md declares: packets whose payee's node was away for longer than they live.
      const isDeclared = scene.killed === 'b' && killed.awayMs > AWAY_MS_MAX
      const audited = await auditor.audit(
        isDeclared
          ? {
              money: { about: [incomingPaymentId, 'USD'], most: BigInt(outgoing.debitAmount.value) },
              packets: { about: outgoing.id, most: PACKETS_IN_FLIGHT },
            }
          : undefined,
      )
      const outcome: PointOutcome = {
        scene,
        place,
        ...killed,
        ms: performance.now() - startedAt,
        state: outgoing.state,
        sent: outgoing.sentAmount.value,
        declared: { money: audited.money, packets: audited.packets },
        problems: [
          ...audited.problems,
          ...problemsOf(scene, driven, isDeclared && audited.money > 0n),
          ...wallet,
        ],
      }
      outcomes.push(outcome)
      onOutcome?.(outcome)
    }
    return outcomes
  } finally {
    await bank.close()
    await banks.close()
  }
}
