import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { Fault } from './errors.ts'

/**
 * Encrypts secrets for storage that must be read back (tenants' API secrets, peer tokens, the node's private key). One key seals;
 * further ones, of before or of later, open what they sealed, so that keys change while the node runs.
 */
export interface SecretBox {
  /** `v2.<key id>.` and base64url of iv, tag and ciphertext (AES-256-GCM). `context` binds it to its place: moved elsewhere, it does not open. */
  seal(plaintext: string, context: string): string
  /** Throws a fault, `secret_unreadable`. */
  open(sealed: string, context: string): string
  /** Of the key that seals; says nothing about the key. */
  readonly keyId: string
  /** Of every key that opens. */
  readonly keyIds: readonly string[]
  /** How texts begin that the sealing key made. */
  readonly currentPrefix: string
  /** 32 bytes to find a sealed text by; who has the table but not the key cannot try guesses against it. */
  fingerprint(plaintext: string, context: string): Buffer
  /** By every key, that of {@link fingerprint} first: while keys change, rows carry the fingerprints of several. */
  fingerprints(plaintext: string, context: string): Buffer[]
}

/** Without an id: what releases sealed that knew one key only. */
const UNNAMED = 'v1.'
const NAMED = 'v2.'
const TAG_BYTES = 16
const SEALED = /^v2\.([0-9a-f]{16})\.([A-Za-z0-9_-]+)$/

interface Key {
  id: string
  seal: Buffer
  fingerprint: Buffer
}

function keyOf(secret: string): Key {
  const derived = (use: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, 'upesi', use, length))
  return {
    id: derived('secret-box-id', 8).toString('hex'),
    seal: derived('secret-box', 32),
    fingerprint: derived('secret-box-fingerprint', 32),
  }
}

function decrypt(key: Buffer, body: string, context: string): string {
  const bytes = Buffer.from(body, 'base64url')
  // Without its length a tag of four bytes would do, which can be guessed.
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), options)
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(12, 28))
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
}

/** What a text of {@link SecretBox.seal} consists of, each in base64; a text of an early release names no key. */
export interface SealedParts {
  cipherText: string
  tag: string
  iv: string
  keyId?: string
}

/** For those who look at what is stored. Says nothing about the plain text but its length. */
export function sealedParts(sealed: string): SealedParts {
  const [, keyId, body = sealed.slice(UNNAMED.length)] = SEALED.exec(sealed) ?? []
  const bytes = Buffer.from(body, 'base64url')
  const part = (from: number, to?: number) => bytes.subarray(from, to).toString('base64')
  return { cipherText: part(28), tag: part(12, 28), iv: part(0, 12), ...(keyId !== undefined && { keyId }) }
}

const unreadable = (message: string, cause?: unknown) =>
  new Fault('secret_unreadable', { retryable: false, message, ...(cause !== undefined && { cause }) })

/** Each secret is stretched by HKDF-SHA256, so it may be any text of sufficient entropy. `further` ones only open. */
export function createSecretBox(secret: string, further: readonly string[] = []): SecretBox {
  const current = keyOf(secret)
  const keys = new Map([current, ...further.map(keyOf)].map((key) => [key.id, key]))
  const fingerprintBy = (key: Key, plaintext: string, context: string) =>
    createHmac('sha256', key.fingerprint).update(`${context.length}:${context}:${plaintext}`).digest()
  const currentPrefix = `${NAMED}${current.id}.`

  const openUnnamed = (body: string, context: string): string => {
    let failure: unknown
    for (const key of keys.values())
      try {
        return decrypt(key.seal, body, context)
      } catch (error) {
        failure = error
      }
    throw unreadable('a stored secret cannot be decrypted: was the key changed?', failure)
  }
  return {
    keyId: current.id,
    keyIds: [...keys.keys()],
    currentPrefix,
    seal(plaintext, context) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', current.seal, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
      return currentPrefix + Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed, context) {
      if (sealed.startsWith(UNNAMED)) return openUnnamed(sealed.slice(UNNAMED.length), context)
      const [, id = '', body = ''] = SEALED.exec(sealed) ?? []
      const key = keys.get(id)
      if (key === undefined)
        throw unreadable(
          id === ''
            ? 'a stored secret is not a sealed text'
            : `a stored secret was sealed with the key ${id}, which is not given here`,
        )
      try {
        return decrypt(key.seal, body, context)
      } catch (error) {
        throw unreadable(
          'a stored secret cannot be decrypted: it was changed, or moved to another place',
          error,
        )
      }
    },
    fingerprint: (plaintext, context) => fingerprintBy(current, plaintext, context),
    fingerprints: (plaintext, context) =>
      [...keys.values()].map((key) => fingerprintBy(key, plaintext, context)),
  }
}

/** What the environment says about keys of secrets at rest. */
export interface SecretBoxConfig {
  dbEncryptionSecret: Buffer | undefined
  dbEncryptionPreviousSecrets: readonly Buffer[]
  adminApiSecret: string
  adminApiPreviousSecret: string | undefined
}

/**
 * Sealed with DB_ENCRYPTION_SECRET, or where there is none with ADMIN_API_SECRET. Opened by these and by what they were before, so
 * that either may change, and the one may take the other's place.
 */
export function createConfiguredSecretBox(config: SecretBoxConfig): SecretBox {
  const given = config.dbEncryptionSecret === undefined ? [] : [config.dbEncryptionSecret]
  const own = given.map((key) => key.toString('base64'))
  const previous = config.dbEncryptionPreviousSecrets.map((key) => key.toString('base64'))
  const admin = [
    config.adminApiSecret,
    ...(config.adminApiPreviousSecret ? [config.adminApiPreviousSecret] : []),
  ]
  const [sealing = config.adminApiSecret, ...further] = [
    ...own,
    ...(own.length > 0 ? previous : []),
    ...admin,
  ]
  return createSecretBox(sealing, own.length > 0 ? further : [...further, ...previous])
}
