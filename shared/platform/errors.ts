/**
 * The three kinds of error, never mixed. A {@link Refusal} says that the world said no; a {@link Fault} that a dependency
 * failed; a failed {@link assert} that we have a bug.
 */

export interface ErrorInput {
  /** Shown to callers. No secrets, no SQL. */
  message?: string
  /** For logs only. */
  details?: Record<string, unknown>
  cause?: unknown
}

/** Expected: the caller asked for something that cannot be done. Throwing one rolls the transaction back. */
export abstract class Refusal<Code extends string = string> extends Error {
  readonly code: Code
  readonly details: Record<string, unknown>

  constructor(code: Code, input: ErrorInput = {}) {
    super(input.message ?? code, input.cause === undefined ? undefined : { cause: input.cause })
    this.name = new.target.name
    this.code = code
    this.details = input.details ?? {}
  }
}

/** A dependency failed. `retryable` tells workers whether the same call may succeed later. */
export class Fault extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly details: Record<string, unknown>

  constructor(code: string, input: ErrorInput & { retryable: boolean }) {
    super(input.message ?? code, input.cause === undefined ? undefined : { cause: input.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = input.retryable
    this.details = input.details ?? {}
  }
}

export class AssertionFailed extends Error {
  readonly details: unknown
  constructor(message: string, details: unknown) {
    super(message)
    this.name = 'AssertionFailed'
    this.details = details
  }
}

/** States what must be true here. A failure is our bug and is never caught for control flow. */
export function assert(condition: unknown, message: string, details?: unknown): asserts condition {
  if (!condition) throw new AssertionFailed(message, details)
}

/** Fails to compile while a union member is unhandled. */
export function unreachable(value: never): never {
  throw new AssertionFailed('unreachable case', value)
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
