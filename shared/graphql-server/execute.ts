import { type ExecutionArgs, type ExecutionResult, validateExecutionArgs } from 'graphql'
import { createSharedExecutionContext } from 'graphql/execution/createSharedExecutionContext.js'
import { ExecutorThrowingOnIncremental } from 'graphql/execution/ExecutorThrowingOnIncremental.js'

/**
 * As graphql's `execute`, which makes an AbortController for each operation and aborts it at the end for resolvers that go on: each abort
 * makes an error with its stack, a tenth of what a signed request takes. No resolver here asks for that signal, so there is none.
 */
export function executeOperation(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
  const validated = validateExecutionArgs(args)
  if (!('schema' in validated)) return { errors: validated }
  const executor = new ExecutorThrowingOnIncremental(validated, createSharedExecutionContext(undefined))
  return executor.executeRootSelectionSet()
}
