/**
 * Waits for it, and no longer than that. By a timer of its own: to abort one that is waited for costs more than most of what is waited for here, with each packet.
 */
export async function withinMs(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
