import {
  ConfigError,
  type Environment,
  type Host,
  messageOf,
  withEnvironmentFile,
} from '../platform/index.ts'
import { runTasks, UnknownTask } from './run-tasks.ts'
import type { Task, TaskContext } from './task.ts'

/** A deployable's tasks with everything that they stand on. */
export interface OpenTasks {
  ctx: TaskContext
  tasks: readonly Task[]
  close(): Promise<void>
}

export type OpenTasksOf = (env: Environment, host: Host) => Promise<OpenTasks>

/**
 * The main of a `task.ts`: runs the named tasks once and ends, with exit code 0, or 1 when one failed or cannot be. For a CronJob, or
 * by hand. The entry passes `process.env` and the names.
 */
export async function runTaskCommand(
  open: OpenTasksOf,
  env: Environment,
  names: readonly string[],
): Promise<void> {
  try {
    const { ctx, tasks, close } = await open(withEnvironmentFile(env), 'server')
    try {
      await runTasks(ctx, tasks, names)
      console.log(JSON.stringify({ ran: names }))
    } finally {
      await close()
    }
  } catch (error) {
    console.error(
      error instanceof ConfigError || error instanceof UnknownTask ? error.message : messageOf(error),
    )
    process.exitCode = 1
  }
}
