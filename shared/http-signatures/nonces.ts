/** Remembers nonces of proven signatures for as long as those could be sent again. */
export interface NonceStore {
  /** True the first time. `key` names client key and nonce together; after `expiresAt` it may be forgotten. */
  claim(key: string, expiresAt: Date): Promise<boolean>
}
