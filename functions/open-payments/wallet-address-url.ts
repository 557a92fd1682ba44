import { normalisePath } from '../../shared/wallet-addresses/index.ts'

/** What a GET on the catch-all route is about. */
export interface WalletAddressTarget {
  /** As wallet addresses are stored: https, lower case, no trailing slash. */
  url: string
  document: 'wallet-address' | 'keys'
}

const KEYS = '/jwks.json'

const HOST = /^[a-z0-9._[\]:-]+$/i

/**
 * The wallet address that `host` and the raw request target name: https whatever the transport, the path decoded and lower-cased,
 * the query dropped (contracts/open-payments/routes.md §2). `undefined` when no wallet address can have that URL.
 */
export function walletAddressTarget(host: string, rawTarget: string): WalletAddressTarget | undefined {
  let path = normalisePath(rawTarget.split('?', 1)[0] ?? '')
  if (path === undefined || !HOST.test(host)) return undefined
  // `/jwks.json` alone is a wallet address of that name. Clients append to what they were given, so slashes may double.
  const isKeys = path.endsWith(KEYS) && path.replace(/\/+/g, '/') !== KEYS
  if (isKeys) path = path.slice(0, -KEYS.length).replace(/\/+$/, '')
  const url = `https://${host}${path}`
  if (path === '' || !URL.canParse(url)) return undefined
  return { url: `${new URL(url).origin}${path}`, document: isKeys ? 'keys' : 'wallet-address' }
}

/**
 * Where a browser is sent instead: the first of each placeholder in the template is filled in: `%wa` the URL, `%wp` without its
 * scheme, `%ewa` and `%ewp` the same, encoded.
 */
export function fillRedirect(template: string, walletAddressUrl: string): string {
  const withoutScheme = walletAddressUrl.replace(/^https:\/\//, '')
  const values: Record<string, string> = {
    '%wa': walletAddressUrl,
    '%ewa': encodeURIComponent(walletAddressUrl),
    '%wp': withoutScheme,
    '%ewp': encodeURIComponent(withoutScheme),
  }
  const filled = new Set<string>()
  return template.replace(/%e?w[ap]/g, (placeholder) => {
    if (filled.has(placeholder)) return placeholder
    filled.add(placeholder)
    return values[placeholder] ?? placeholder
  })
}
