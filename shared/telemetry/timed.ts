import type { Histogram } from '@opentelemetry/api'
import { Fault, Refusal } from '../platform/index.ts'

/** A stable code for a label or an attribute. Codes are ours; what is thrown besides has none. */
export const outcomeOf = (error: unknown): string =>
  error instanceof Refusal || error instanceof Fault ? error.code : 'error'

/** Runs `work` and records how long it took, whatever became of it. */
export async function timed<T>(
  histogram: Pick<Histogram, 'record'>,
  work: () => Promise<T>,
  labelsOf?: (error: unknown) => Record<string, string>,
): Promise<T> {
  const startedAt = performance.now()
  let thrown: unknown
  try {
    return await work()
  } catch (error) {
    thrown = error
    throw error
  } finally {
    histogram.record(performance.now() - startedAt, labelsOf?.(thrown))
  }
}
