import { messageOf } from './errors.ts'
import type { Listener, NoticeHandler } from './listener.ts'
import type { Logger } from './log.ts'

/** A {@link Listener} where no notification arrives. */
export interface DeafListener extends Listener {
  /** Tells everybody that everything may have been missed, unless that was said a moment ago; resolves when all have caught up. */
  catchUp(): Promise<void>
}

/** What changed elsewhere is seen within so long. */
const SILENCE_MS_MAX = 1_000

/**
 * Where sessions are shared between clients a LISTEN is somebody else's, and a sandbox that stands still hears nothing. So nobody
 * listens: handlers are told again and again that they may have missed everything, by a timer where time passes (`isTimed`), and
 * at the beginning of an invocation otherwise.
 */
export function createDeafListener(options: {
  log: Logger
  isTimed: boolean
  now?: () => number
}): DeafListener {
  // The wall's clock: a monotonic one may stand still with a sandbox, and would say that no time has passed.
  const { log, now = () => Date.now() } = options
  const handlers: NoticeHandler[] = []
  let saidAtMs = now()
  let saying: Promise<void> | undefined

  const say = async (): Promise<void> => {
    saidAtMs = now()
    for (const result of await Promise.allSettled(handlers.map(async (handler) => await handler(undefined))))
      if (result.status === 'rejected') log.warn({ reason: messageOf(result.reason) }, 'cannot catch up')
  }
  const sayOnce = (): Promise<void> => {
    saying ??= say().finally(() => {
      saying = undefined
    })
    return saying
  }
  const catchUp = async (): Promise<void> => {
    const silentMs = now() - saidAtMs
    // One that was set back does not say how long it was.
    const isRecent = silentMs >= 0 && silentMs < SILENCE_MS_MAX
    if (saying !== undefined || !isRecent) await sayOnce()
  }
  const timer = options.isTimed ? setInterval(() => void sayOnce(), SILENCE_MS_MAX) : undefined
  timer?.unref()
  return {
    listen(_channel, handler) {
      handlers.push(handler)
    },
    catchUp,
    async close() {
      clearInterval(timer)
      await saying
    },
  }
}
