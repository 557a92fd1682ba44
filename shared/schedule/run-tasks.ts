import { Fault, messageOf, Refusal } from '../platform/index.ts'
import { runOnce, type Task, type TaskContext } from './task.ts'

/** Somebody schedules a task that this deployable does not have, or none. */
export class UnknownTask extends Refusal<'unknown_task'> {
  constructor(names: readonly string[], known: readonly string[]) {
    const what = names.length === 0 ? 'no task was named' : `unknown task ${names.join(', ')}`
    super('unknown_task', { message: `${what}; there are: ${known.join(', ')}` })
  }
}

/** Some tasks failed, after all were run. Their work is the next run's. */
export class TasksFailed extends Fault {
  constructor(failures: readonly { name: string; error: unknown }[]) {
    super('tasks_failed', {
      retryable: true,
      message: failures.map(({ name, error }) => `${name}: ${messageOf(error)}`).join('; '),
      cause: failures[0]?.error,
    })
  }
}

/** A scheduler calls again in a minute. */
const WITHIN_MS = 45_000

/**
 * Runs the named tasks once, one after the other, and each again while there is more to do and time left: what a scheduler calls.
 * All are run, whatever becomes of the others. Throws {@link UnknownTask} before anything runs, and {@link TasksFailed} at the end.
 */
export async function runTasks(
  ctx: TaskContext,
  tasks: readonly Task[],
  names: readonly string[],
  withinMs = WITHIN_MS,
): Promise<void> {
  const known = new Map(tasks.map((task) => [task.name, task]))
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length > 0 || names.length === 0) throw new UnknownTask(unknown, [...known.keys()])
  const until = performance.now() + withinMs
  const failures: { name: string; error: unknown }[] = []
  for (const name of names) {
    const task = known.get(name) as Task
    try {
      while ((await runOnce(ctx, task)) && performance.now() < until);
    } catch (error) {
      failures.push({ name, error })
      ctx.log.warn({ task: name, reason: messageOf(error) }, 'a scheduled task failed')
    }
  }
  if (failures.length > 0) throw new TasksFailed(failures)
}
