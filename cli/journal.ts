/** A webhook event as a wallet received it, for the first time. */
export interface WalletEvent {
  id: string
  type: string
  data: Record<string, unknown>
}

export interface Journal {
  record(event: WalletEvent): void
  /** The event of that type about that resource, as soon as it has come. Rejects after `timeoutMs`. */
  wait(type: string, resourceId: string, timeoutMs: number): Promise<WalletEvent>
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
      for (const resolve of waiting.get(key) ?? []) resolve(event)
      waiting.delete(key)
    },
    wait(type, resourceId, timeoutMs) {
      const key = keyOf(type, resourceId)
      const known = events.get(key)
      if (known) return Promise.resolve(known)
      return new Promise((resolve, reject) => {
        const waiters = waiting.get(key) ?? new Set()
        waiting.set(key, waiters)
        const timer = setTimeout(() => {
          waiters.delete(settle)
          reject(new Error(`bank ${bankName}: no webhook ${type} within ${timeoutMs} ms`))
        }, timeoutMs)
        const settle = (event: WalletEvent) => {
          clearTimeout(timer)
          resolve(event)
        }
        waiters.add(settle)
      })
    },
  }
}
