import { hash, timingSafeEqual } from 'node:crypto'
import { SignatureRefusal } from './errors.ts'
import { parseBytes, splitDictionary } from './structured-fields.ts'

const HASHES: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-512': 'sha512' }

/** The Content-Digest header for `body`, as the official client sends it. */
export const contentDigestOf = (body: string | Buffer): string =>
  `sha-512=:${hash('sha512', body, 'base64')}:`

/** What the official client hashes when the body it sends is not compact. */
function compactJson(body: Buffer): string | undefined {
  try {
    return JSON.stringify(JSON.parse(body.toString('utf8')))
  } catch {
    return undefined
  }
}

function matches(digests: readonly (readonly [string, Buffer])[], body: string | Buffer): boolean {
  return digests.every(([algorithm, expected]) => {
    const actual = hash(HASHES[algorithm] ?? '', body, 'buffer')
    return actual.length === expected.length && timingSafeEqual(actual, expected)
  })
}

/**
 * Every digest of an algorithm that we know must be right, for the bytes or for their compact form (RFC 9530; decisions:
 * Signatures). Others are ignored, as long as one is left.
 */
export function checkContentDigest(header: string, body: Buffer): void {
  const digests: [string, Buffer][] = []
  for (const [algorithm, text] of splitDictionary(header, 'Content-Digest')) {
    if (!Object.hasOwn(HASHES, algorithm)) continue
    const bytes = parseBytes(text)
    if (!bytes)
      throw new SignatureRefusal('content_digest_malformed', { message: 'a digest must be a byte sequence' })
    digests.push([algorithm, bytes])
  }
  if (digests.length === 0)
    throw new SignatureRefusal('content_digest_malformed', { message: 'no digest of a supported algorithm' })
  if (matches(digests, body)) return
  const compact = compactJson(body)
  if (compact === undefined || !matches(digests, compact))
    throw new SignatureRefusal('content_digest_mismatch', { message: 'the body does not match its digest' })
}
