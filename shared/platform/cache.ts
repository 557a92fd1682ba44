import type { Clock } from './clock.ts'

/** Remembers a few things for a short while, in this process (LOCAL_CACHE_DURATION_MS). */
export interface Cache {
  /** The value under `key` if it is young enough, else what `load` gives. Callers at the same time share one load. `undefined` and failures are not kept. */
  get<T>(key: string, load: () => Promise<T>): Promise<T>
  /** What {@link get} would give without a load, at once; undefined when it would have to wait. */
  atHand<T>(key: string): T | undefined
  /** Forgets one entry, because it changed here. Other processes see the change when their entry ends. */
  delete(key: string): void
  /** Forgets all whose keys begin so. */
  deleteAll(prefix: string): void
}

interface Entry {
  value: Promise<unknown>
  /** Once it has come. */
  loaded?: unknown
  expiresAtMs: number
}

/** A cache whose entries live `lifeMs` (0: only callers at the same time share) and which never holds more than `entriesMax`. */
export function createCache(options: { clock: Clock; lifeMs: number; entriesMax?: number }): Cache {
  const entriesMax = options.entriesMax ?? 10_000
  // A Map keeps the order of insertion, so the first entry is always the oldest.
  const entries = new Map<string, Entry>()

  return {
    get<T>(key: string, load: () => Promise<T>): Promise<T> {
      const known = entries.get(key)
      if (known && known.expiresAtMs > options.clock.nowMs()) return known.value as Promise<T>
      // Until the load ends the entry is current however long that takes; its life counts from the answer.
      const entry: Entry = { value: load(), expiresAtMs: Number.POSITIVE_INFINITY }
      const value = entry.value as Promise<T>
      entries.delete(key)
      entries.set(key, entry)
      if (entries.size > entriesMax) {
        const oldest = entries.keys().next()
        if (!oldest.done) entries.delete(oldest.value)
      }
      const forget = () => {
        if (entries.get(key) === entry) entries.delete(key)
      }
      value.then((loaded) => {
        if (loaded === undefined || options.lifeMs === 0) return forget()
        entry.loaded = loaded
        entry.expiresAtMs = options.clock.nowMs() + options.lifeMs
      }, forget)
      return value
    },
    atHand<T>(key: string): T | undefined {
      const known = entries.get(key)
      return known && known.expiresAtMs > options.clock.nowMs() ? (known.loaded as T | undefined) : undefined
    },
    delete(key) {
      entries.delete(key)
    },
    deleteAll(prefix) {
      for (const key of entries.keys()) if (key.startsWith(prefix)) entries.delete(key)
    },
  }
}
