import type { Context } from 'aws-lambda'
import { isObject } from '../platform/index.ts'
import { runTasks, type Task, type TaskContext } from '../schedule/index.ts'
import { EventRefused } from './errors.ts'
import { createHandler, type Sandbox } from './invocation.ts'

export type TaskHandler = (event: unknown, context: Context) => Promise<{ ran: readonly string[] }>

/** A deployable's tasks, open. */
export interface TaskSandbox extends Sandbox {
  ctx: TaskContext
  tasks: readonly Task[]
}

/** Of a function's time, for recording what was found. */
const MARGIN_MS = 10_000

/** Throws {@link EventRefused}. */
function tasksOf(event: unknown): string[] {
  const tasks = isObject(event) ? event.tasks : undefined
  if (!Array.isArray(tasks) || tasks.length === 0 || tasks.some((name) => typeof name !== 'string'))
    throw new EventRefused('the event names no tasks: {"tasks": ["…"]}')
  return tasks as string[]
}

/**
 * Work by the clock as a function of Lambda. Whoever schedules it names the tasks in the event, `{"tasks": ["outgoing-sweep", …]}`
 * (`infra/schedule.json`). An invocation fails when one of them does, so that it is counted; the next one makes it good.
 */
export const createTaskHandler = (
  open: () => Promise<TaskSandbox>,
  options: { opensLater?: boolean } = {},
): TaskHandler =>
  createHandler(
    open,
    async ({ ctx, tasks }, event: unknown, context) => {
      const names = tasksOf(event)
      await runTasks(ctx, tasks, names, Math.max(context.getRemainingTimeInMillis() - MARGIN_MS, 0))
      return { ran: names }
    },
    options,
  )
