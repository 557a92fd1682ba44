import { Fault, type Logger, Refusal } from '../platform/index.ts'
import { type ReceiverClosed, ReceiverRefusal, type ReceiverRefusalCode } from '../receivers/index.ts'
import { storable } from './history.ts'

/** Why an attempt to send failed. Codes are stable; the connector adds its own. */
export type FailureCode =
  | 'quote_expired'
  | ReceiverClosed
  | ReceiverRefusalCode
  | 'receiver_unreachable'
  | 'destination_asset_conflict'
  | 'connector_unavailable'
  | 'internal_error'

/**
 * `fatal`: no later attempt can succeed. `retry`: one may, and attempts are counted. `wait`: a dependency of this node is away; that
 * is no fault of the payment's, so attempts are not counted and the quote's expiry is the bound.
 */
export type FailureClass = 'fatal' | 'retry' | 'wait'

export const failureClass = {
  quote_expired: 'fatal',
  receiver_completed: 'fatal',
  receiver_expired: 'fatal',
  receiver_unpayable: 'fatal',
  unknown_receiver: 'fatal',
  invalid_receiver_url: 'fatal',
  unknown_wallet_address: 'fatal',
  receiver_wrong_state: 'fatal',
  receiver_forbidden: 'retry',
  receiver_refused: 'retry',
  receiver_unreachable: 'retry',
  destination_asset_conflict: 'fatal',
  connector_unavailable: 'wait',
  internal_error: 'retry',
} as const satisfies Record<FailureCode, FailureClass>

export interface Failure {
  code: string
  message: string
  class: FailureClass
  /** The ledger said no: the next attempt's transfers need new ids. */
  transferRefused?: boolean
  /** The last ILP reject, where there was one, and who sent it. */
  ilpCode?: string
  triggeredBy?: string
}

export const failureOf = (code: FailureCode, message: string): Failure => ({
  code,
  message,
  class: failureClass[code],
})

/** What the other side reports says itself whether a later attempt may succeed. */
export const reportedFailure = (reported: {
  code: string
  message: string
  retryable: boolean
  transferRefused?: boolean
  ilpCode?: string
  triggeredBy?: string
}): Failure => ({
  code: storable(reported.code),
  message: storable(reported.message),
  class: reported.retryable ? 'retry' : 'fatal',
  ...(reported.transferRefused && { transferRefused: true }),
  ...(reported.ilpCode !== undefined && { ilpCode: reported.ilpCode }),
  ...(reported.triggeredBy !== undefined && { triggeredBy: reported.triggeredBy }),
})

/**
 * What a throw on the way means for the payment. Database and ledger faults go through: without them nothing can be recorded
 * either, and the queue tries again.
 */
export function failureOfError(error: unknown, log: Logger, outgoingPaymentId: string): Failure {
  if (error instanceof ReceiverRefusal) return failureOf(error.code, storable(error.message))
  if (error instanceof Fault) {
    if (error.code === 'receiver_unreachable' || error.code === 'connector_unavailable')
      return failureOf(error.code, storable(error.message))
    if (error.retryable) throw error
    return { code: error.code, message: storable(error.message), class: 'fatal' }
  }
  if (error instanceof Refusal) return { code: error.code, message: storable(error.message), class: 'retry' }
  log.error({ err: error, outgoingPaymentId }, 'sending a payment failed unexpectedly')
  return failureOf('internal_error', 'an internal error: see the log')
}

const STEP_MS = 10_000
const STEPS_MAX = 6
/** How long one call to the connector may run. */
export const SLICE_MS = 5_000
const WAIT_MS = { min: 1_000, spread: 1_000 }
/** A slice whose end we did not hear of has ended by then, or shows as a hold in the ledger. */
const SLICE_OVER_MS = SLICE_MS + 1_000

export type Retry = { at: Date; counted: boolean } | undefined

/**
 * When to try again after a failure; `undefined`: not at all. Counted attempts wait 10 s longer each time, up to a minute. A wait is
 * short; but a run that may find the quote expired, and so end the payment, comes only when no slice of ours can be running any
 * more. After the quote's expiry waits are counted too. `random` is in [0, 1).
 */
export function retryAfter(
  failure: Failure,
  input: { stateAttempts: number; attemptsMax: number; quoteExpiresAt: Date; now: Date; random: number },
): Retry {
  const nowMs = input.now.getTime()
  const isExpired = input.quoteExpiresAt.getTime() <= nowMs
  switch (failure.class) {
    case 'fatal':
      return undefined
    case 'retry': {
      const failed = input.stateAttempts + 1
      if (failed >= input.attemptsMax || isExpired) return undefined
      return { at: new Date(nowMs + Math.min(failed, STEPS_MAX) * STEP_MS), counted: true }
    }
    case 'wait': {
      const shortMs = WAIT_MS.min + Math.floor(input.random * WAIT_MS.spread)
      const isLast = input.quoteExpiresAt.getTime() <= nowMs + shortMs
      return { at: new Date(nowMs + (isLast ? SLICE_OVER_MS : shortMs)), counted: isExpired }
    }
  }
}
