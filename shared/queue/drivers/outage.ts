import { isWorthALine, type Logger, messageOf } from '../../platform/index.ts'

/** Doubling from the first to the last, so that a lost broker costs little and its return is soon seen. */
const OUTAGE_MS = { first: 50, max: 2_000 }

/** Repeats `step` until `isClosing`. One that throws is followed by a pause. */
export async function repeatThroughOutages(
  log: Logger,
  what: string,
  isClosing: () => boolean,
  step: () => Promise<void>,
): Promise<void> {
  let failures = 0
  while (!isClosing()) {
    try {
      await step()
      failures = 0
    } catch (error) {
      if (isClosing()) return
      failures++
      if (isWorthALine(failures)) log.warn({ failures, reason: messageOf(error) }, `cannot ${what}`)
      const full = Math.min(OUTAGE_MS.first * 2 ** failures, OUTAGE_MS.max)
      const until = performance.now() + full * (0.5 + Math.random() / 2)
      for (let left = 1; left > 0 && !isClosing(); left = until - performance.now())
        await new Promise((resolve) =>
          setTimeout(resolve, Math.min(Math.max(until - performance.now(), 1), 50)),
        )
    }
  }
}
