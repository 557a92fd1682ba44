/** A webhook event as a wallet received it, for the first time. */
export interface WalletEvent {
  id: string
  type: string
  data: Record<string, unknown>
}

export interface Journal {
  record(event: WalletEvent): void
  /** The first event of one of the types about that resource, as soon as it has come. Rejects after `timeoutMs`. */
  wait(types: string | readonly string[], resourceId: string, timeoutMs: number): Promise<WalletEvent>
}

/** Remembers what one wallet was told, so that a step can wait for it by event rather than by polling. */
export function createJournal(bankName: string): Journal {
  const events = new Map<string, WalletEvent>()
  const waiting = new Map<string, Set<(event: WalletEvent) => void>>()
  const keyOf = (type: string, resourceId: unknown) => `${type} ${String(resourceId)}`
  return {
    record(event) {
      const key = keyOf(event.type, event.data.id)
      events.set(key, event)
      for (const settle of waiting.get(key) ?? []) settle(event)
    },
    wait(types, resourceId, timeoutMs) {
      const keys = [types].flat().map((type) => keyOf(type, resourceId))
      const known = keys.map((key) => events.get(key)).find((event) => event !== undefined)
      if (known) return Promise.resolve(known)
      return new Promise((resolve, reject) => {
        const forget = () => {
          clearTimeout(timer)
          for (const key of keys) {
            const waiters = waiting.get(key)
            waiters?.delete(settle)
            if (waiters?.size === 0) waiting.delete(key)
          }
        }
        const settle = (event: WalletEvent) => {
          forget()
          resolve(event)
        }
        const timer = setTimeout(() => {
          forget()
          reject(
            new Error(`bank ${bankName}: no webhook ${[types].flat().join(' or ')} within ${timeoutMs} ms`),
          )
        }, timeoutMs)
        // Whoever gave up waiting should not have to wait for the end.
        timer.unref()
        for (const key of keys) waiting.set(key, (waiting.get(key) ?? new Set()).add(settle))
      })
    },
  }
}
