/** How long a store repeats a call, under the same ids, while its outcome is unknown. A call may wait as long for its turn before. */
export const OUTCOME_TIMEOUT_MS = 10_000

/**
 * The patience of a caller with a ledger that lives elsewhere. It outlasts that ledger's own: what is still tried there is never
 * called unknown here, and what that ledger gave up is asked for once more.
 */
export const remotePatience = (outcomeTimeoutMs: number) => ({
  /** For one answer: its turn, its outcome, and the way. */
  answerMs: 2.2 * outcomeTimeoutMs,
  /** No later than this after the first call another one begins. */
  repeatMsMax: 1.1 * outcomeTimeoutMs,
})
