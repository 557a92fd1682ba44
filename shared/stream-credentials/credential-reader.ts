import { type ConnectionKeys, deriveConnectionKeys, hmac } from './connection-keys.ts'
import { deriveTokenKeys, openToken, type TokenContents } from './token.ts'

/** What an address of ours says, and the keys of its connection. */
export interface Credential extends TokenContents {
  connectionKeys: ConnectionKeys
}

export interface CredentialReader {
  /** The address under which the node receives, when `read` names no other. */
  readonly ilpAddress: string
  /**
   * The token in `destination`: the first segment after `ilpAddress` (default: the reader's own), or undefined when there is
   * none.
   */
  tokenOf(destination: string, ilpAddress?: string): string | undefined
  /** What a token of this node says. Undefined when it was not sealed under its STREAM secret. */
  open(token: string): Credential | undefined
  /** `open(tokenOf(destination))`: undefined unless the destination is one that this node gave out. */
  read(destination: string, ilpAddress?: string): Credential | undefined
}

const CREDENTIALS_MAX = 10_000

/**
 * Opens tokens and remembers the most recently used ones with their derived keys: the packets of one payment share a token,
 * and deriving keys costs more than a whole packet. Tokens that are not ours are never remembered.
 */
export function createCredentialReader(options: {
  streamSecret: Buffer
  ilpAddress: string
  credentialsMax?: number
}): CredentialReader {
  const keys = deriveTokenKeys(options.streamSecret)
  const credentialsMax = options.credentialsMax ?? CREDENTIALS_MAX
  // A Map keeps the order of insertion; what is used is inserted again, so the first entry is the least recently used.
  const known = new Map<string, Credential>()

  const tokenOf = (destination: string, ilpAddress = options.ilpAddress): string | undefined => {
    if (!destination.startsWith(`${ilpAddress}.`)) return undefined
    const start = ilpAddress.length + 1
    const end = destination.indexOf('.', start)
    const token = end === -1 ? destination.slice(start) : destination.slice(start, end)
    return token === '' ? undefined : token
  }

  const derive = (segment: string): Credential | undefined => {
    const token = Buffer.from(segment, 'base64url')
    // Decoding skips foreign characters; only the one spelling that we gave out is an address of ours.
    if (token.toString('base64url') !== segment) return undefined
    const contents = openToken(keys, token)
    if (!contents) return undefined
    return { ...contents, connectionKeys: deriveConnectionKeys(hmac(keys.sharedSecret, token)) }
  }

  const open = (token: string): Credential | undefined => {
    let credential = known.get(token)
    if (credential) known.delete(token)
    else credential = derive(token)
    if (!credential) return undefined
    known.set(token, credential)
    if (known.size > credentialsMax) {
      const oldest = known.keys().next()
      if (!oldest.done) known.delete(oldest.value)
    }
    return credential
  }

  return {
    ilpAddress: options.ilpAddress,
    tokenOf,
    open,
    read(destination, ilpAddress) {
      const token = tokenOf(destination, ilpAddress)
      return token === undefined ? undefined : open(token)
    },
  }
}
