import type { Logger } from '../platform/index.ts'
import { outcomeOf, silentTelemetry, type Telemetry } from '../telemetry/index.ts'

export interface Task {
  /** Unique within its deployable; what schedulers call it by (`infra/schedule.json`). */
  name: string
  /** Between two runs of one process. */
  everyMs: number
  /** Between two runs at least, when somebody wakes the task. Default: `everyMs`, so that waking does nothing. */
  restMs?: number
  /** Resolves with `true` when there is more to do: the next run follows at once. */
  run: () => Promise<boolean>
}

export interface TaskContext {
  log: Logger
  telemetry?: Telemetry
}

/** Runs a task once and counts how that went. Throws what the task throws. */
export async function runOnce({ telemetry = silentTelemetry }: TaskContext, task: Task): Promise<boolean> {
  const runs = telemetry.instruments.counter('upesi_task_runs')
  try {
    const isMore = await task.run()
    runs.add(1, { task: task.name, outcome: 'ok' })
    return isMore
  } catch (error) {
    runs.add(1, { task: task.name, outcome: outcomeOf(error) })
    throw error
  }
}
