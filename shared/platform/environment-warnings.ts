import type { Environment } from './config.ts'
import { namesBeside, namesOfAbsentFeatures, namesOfVariables, retiredNames } from './environment-names.ts'
import type { Logger } from './log.ts'

const known: ReadonlySet<string> = new Set([...namesOfVariables, ...namesBeside])
const mayBeMeant = [...namesOfVariables]

/** Edits between two names: letters put in, left out or exchanged. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const exchanged = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(exchanged, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
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

function nearest(name: string): { name: string; edits: number } | undefined {
  let best: { name: string; edits: number } | undefined
  for (const candidate of mayBeMeant) {
    // One that only lacks its unit or its last word is nearer than its letters say.
    const edits = candidate.startsWith(`${name}_`) ? NEAR : distance(name, candidate)
    if (best === undefined || edits < best.edits) best = { name: candidate, edits }
  }
  return best
}

function warningOf(name: string): string | undefined {
  const replacement = retiredNames[name]
  if (replacement !== undefined) return `${name} is retired and has no effect; see ${replacement}`
  const feature = namesOfAbsentFeatures[name]
  if (feature !== undefined) return `${name} has no effect: this version does not have ${feature}`
  if (name.length < NAME_LENGTH_MIN || !/^[A-Z0-9_]+$/.test(name) || OF_KUBERNETES.test(name))
    return undefined
  const near = nearest(name)
  const beginsLikeOurs = PREFIX.test(name)
  if (near && near.edits <= (beginsLikeOurs ? name.length * NEAR_BEHIND_PREFIX : NEAR))
    return `${name} is unknown and has no effect; is ${near.name} meant?`
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
