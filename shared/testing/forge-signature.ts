import { type KeyObject, sign } from 'node:crypto'

export interface Forgery {
  method: string
  /** The target URI that is signed. */
  url: string
  privateKey: KeyObject
  keyId: string
  /** Sent as they are; names in lower case. */
  headers?: Record<string, string>
  /** Default: method and target URI. Headers are covered when they are named here. */
  covered?: readonly string[]
  /** Seconds since the epoch; default now. */
  created?: number
  /** Appended to the parameters, such as `;nonce="1"`. */
  parameters?: string
  label?: string
  /** Instead of signing. */
  signature?: (base: string) => Buffer
}

/** Signs whatever is claimed, as no honest client would: what is covered, when, and how it is called are the caller's. */
export function forgeSignature(forgery: Forgery): Record<string, string> {
  const { headers = {}, label = 'sig1', created = Math.floor(Date.now() / 1000) } = forgery
  const covered = forgery.covered ?? ['@method', '@target-uri']
  const names = covered.map((name) => `"${name}"`).join(' ')
  const params = `(${names});keyid="${forgery.keyId}";created=${created}${forgery.parameters ?? ''}`
  const derived: Record<string, string> = { '@method': forgery.method, '@target-uri': forgery.url }
  const lines = covered.map((name) => `"${name}": ${derived[name] ?? headers[name]}`)
  const base = [...lines, `"@signature-params": ${params}`].join('\n')
  const signature = forgery.signature?.(base) ?? sign(null, Buffer.from(base), forgery.privateKey)
  return {
    ...headers,
    'signature-input': `${label}=${params}`,
    signature: `${label}=:${signature.toString('base64')}:`,
  }
}
