import { auditGrants, type GrantFinding } from '../../shared/outgoing-payments/index.ts'
import { createDb, type Logger, silentLogger } from '../../shared/platform/index.ts'
import type { AuditedBank } from './audited-bank.ts'
import {
  type IncomingRow,
  type Movements,
  noMovements,
  type OutgoingRow,
  type PeerRow,
  readIncoming,
  readOutgoing,
  readPeers,
} from './books.ts'
import { type LedgerBooks, type OpenBank, openLedger, readLedger } from './ledger-books.ts'

/** The invariants that hold over both banks once nothing is in flight (named as in the architecture's list of rules). */
export type Invariant =
  | 'I1 conservation'
  | 'I2 no overdraft'
  | 'I3 two-node agreement'
  | 'I4 payment closure'
  | 'I5 receiver truth'
  | 'I8 grant'
  | 'I9 fulfil rule'

/** One check, and what is wrong where it fails. */
export interface Finding {
  invariant: Invariant
  bank: string
  /** What was looked at, with counts. */
  checked: string
  problem?: string
  disagreement?: Disagreement
}

/** Two books count differently: about an asset (code), a receiver or an outgoing payment (id). */
export interface Disagreement {
  about: string
  /** By how much the payee's node counts more than the payer's, or the ledger more packets than the payment. */
  excess: bigint
}

type Problem = string | { problem: string; disagreement: Disagreement }

interface Books {
  name: string
  ilpAddress: string
  outgoing: OutgoingRow[]
  incoming: IncomingRow[]
  peers: PeerRow[]
  movements: Movements
  grants: { counters: number; findings: GrantFinding[] }
}

async function readBooks(
  bank: OpenBank,
  { movements, ilpAddress }: Pick<Books, 'movements' | 'ilpAddress'>,
): Promise<Books> {
  const resources = createDb({
    connectionString: bank.resources,
    poolSizeMax: 1,
    applicationName: 'upesi-audit',
  })
  try {
    return {
      name: bank.name,
      ilpAddress,
      outgoing: await readOutgoing(resources),
      incoming: await readIncoming(resources),
      peers: await readPeers(resources),
      movements,
      grants: await auditGrants(resources),
    }
  } finally {
    await resources.close()
  }
}

const movementsOf = (books: Books, accountId: string) => books.movements.get(accountId) ?? noMovements

/** Turns the problems of one invariant into findings: one line that says what was checked when there are none. */
function findingsOf(
  invariant: Invariant,
  bank: string,
  checked: string,
  problems: readonly Problem[],
): Finding[] {
  if (problems.length === 0) return [{ invariant, bank, checked }]
  return problems.map((problem) => ({
    invariant,
    bank,
    checked,
    ...(typeof problem === 'string' ? { problem } : problem),
  }))
}

function checkClosure(books: Books): Finding[] {
  const problems: string[] = []
  for (const payment of books.outgoing) {
    const { packetDebits, deposits, withdrawals } = movementsOf(books, payment.id)
    const say = (what: string) => problems.push(`outgoing payment ${payment.id} (${payment.state}): ${what}`)
    const ended = payment.state === 'COMPLETED' || payment.state === 'FAILED'
    if (payment.state === 'SENDING') say('is still sending')
    if (deposits > 0n && !ended && payment.state !== 'SENDING') say(`holds a deposit of ${deposits}`)
    if (!ended) continue
    if (deposits !== payment.debitAmount) say(`deposited ${deposits}, debitAmount ${payment.debitAmount}`)
    if (packetDebits !== payment.sentAmount)
      say(`ledger sent ${packetDebits}, recorded ${payment.sentAmount}`)
    if (withdrawals > deposits - packetDebits) say(`withdrew ${withdrawals} of ${deposits - packetDebits}`)
    if (payment.state === 'COMPLETED' && packetDebits === 0n) say('completed with nothing sent')
    if (payment.endEvents !== 1) say(`has ${payment.endEvents} final events`)
  }
  return findingsOf('I4 payment closure', books.name, `outgoing payments: ${books.outgoing.length}`, problems)
}

function checkReceivers(books: Books): Finding[] {
  const problems: string[] = []
  for (const payment of books.incoming) {
    const { packetCredits } = movementsOf(books, payment.id)
    const say = (what: string) => problems.push(`incoming payment ${payment.id} (${payment.state}): ${what}`)
    // Money that came behind an announcement has one of its own, so the sum counts.
    if (payment.announcements > 0 && payment.announcedAmount !== packetCredits)
      say(`announced ${payment.announcedAmount}, ledger credited ${packetCredits}`)
    const final = payment.state === 'COMPLETED' || payment.state === 'EXPIRED'
    if (final && packetCredits > 0n && payment.announcements === 0)
      say(`holds ${packetCredits} and was not announced`)
  }
  return findingsOf('I5 receiver truth', books.name, `incoming payments: ${books.incoming.length}`, problems)
}

function checkFulfilRule(books: Books): Finding[] {
  const problems: Problem[] = []
  const sent = books.outgoing.filter((payment) => payment.method === 'ILP')
  let packets = 0
  for (const payment of sent) {
    const postings = movementsOf(books, payment.id).packetDebitCount
    packets += postings
    if (postings !== payment.packetsFulfilled)
      problems.push({
        problem: `outgoing payment ${payment.id}: ${payment.packetsFulfilled} packets fulfilled, ${postings} posted`,
        disagreement: { about: payment.id, excess: BigInt(postings - payment.packetsFulfilled) },
      })
  }
  return findingsOf(
    'I9 fulfil rule',
    books.name,
    `payments over ILP: ${sent.length}, packets: ${packets}`,
    problems,
  )
}

/** What grants have spent is what their payments count. */
const checkGrants = ({ name, grants }: Books): Finding[] =>
  findingsOf(
    'I8 grant',
    name,
    `amounts that grants have spent: ${grants.counters}`,
    grants.findings.map(({ grantId, message }) => `grant ${grantId}: ${message}`),
  )

/** What senders say was delivered to a receiver is what its bank credited. */
function checkDelivery(all: readonly Books[]): Finding[] {
  const problems: Problem[] = []
  const delivered = new Map<string, bigint>()
  for (const books of all)
    for (const payment of books.outgoing) {
      const id = payment.receiver.split('/').at(-1) ?? ''
      delivered.set(id, (delivered.get(id) ?? 0n) + payment.deliveredAmount)
    }
  let count = 0
  for (const books of all)
    for (const payment of books.incoming) {
      count++
      const { packetCredits } = movementsOf(books, payment.id)
      const said = delivered.get(payment.id) ?? 0n
      // The books of one node alone do not say what others sent.
      if (all.length > 1 ? said !== packetCredits : said > packetCredits)
        problems.push({
          problem: `incoming payment ${payment.id}: senders delivered ${said}, credited ${packetCredits}`,
          disagreement: { about: payment.id, excess: packetCredits - said },
        })
    }
  return findingsOf(
    'I5 receiver truth',
    all.map((books) => books.name).join(' and '),
    `receivers: ${count}`,
    problems,
  )
}

/** What one node owes the other is what the other is owed, per asset: both counted the same packets. */
function checkAgreement(all: readonly Books[]): Finding[] {
  const problems: Problem[] = []
  let pairs = 0
  for (const [index, books] of all.entries())
    for (const other of all.slice(index + 1)) {
      for (const peer of books.peers.filter((row) => row.staticIlpAddress === other.ilpAddress)) {
        const twin = other.peers.find(
          (row) =>
            row.staticIlpAddress === books.ilpAddress &&
            row.assetCode === peer.assetCode &&
            row.assetScale === peer.assetScale,
        )
        if (!twin) continue
        pairs++
        const here = movementsOf(books, peer.id)
        const there = movementsOf(other, twin.id)
        const owes = here.packetCredits - here.packetDebits
        const isOwed = there.packetDebits - there.packetCredits
        if (owes !== isOwed)
          problems.push({
            problem: `${peer.assetCode}: ${books.name} owes ${owes}, ${other.name} counts ${isOwed}`,
            disagreement: { about: peer.assetCode, excess: isOwed - owes },
          })
      }
    }
  const names = all.map((books) => books.name).join(' and ')
  return findingsOf('I3 two-node agreement', names, `peerings: ${pairs}`, problems)
}

function checkLedger(name: string, { found, movedCount }: LedgerBooks): Finding[] {
  const overdrafts = found.filter((finding) => finding.invariant === 'no_overdraft')
  const others = found.filter((finding) => finding.invariant !== 'no_overdraft')
  if (movedCount > 0)
    others.push({
      invariant: 'balances_follow_transfers',
      message: `${movedCount} accounts moved while they were read, and nothing is known of them: audit a node that rests`,
    })
  return [
    ...findingsOf(
      'I1 conservation',
      name,
      'all ledgers',
      others.map((finding) => finding.message),
    ),
    ...findingsOf(
      'I2 no overdraft',
      name,
      'all accounts',
      overdrafts.map((finding) => finding.message),
    ),
  ]
}

/** `test.bank-a` for bank `a`, as the development process names them. */
const demoIlpAddress = (name: string) => `test.bank-${name}`

async function auditOnce(
  banks: readonly OpenBank[],
  ilpAddressOf: (name: string) => string,
): Promise<Finding[]> {
  const books: Books[] = []
  const findings: Finding[] = []
  for (const bank of banks) {
    const ledger = await readLedger(bank)
    findings.push(...checkLedger(bank.name, ledger))
    const ilpAddress = bank.ilpAddress ?? ilpAddressOf(bank.name)
    books.push(await readBooks(bank, { movements: ledger.movements, ilpAddress }))
  }
  for (const one of books)
    findings.push(...checkClosure(one), ...checkReceivers(one), ...checkGrants(one), ...checkFulfilRule(one))
  findings.push(...checkAgreement(books), ...checkDelivery(books))
  return findings
}

const ROUND_MS = 250
/** Shorter is not worth a word. */
const UNSETTLED_ROUNDS = 4

/**
 * Audits banks over their databases and ledgers. Books are read one after the other, so a payment under way can look wrong: with
 * `settleMs` problems are looked at again until they are gone or the time is over. `onUnsettled` is called once, when that takes more than a moment.
 */
export async function auditBanks(
  banks: Readonly<Record<string, AuditedBank>>,
  options: {
    settleMs?: number
    ilpAddressOf?: (name: string) => string
    onUnsettled?: () => void
    log?: Logger
  } = {},
): Promise<Finding[]> {
  const opened: OpenBank[] = []
  try {
    for (const [name, bank] of Object.entries(banks))
      opened.push({ ...bank, name, ...(await openLedger(bank, options.log ?? silentLogger)) })
    const until = Date.now() + (options.settleMs ?? 5_000)
    for (let round = 0; ; round++) {
      const findings = await auditOnce(opened, options.ilpAddressOf ?? demoIlpAddress)
      if (findings.every((finding) => finding.problem === undefined) || Date.now() >= until) return findings
      if (round === UNSETTLED_ROUNDS) options.onUnsettled?.()
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS))
    }
  } finally {
    for (const { contents } of opened) await contents?.close()
  }
}

const INVARIANT_WIDTH = 'I3 two-node agreement '.length
const BANK_WIDTH = 'a and b '.length

/** The findings as lines for people. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ invariant, bank, checked, problem }) =>
      problem === undefined
        ? `  ok       ${invariant.padEnd(INVARIANT_WIDTH)} ${bank.padEnd(BANK_WIDTH)} ${checked}`
        : `  PROBLEM  ${invariant.padEnd(INVARIANT_WIDTH)} ${bank.padEnd(BANK_WIDTH)} ${problem}`,
    )
    .join('\n')
}
