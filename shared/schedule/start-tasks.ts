import { isWorthALine, messageOf } from '../platform/index.ts'
import { runOnce, type Task, type TaskContext } from './task.ts'

export interface RunningTasks {
  /** Something happened: the task's next run need not wait for its time. Names that are not there are ignored. */
  wake(name: string): void
  /** Starts no further run, and resolves when those under way have ended. */
  close(): Promise<void>
}

/** Of processes that start together not all sweep together. */
const JITTER = 0.2
/** The first run comes soon, because what is to be swept most likely was left by the end of the last process. */
const FIRST_MS_MAX = 1_000

/** Runs each task again and again by a timer of its own, one run at a time. A run that throws is logged and waits for the next. */
export function startTasks(ctx: TaskContext, tasks: readonly Task[]): RunningTasks {
  const running = new Map(tasks.map((task) => [task.name, startTask(ctx, task)]))
  return {
    wake: (name) => running.get(name)?.wake(),
    async close() {
      await Promise.all([...running.values()].map((task) => task.close()))
    },
  }
}

function startTask(ctx: TaskContext, task: Task): { wake(): void; close(): Promise<void> } {
  const { name, everyMs } = task
  const restMs = Math.min(task.restMs ?? everyMs, everyMs)
  let closing = false
  let isWoken = false
  /** Ends the pause under way; waking ends only one that is not the rest. */
  let end: (() => void) | undefined
  let canWake = false
  const pause = (milliseconds: number, isRest: boolean) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      canWake = !isRest
      end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const loop = async (): Promise<void> => {
    await pause(Math.random() * Math.min(FIRST_MS_MAX, everyMs), false)
    let failures = 0
    while (!closing) {
      isWoken = false
      let isMore = false
      try {
        isMore = await runOnce(ctx, task)
        failures = 0
      } catch (error) {
        failures++
        if (isWorthALine(failures))
          ctx.log.warn({ task: name, failures, reason: messageOf(error) }, 'a scheduled task failed')
      }
      if (isMore) continue
      if (!closing) await pause(restMs, true)
      const isEarly = isWoken && restMs < everyMs
      const jitter = everyMs * JITTER * (Math.random() - 0.5)
      if (!closing && !isEarly) await pause(Math.max(everyMs - restMs + jitter, 0), false)
    }
  }
  const ended = loop()
  return {
    wake() {
      isWoken = true
      if (canWake && restMs < everyMs) end?.()
    },
    close() {
      closing = true
      end?.()
      return ended
    },
  }
}
