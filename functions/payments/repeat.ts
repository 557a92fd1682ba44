import { isWorthALine, type Logger, messageOf } from '../../shared/platform/index.ts'

export interface Repeated {
  /** Starts no further run, and resolves when the one under way has ended. */
  close(): Promise<void>
}

export interface RepeatOptions {
  /** For logs. */
  name: string
  everyMs: number
  /** Resolves with `true` when there is more to do: the next run follows at once. */
  run: () => Promise<boolean>
}

/** Of processes that start together not all sweep together. */
const JITTER = 0.2
/** The first run comes soon, because what is to be swept most likely was left by the end of the last process. */
const FIRST_MS_MAX = 1_000

/** Runs something again and again, one run at a time, each followed by a pause. A run that throws is logged and waits for the next. */
export function repeat(ctx: { log: Logger }, options: RepeatOptions): Repeated {
  let closing = false
  let wake: (() => void) | undefined
  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const loop = async (): Promise<void> => {
    await pause(Math.random() * Math.min(FIRST_MS_MAX, options.everyMs))
    let failures = 0
    while (!closing) {
      let isMore = false
      try {
        isMore = await options.run()
        failures = 0
      } catch (error) {
        failures++
        if (isWorthALine(failures))
          ctx.log.warn({ sweep: options.name, failures, reason: messageOf(error) }, 'a sweep failed')
      }
      if (!isMore && !closing) await pause(options.everyMs * (1 - JITTER / 2 + Math.random() * JITTER))
    }
  }
  const ended = loop()
  return {
    close() {
      closing = true
      wake?.()
      return ended
    },
  }
}
