import type { ExecutionResult, OperationDefinitionNode } from 'graphql'
import { type HistogramName, type Telemetry, timed } from '../telemetry/index.ts'

/** Runs an operation that is about to be executed. */
export type ObserveOperation = (
  operation: OperationDefinitionNode,
  run: () => Promise<ExecutionResult>,
) => Promise<ExecutionResult>

/**
 * Named by the fields of the schema: a client's own names for its operations are without number. One with several fields has no name
 * but its kind.
 */
export function operationName({ operation, selectionSet }: OperationDefinitionNode): string {
  const fields = new Set(
    selectionSet.selections.map((selection) => (selection.kind === 'Field' ? selection.name.value : '…')),
  )
  const [field] = fields
  return fields.size === 1 && field !== undefined ? `${operation} ${field}` : `${operation} of several fields`
}

const outcomeOf = ({ errors }: ExecutionResult): string => {
  const [first] = errors ?? []
  return first === undefined ? 'ok' : String(first.extensions.code ?? 'error')
}

/** Times operations and puts them into spans. `timers`: what else times one, by its name. */
export function observeGraphql(
  { instruments, tracing }: Telemetry,
  timers: Readonly<Record<string, HistogramName>> = {},
): ObserveOperation {
  const times = instruments.histogram('upesi_graphql_ms')
  return (operation, run) => {
    const name = operationName(operation)
    const timer = timers[name]
    const measured = timer === undefined ? run : () => timed(instruments.histogram(timer), run)
    return tracing.span(name, { attributes: { 'graphql.operation.type': operation.operation } }, async () => {
      const startedAt = performance.now()
      let outcome = 'error'
      try {
        const result = await measured()
        outcome = outcomeOf(result)
        return result
      } finally {
        times.record(performance.now() - startedAt, { operation: name, outcome })
      }
    })
  }
}
