import { setTimeout as sleep } from 'node:timers/promises'

const EVERY_MS = 5

/**
 * What `check` gives as soon as it is neither `undefined` nor `false`. Throws when that takes longer than `timeoutMs`; an
 * assertion that still fails inside `check` at the end is the error, so that it says what was missing. The time is generous: it
 * costs a test that fails, and a busy machine must not decide.
 */
export async function waitFor<T>(
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    let failure: Error | undefined
    try {
      const found = await check()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    if (Date.now() >= deadline) throw failure ?? new Error(`waited ${timeoutMs} ms in vain`)
    await sleep(EVERY_MS)
  }
}
