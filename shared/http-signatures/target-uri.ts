import { SignatureRefusal } from './errors.ts'
import { headerValue, type RequestHeaders } from './signature-input.ts'

export interface TargetUriOptions {
  /** Believe X-Forwarded-Proto and X-Forwarded-Host (TRUST_PROXY). */
  trustProxy: boolean
  /** Hosts, with port where it is not the scheme's own, that this node answers to: {@link publicHostsOf}. */
  publicHosts: ReadonlySet<string>
}

/** Hosts of configured URLs (`https://bank.example`) and of plain host names (PUBLIC_HOSTS). */
export function publicHostsOf(urlsOrHosts: readonly string[]): ReadonlySet<string> {
  return new Set(
    urlsOrHosts.map((text) => (/^https?:\/\//i.test(text) ? new URL(text).host : text.toLowerCase())),
  )
}

const invalid = (message: string) => new SignatureRefusal('target_invalid', { message })
const firstOf = (value: string | undefined) => value?.split(',')[0]?.trim()

/**
 * The URL as the client wrote it: scheme and host as received, path and query raw (decisions: Signatures). Only for hosts that
 * are ours, so that a request signed for somebody else's server is worth nothing here.
 */
export function targetUri(
  request: { url: string; headers: RequestHeaders; isTls: boolean },
  options: TargetUriOptions,
): string {
  const forwarded = (name: string) =>
    options.trustProxy ? firstOf(headerValue(request.headers, name)) : undefined
  const scheme = forwarded('x-forwarded-proto') ?? (request.isTls ? 'https' : 'http')
  const host = forwarded('x-forwarded-host') ?? headerValue(request.headers, 'host') ?? ''
  if (scheme !== 'http' && scheme !== 'https') throw invalid('the scheme must be http or https')
  if (!request.url.startsWith('/')) throw invalid('the request target must be a path')
  const bare = host.toLowerCase().replace(scheme === 'https' ? /:443$/ : /:80$/, '')
  if (!options.publicHosts.has(bare)) throw invalid('the host is not one of ours')
  return `${scheme}://${host}${request.url}`
}
