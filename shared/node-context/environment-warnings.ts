import type { Environment } from '../platform/index.ts'
import { nodeConfig } from './config.ts'
import { resourceVariables } from './resource-variables.ts'

/** Names that older set-ups still carry. They mean nothing any more. */
const retired: Record<string, string> = {
  PAYMENT_POINTER_URL: 'WALLET_ADDRESS_URL',
  PAYMENT_POINTER_WORKERS: 'WALLET_ADDRESS_WORKERS',
  PAYMENT_POINTER_WORKER_IDLE: 'WALLET_ADDRESS_WORKER_IDLE',
  PUBLIC_HOST: 'OPEN_PAYMENTS_URL',
  QUOTE_URL: 'EXCHANGE_RATES_URL',
}

/** Of other deployables of a node: not typos of ours. */
const ofOthers = [
  'AUTH_DATABASE_URL',
  'AUTH_PORT',
  'AUTH_SERVER_URL',
  'INTERACTION_PORT',
  'INTROSPECTION_PORT',
  'SERVICE_API_PORT',
  'AUTO_PEERING_SERVER_PORT',
  'IDENTITY_SERVER_URL',
  'IDENTITY_SERVER_SECRET',
  'POS_SERVICE_URL',
  'CARD_SERVICE_PORT',
]

const ours = Object.values({ ...nodeConfig, ...resourceVariables }).map(({ name }) => name)
const known = new Set([...ours, ...ofOthers])

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
const NAME_LENGTH_MIN = 6

/** What the environment says that nobody will hear: retired names, and names that are nearly ours. Never a reason not to start. */
export function environmentWarnings(environment: Environment): string[] {
  const warnings: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || known.has(name)) continue
    const replacement = retired[name]
    if (replacement !== undefined) {
      warnings.push(`${name} is retired and has no effect; see ${replacement}`)
      continue
    }
    if (name.length < NAME_LENGTH_MIN || !/^[A-Z0-9_]+$/.test(name)) continue
    const meant = ours.find(
      (our) => Math.abs(our.length - name.length) <= NEAR && distance(name, our) <= NEAR,
    )
    if (meant !== undefined) warnings.push(`${name} is unknown and has no effect; is ${meant} meant?`)
  }
  return warnings
}
