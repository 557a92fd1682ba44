import { type Logger, messageOf } from '../../shared/platform/index.ts'

export interface Periodic {
  /** Something happened: the next run need not wait for its time. */
  wake(): void
  /** Starts no further run, and resolves when the one under way has ended. */
  close(): Promise<void>
}

export interface PeriodicOptions {
  /** For logs. */
  name: string
  /** Between runs, while nothing happens. */
  everyMs: number
  /** Between runs at least, whatever happens. */
  restMs: number
  run: () => Promise<unknown>
}

/** Runs something at once, and then again and again, one run at a time. A run that throws is logged, and the next one comes in its time. */
export function periodic(ctx: { log: Logger }, options: PeriodicOptions): Periodic {
  let closing = false
  let isWoken = false
  /** Ends the pause under way; `wake` ends only one that is not the rest. */
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
    while (!closing) {
      isWoken = false
      await options.run().catch((error: unknown) => {
        ctx.log.warn({ run: options.name, reason: messageOf(error) }, 'a periodic run failed')
      })
      if (!closing) await pause(options.restMs, true)
      if (!closing && !isWoken) await pause(options.everyMs - options.restMs, false)
    }
  }
  const ended = loop()
  return {
    wake() {
      isWoken = true
      if (canWake) end?.()
    },
    close() {
      closing = true
      end?.()
      return ended
    },
  }
}
