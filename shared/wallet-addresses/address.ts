import { isBelowPrefix } from '../tenants/index.ts'
import { WalletAddressRefusal } from './errors.ts'

const invalid = (message: string) => new WalletAddressRefusal('invalid_wallet_address', { message })

/** Paths of the listener that serves wallet addresses, exact; and its collections, anywhere in a path (tenancy.md §4). */
const RESERVED_PATHS = new Set(['/healthz', '/livez', '/readyz', '/openapi.json', '/docs'])
const RESERVED_SEGMENTS = new Set([
  'incoming-payments',
  'outgoing-payments',
  'quotes',
  'outgoing-payment-grant',
])
/** Documents below a wallet address. */
const RESERVED_LAST_SEGMENTS = new Set(['jwks.json', 'did.json'])

const LENGTH_MAX = 2048
/** Characters that would end a path or turn it into another one, and the one that would be decoded a second time. */
const NOT_OF_A_PATH = /[?#\\%\p{Cc}]/u

/**
 * A path in the one form in which addresses are stored and looked up: decoded, in lower case, encoded as a URL has it, without
 * slashes at its end. Decoding comes before lower case, because `%C3%85` and `%C3%A5` are Å and å, and `%61` is a. `undefined`: no
 * address has this path.
 */
export function normalisePath(path: string): string | undefined {
  let text: string
  try {
    text = decodeURIComponent(path).toLowerCase()
  } catch {
    return undefined
  }
  // The length comes first: what trims slashes below takes its time with thousands of them.
  if (text.length > LENGTH_MAX || !text.startsWith('/') || NOT_OF_A_PATH.test(text)) return undefined
  text = text.replace(/\/+$/, '')
  if (text.split('/').some((segment) => segment === '.' || segment === '..')) return undefined
  if (text === '') return ''
  // With a slash at the end, because a URL is read without the blanks at its end.
  const encoded = new URL(`https://a${text}/`).pathname.slice(0, -1).toLowerCase()
  return encoded.length > LENGTH_MAX ? undefined : encoded
}

/** The form in which addresses are stored and looked up: https, {@link normalisePath}, no query. `undefined`: cannot be one. */
export function normaliseAddress(url: string): string | undefined {
  if (url.length > LENGTH_MAX || !URL.canParse(url)) return undefined
  const { protocol, username, password, origin, pathname } = new URL(url)
  if (protocol !== 'https:' || username !== '' || password !== '') return undefined
  const path = normalisePath(pathname)
  return path === undefined ? undefined : `${origin}${path}`
}

/** Refuses what the listener needs itself, in whatever way it is written. */
function refuseReserved(path: string): void {
  const segments = path.split('/').slice(1)
  const last = segments.at(-1)
  if (last === undefined) throw invalid('the address must have a path')
  if (segments.includes('')) throw invalid('the path must not have empty segments')
  if (segments.some((segment) => RESERVED_SEGMENTS.has(segment)))
    throw invalid('the path must not contain the name of an Open Payments collection')
  if (RESERVED_PATHS.has(path) || RESERVED_LAST_SEGMENTS.has(last)) throw invalid('the path is reserved')
}

/**
 * The address to store for what the wallet asked: a full URL below `prefix` (by path segment), or a path that is put behind it. Throws
 * {@link WalletAddressRefusal} `invalid_wallet_address`.
 */
export function addressBelow(prefix: string, input: string): string {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(input)
  const address = isUrl ? input : `${prefix.replace(/\/+$/, '')}/${input.replace(/^\/+/, '')}`
  if (!URL.canParse(address)) throw invalid('the address must be a URL')
  const { protocol, search, hash, username, password } = new URL(address)
  if (protocol !== 'https:') throw invalid('the address must be an https URL')
  if (search !== '' || hash !== '') throw invalid('the address must not have a query or a fragment')
  if (username !== '' || password !== '') throw invalid('the address must not have credentials')
  const normalised = normaliseAddress(address)
  if (normalised === undefined)
    throw invalid('the path is too long, or has what no path of an address can have')
  refuseReserved(new URL(normalised).pathname.replace(/^\/$/, ''))
  // The prefix is compared in its normal form too, so that a default port or an upper-case host does not matter.
  if (!isBelowPrefix(normalised, normaliseAddress(prefix) ?? new URL(prefix).href))
    throw invalid(`the address must lie below ${prefix}`)
  return normalised
}
