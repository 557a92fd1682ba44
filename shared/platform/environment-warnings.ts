import type { Environment } from './config.ts'
import {
  namesBeside,
  namesOfAbsentFeatures,
  namesOfLambda,
  namesOfVariables,
  retiredNames,
} from './environment-names.ts'
import type { Logger } from './log.ts'

const known: ReadonlySet<string> = new Set([...namesOfVariables, ...namesBeside, ...namesOfLambda])

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const NO_LETTER = LETTERS.length

/** The letters of a name, a bit for each; digits and `_` share one more. */
export function lettersOf(name: string): number {
  let letters = 0
  for (let index = 0; index < name.length; index++) {
    const letter = name.charCodeAt(index) - 65
    letters |= 1 << (letter >= 0 && letter < LETTERS.length ? letter : NO_LETTER)
  }
  return letters
}

/** An edit puts in one letter at most, and takes away one: with more letters that only one has, names are further apart. */
export function mayBeNear(lettersOfA: number, lettersOfB: number, edits: number): boolean {
  let most = edits * 2
  for (let onlyInOne = lettersOfA ^ lettersOfB; onlyInOne !== 0; onlyInOne &= onlyInOne - 1)
    if (--most < 0) return false
  return true
}

/** With their letters, from when a name of somebody else is held against them. */
let mayBeMeant: readonly { name: string; letters: number }[] | undefined

/**
 * Edits between two names: letters put in, left out or exchanged. `undefined` where there are more than `most`. Every name in the
 * environment is held against all of ours at each start, so only what may be near is looked at: cells of the table near its diagonal, and
 * no row below one that is too far already.
 */
export function editsBetween(a: string, b: string, most: number): number | undefined {
  if (Math.abs(a.length - b.length) > most) return undefined
  // What is missing is far from the diagonal, and so more than `most`.
  let previous: number[] = []
  for (let column = 0; column <= Math.min(b.length, most); column++) previous.push(column)
  for (let row = 1; row <= a.length; row++) {
    const current: number[] = [row]
    let least = row
    for (let column = Math.max(1, row - most); column <= Math.min(b.length, row + most); column++) {
      const exchanged = (previous[column - 1] ?? most) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const edits = Math.min(exchanged, (previous[column] ?? most) + 1, (current[column - 1] ?? most) + 1)
      current[column] = edits
      least = Math.min(least, edits)
    }
    if (least > most) return undefined
    previous = current
  }
  const edits = previous[b.length] ?? most + 1
  return edits <= most ? edits : undefined
}

const NEAR = 2
/** How far a name of ours may be from one that begins like ours, as a share of its length. */
const NEAR_BEHIND_PREFIX = 0.4
const NAME_LENGTH_MIN = 6

/** How only our variables begin. Others, such as REDIS_ or SIGNATURE_, may be anybody's. */
const PREFIX =
  /^(ACCESS_TOKEN|ADMIN_API|AUTH_SERVER|AUTH_SERVICE|CONNECTOR_RPC|DB_ENCRYPTION|EGRESS|EXCHANGE_RATES|GRAPHQL_IDEMPOTENCY|IDENTITY_SERVER|ILP|INCOMING_PAYMENT|INTERACTION|INTROSPECTION|OPEN_PAYMENTS|OPERATOR_TENANT|OUTGOING_PAYMENT|PARTIAL_PAYMENT|PEER_PACKETS|QUOTE|REDIS_TLS|STREAM|TIGERBEETLE|WALLET_ADDRESS|WEBHOOK)_/
/** What Kubernetes sets in every pod for each service beside it. */
const OF_KUBERNETES = /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)/

/** The one that is nearest, of those with no more edits than `most`. */
function nearest(name: string, most: number): string | undefined {
  let best: { name: string; edits: number } | undefined
  const beginning = `${name}_`
  const lettersOfName = lettersOf(name)
  mayBeMeant ??= namesOfVariables.map((of) => ({ name: of, letters: lettersOf(of) }))
  for (const { name: candidate, letters } of mayBeMeant) {
    const nearer = best === undefined ? most : best.edits - 1
    // One that only lacks its unit or its last word is nearer than its letters say.
    const isBeginning = candidate.startsWith(beginning)
    if (!isBeginning && !mayBeNear(lettersOfName, letters, nearer)) continue
    const edits = isBeginning ? NEAR : editsBetween(name, candidate, nearer)
    if (edits !== undefined && edits <= nearer) best = { name: candidate, edits }
  }
  return best?.name
}

function warningOf(name: string): string | undefined {
  const replacement = retiredNames[name]
  if (replacement !== undefined) return `${name} is retired and has no effect; see ${replacement}`
  const feature = namesOfAbsentFeatures[name]
  if (feature !== undefined) return `${name} has no effect: this version does not have ${feature}`
  if (name.length < NAME_LENGTH_MIN || !/^[A-Z0-9_]+$/.test(name) || OF_KUBERNETES.test(name))
    return undefined
  const beginsLikeOurs = PREFIX.test(name)
  const near = nearest(name, beginsLikeOurs ? Math.floor(name.length * NEAR_BEHIND_PREFIX) : NEAR)
  if (near !== undefined) return `${name} is unknown and has no effect; is ${near} meant?`
  return beginsLikeOurs ? `${name} is unknown and has no effect` : undefined
}

/**
 * What the environment says that nobody will hear: names that are retired, of features that this version has not, and names that
 * look like ours and are not. Never a reason not to start. Empty values count as unset.
 */
export const environmentWarnings = (environment: Environment): string[] =>
  Object.entries(environment)
    .filter(([name, value]) => value !== undefined && value !== '' && !known.has(name))
    .flatMap(([name]) => warningOf(name) ?? [])

/** At each start. */
export function warnOfEnvironment(log: Logger, environment: Environment): void {
  for (const warning of environmentWarnings(environment)) log.warn(warning)
}
