import { AuthRefusal } from '../errors.ts'
import { isPlainUrl } from '../plain-url.ts'
import type { Finish } from './model.ts'

const NONCE_LENGTH_MAX = 1024
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)

/** Where a person's browser may be sent: over https, over http only within their own machine. */
function isFinishUri(text: string): boolean {
  if (!isPlainUrl(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

/**
 * How the client wants to hear of the end; nothing means that it polls. The nonce goes into a hash between line feeds, so it
 * has none. Throws {@link AuthRefusal}.
 */
export function parseFinish(finish: Finish | undefined): Finish | undefined {
  if (finish === undefined) return undefined
  const { uri, nonce } = finish
  if (!isFinishUri(uri)) throw new AuthRefusal('finish_uri_invalid')
  if (nonce.length > NONCE_LENGTH_MAX || !VISIBLE_ASCII.test(nonce))
    throw new AuthRefusal('finish_nonce_invalid')
  return { uri, nonce }
}
