import { type KeyObject, sign } from 'node:crypto'
import { assert, systemClock } from '../platform/index.ts'
import { contentDigestOf } from './content-digest.ts'

export interface SignedHeaders extends Record<string, string> {
  Signature: string
  'Signature-Input': string
}

/**
 * Headers that sign a request as the official client does: method, URL, authorization when present, and the body's digest,
 * length and type when there is a body. The answer holds the given headers too. `url` must be what will be fetched
 * (`HttpClient.effectiveUrl`).
 */
export function signRequest(input: {
  method: string
  url: string
  headers?: Record<string, string>
  body?: string
  privateKey: KeyObject
  keyId: string
  /** Seconds since the epoch; default now. */
  created?: number
}): SignedHeaders {
  assert(/^[\x20-\x7e]+$/.test(input.keyId), 'a key id is printable ASCII')
  const hasBody = input.body !== undefined && input.body !== ''
  const headers: Record<string, string> = {
    ...input.headers,
    ...(hasBody && {
      'Content-Digest': contentDigestOf(input.body ?? ''),
      'Content-Length': String(Buffer.byteLength(input.body ?? '')),
      'Content-Type': 'application/json',
    }),
  }
  const values = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const covered = [
    ...(values.has('authorization') ? ['authorization'] : []),
    ...(hasBody ? ['content-digest', 'content-length', 'content-type'] : []),
  ]
  const names = ['@method', '@target-uri', ...covered].map((name) => `"${name}"`).join(' ')
  const keyId = input.keyId.replace(/[\\"]/g, '\\$&')
  const created = input.created ?? Math.floor(systemClock.nowMs() / 1000)
  const params = `(${names});keyid="${keyId}";created=${created}`
  const base = [
    `"@method": ${input.method}`,
    `"@target-uri": ${input.url}`,
    ...covered.map((name) => `"${name}": ${values.get(name)}`),
    `"@signature-params": ${params}`,
  ].join('\n')
  const signature = sign(null, Buffer.from(base, 'utf8'), input.privateKey).toString('base64')
  return { ...headers, 'Signature-Input': `sig1=${params}`, Signature: `sig1=:${signature}:` }
}
