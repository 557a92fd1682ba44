import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { Fault, type Logger, Refusal } from '../platform/index.ts'

/** The contract's `extensions.code`s (admin-api.md §1). */
export type GraphqlCode =
  | 'BAD_USER_INPUT'
  | 'CONFLICT'
  | 'DUPLICATE'
  | 'FORBIDDEN'
  | 'INACTIVE'
  | 'INTERNAL_SERVER_ERROR'
  | 'NOT_FOUND'
  | 'TIMEOUT'

/** An error as clients see it. */
export type RenderError = (error: GraphQLError | Error) => GraphQLFormattedError & Error

/**
 * Renders a refusal with the contract's code, and our stable one as `reason`. Anything that is not a refusal is logged and told
 * as an internal error without words of its own, which might hold SQL or secrets.
 */
export function createErrorRenderer(options: {
  log: Logger
  /** By refusal code; each service has its own exhaustive table. */
  codes: Readonly<Record<string, GraphqlCode>>
  /** More `extensions` of a refusal. */
  extensionsOf?: (refusal: Refusal) => Record<string, unknown>
}): RenderError {
  const { log, codes } = options
  return (error) => {
    const located = error instanceof GraphQLError ? error : undefined
    const original = located ? located.originalError : error
    const place = {
      ...(located?.locations && { locations: located.locations }),
      ...(located?.path && { path: located.path }),
    }
    const formatted = (message: string, extensions: Record<string, unknown>) =>
      ({ message, ...place, extensions }) as unknown as GraphQLFormattedError & Error
    if (original instanceof Refusal && Object.hasOwn(codes, original.code))
      return formatted(original.message, {
        code: codes[original.code],
        reason: original.code,
        ...options.extensionsOf?.(original),
      })
    if (original instanceof Fault) {
      log.warn({ err: original }, 'request met a fault')
      return formatted('a service that this needs is unavailable', {
        code: 'INTERNAL_SERVER_ERROR',
        reason: original.code,
        retryable: original.retryable,
      })
    }
    // A GraphQL error of the request itself: syntax, validation, coercion.
    if (located && (original === undefined || original instanceof GraphQLError))
      return formatted(located.message, { code: 'BAD_USER_INPUT', ...located.extensions })
    log.error({ err: original ?? error }, 'request failed')
    return formatted('internal server error', { code: 'INTERNAL_SERVER_ERROR' })
  }
}
