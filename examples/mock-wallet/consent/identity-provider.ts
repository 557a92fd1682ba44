/** One visit of a person that a client sent: the two ids that the browser brings along. */
export interface Interaction {
  interactId: string
  nonce: string
}

/** A grant that a client asks for, as the authorization server stored it. */
export interface RequestedGrant {
  grantId: string
  state: 'PENDING' | 'APPROVED' | 'DENIED'
  client: { name?: string; uri: string }
  /** Where the customer's browser goes in the end; absent for a client that asks by itself. */
  finish?: { uri: string }
  access: readonly RequestedAccess[]
  subject?: { sub_ids: readonly { id: string; format: string }[] }
}

export interface RequestedAccess {
  type: string
  actions: readonly string[]
  identifier?: string
  limits?: Record<string, unknown>
}

export type ConsentErrorCode = 'unknown' | 'expired' | 'decided' | 'out_of_date' | 'unavailable'

/** A person cannot decide: what the pages say then follows from `code`. */
export class ConsentError extends Error {
  readonly code: ConsentErrorCode

  constructor(code: ConsentErrorCode, options?: { cause?: unknown }) {
    super(code, options)
    this.name = 'ConsentError'
    this.code = code
  }
}

export interface IdentityProvider {
  /** Throws {@link ConsentError} `unknown` or `unavailable`. */
  readGrant(interaction: Interaction): Promise<RequestedGrant>
  /** Throws {@link ConsentError} `unknown`, `decided`, `expired` or `unavailable`. */
  decide(interaction: Interaction, choice: 'accept' | 'reject'): Promise<void>
}

const TIMEOUT_MS = 10_000

/** A client of the authorization server's API for identity providers. `secret` is the tenant's `idpSecret`. */
export function createIdentityProvider(options: { url: string; secret: string }): IdentityProvider {
  const call = async ({ interactId, nonce }: Interaction, method: 'GET' | 'POST', choice = '') => {
    const path = ['grant', interactId, nonce, ...(choice === '' ? [] : [choice])].map(encodeURIComponent)
    try {
      const response = await fetch(`${options.url}/${path.join('/')}`, {
        method,
        headers: { accept: 'application/json', 'x-idp-secret': options.secret },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      return { status: response.status, text: await response.text() }
    } catch (cause) {
      throw new ConsentError('unavailable', { cause })
    }
  }
  const failure = ({ status, text }: { status: number; text: string }) =>
    status === 404
      ? new ConsentError('unknown')
      : new ConsentError('unavailable', { cause: new Error(`answered ${status}: ${text.slice(0, 200)}`) })

  const provider: IdentityProvider = {
    async readGrant(interaction) {
      const answer = await call(interaction, 'GET')
      if (answer.status !== 200) throw failure(answer)
      return JSON.parse(answer.text) as RequestedGrant
    },
    async decide(interaction, choice) {
      const answer = await call(interaction, 'POST', choice)
      if (answer.status === 202) return
      if (answer.status === 404 || answer.status >= 500) throw failure(answer)
      // One status covers what was decided before and what is too late: the state tells them apart.
      const { state } = await provider.readGrant(interaction)
      if (state !== 'PENDING') throw new ConsentError('decided')
      throw new ConsentError('expired')
    },
  }
  return provider
}
