import type { Clock } from '../platform/index.ts'

/** Remembers nonces of proven signatures for as long as those could be sent again. */
export interface NonceStore {
  /** True the first time. `key` names client key and nonce together; after `expiresAt` it may be forgotten. */
  claim(key: string, expiresAt: Date): Promise<boolean>
}

/** For one process. Entries leave in order of their expiry, which is nearly that of arrival. */
export function createMemoryNonces(options: { clock: Clock }): NonceStore {
  const used = new Map<string, number>()
  return {
    async claim(key, expiresAt) {
      for (const [old, expiresAtMs] of used) {
        if (expiresAtMs > options.clock.nowMs()) break
        used.delete(old)
      }
      if ((used.get(key) ?? 0) > options.clock.nowMs()) return false
      used.set(key, expiresAt.getTime())
      return true
    },
  }
}
