import { type ErrorInput, Refusal } from '../platform/index.ts'

export type RemoteRefusalCode =
  /** The other node does not know the wallet address. */
  | 'wallet_address_unknown'
  /** Its answer is not a wallet address document. */
  | 'wallet_address_invalid'
  /** The authorization server does not give the grant. */
  | 'grant_refused'
  /** It would, after asking somebody; a payment cannot wait for that. */
  | 'grant_needs_interaction'
  | 'grant_answer_invalid'

/** Another node said no, or something that cannot be used. Its being away is a `Fault`. */
export class RemoteRefusal extends Refusal<RemoteRefusalCode> {
  // biome-ignore lint/complexity/noUselessConstructor: narrows the code.
  constructor(code: RemoteRefusalCode, input?: ErrorInput) {
    super(code, input)
  }
}
