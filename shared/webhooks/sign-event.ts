import { signHmac } from '../platform/index.ts'
import type { WebhookRecipient } from './model.ts'

/**
 * The headers of an attempt, in the order in which they are to be tried. `Rafiki-Signature` has one digest, because receivers in
 * the field read exactly one; it is made with the current secret. `Upesi-Signature` has a digest for each secret that is good now:
 * `t=…, v1=…, v1=…`, the current one's first, over the same time and body. While secrets change there is a second set, whose
 * `Rafiki-Signature` is made with the previous secret, for receivers that refuse the first and do not read the other header.
 */
export function signEvent(
  recipient: Pick<WebhookRecipient, 'secret' | 'previousSecret' | 'signatureVersion'>,
  timestampMs: number,
  body: unknown,
): Record<string, string>[] {
  const secrets = [recipient.secret, recipient.previousSecret].filter((secret) => secret !== undefined)
  const signatures = secrets.map((secret) =>
    signHmac({ secret, version: recipient.signatureVersion, timestampMs, body }),
  )
  const [first, ...others] = signatures
  if (first === undefined) return [{}]
  const all = [first, ...others.map((signature) => signature.slice(signature.indexOf(', ') + 2))].join(', ')
  return signatures.map((signature) => ({ 'Rafiki-Signature': signature, 'Upesi-Signature': all }))
}
