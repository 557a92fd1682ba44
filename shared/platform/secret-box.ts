import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { Fault } from './errors.ts'

/** Encrypts secrets for storage that must be read back (tenants' API secrets, peer tokens, the node's private key). */
export interface SecretBox {
  /** `v1.` and base64url of iv, tag and ciphertext (AES-256-GCM). `context` binds it to its place: moved elsewhere, it does not open. */
  seal(plaintext: string, context: string): string
  open(sealed: string, context: string): string
  /** 32 bytes to find a sealed text by; who has the table but not the key cannot try guesses against it. */
  fingerprint(plaintext: string, context: string): Buffer
}

const PREFIX = 'v1.'

/** `secret` is stretched by HKDF-SHA256, so it may be any text of sufficient entropy. */
export function createSecretBox(secret: string): SecretBox {
  const keyFor = (use: string) => Buffer.from(hkdfSync('sha256', secret, 'upesi', use, 32))
  const key = keyFor('secret-box')
  const fingerprintKey = keyFor('secret-box-fingerprint')
  return {
    seal(plaintext, context) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
      return PREFIX + Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed, context) {
      try {
        if (!sealed.startsWith(PREFIX)) throw new Error('unknown format')
        const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64url')
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(
          Buffer.from(context),
        )
        decipher.setAuthTag(bytes.subarray(12, 28))
        return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
      } catch (error) {
        throw new Fault('secret_unreadable', {
          retryable: false,
          message: 'a stored secret cannot be decrypted: was the key changed?',
          cause: error,
        })
      }
    },
    fingerprint: (plaintext, context) =>
      createHmac('sha256', fingerprintKey).update(`${context.length}:${context}:${plaintext}`).digest(),
  }
}
