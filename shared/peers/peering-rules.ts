import type { HttpClient } from '../platform/index.ts'

/** Whether one address lies below the other, or both are the same: packets for one could leave through a route for the other. */
export function areRelated(one: string, other: string): boolean {
  const [a, b] = [`${one}.`, `${other}.`]
  return a.startsWith(b) || b.startsWith(a)
}

/** Packets go there through the guarded client: https, or where that may use http. */
export function mayBeReached({ effectiveUrl }: Pick<HttpClient, 'effectiveUrl'>, endpoint: string): boolean {
  const url = new URL(endpoint)
  if (url.protocol === 'https:') return true
  return new URL(effectiveUrl(url.href.replace(/^http:/, 'https:'))).protocol === 'http:'
}

/**
 * What becomes of a peer's limit when it asks for another: it may lower what its node sends in a packet, and what the operator has set
 * is not for the peer to raise.
 */
export const loweredTo = (
  known: bigint | undefined,
  asked: bigint | undefined,
): { maxPacketAmount?: bigint } =>
  asked !== undefined && (known === undefined || asked < known) ? { maxPacketAmount: asked } : {}
