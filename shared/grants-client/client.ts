import { createCache, type HttpRequest, type HttpResponse } from '../platform/index.ts'
import { RemoteRefusal } from './errors.ts'
import {
  type GrantKey,
  isPassing,
  parseWalletAddress,
  type RemoteAccess,
  type RemoteWalletAddress,
  sortedActions,
  unavailable,
  wideActions,
} from './model.ts'
import { createTokens, sendSigned, type TokensContext } from './tokens.ts'

export interface RemoteRequest {
  /** Whose grant it is. */
  tenantId: string
  /** As the wallet address or the incoming payment names it. */
  authServer: string
  access: RemoteAccess
  method: HttpRequest['method']
  url: string
  /** JSON. */
  body?: string
}

export interface GrantsClient {
  /** The document at `url`, at most a minute old. Throws {@link RemoteRefusal} `wallet_address_…`, or a fault. */
  getWalletAddress(url: string): Promise<RemoteWalletAddress>
  /** Signed, with a token for `access`; a token that no longer works is replaced once. Any status is an answer. Throws {@link RemoteRefusal} `grant_…`, or a fault. */
  request(input: RemoteRequest): Promise<HttpResponse>
}

export interface GrantsClientOptions extends TokensContext {
  /** How long wallet address documents are kept; default 60 s. */
  walletAddressLifeMs?: number
}

const TIMEOUT_MS = 5_000
/** How long a server that refused the wide grant is asked for narrow ones instead. */
const NARROW_MS = 600_000
const NARROW_MAX = 1_000

/** `http` is the guarded client: every URL here comes from somebody else. */
export function createGrantsClient(options: GrantsClientOptions): GrantsClient {
  const { clock, http } = options
  const tokens = createTokens(options)
  const documents = createCache({ clock, lifeMs: options.walletAddressLifeMs ?? 60_000 })
  const narrowUntil = new Map<string, number>()

  const loadWalletAddress = async (url: string): Promise<RemoteWalletAddress> => {
    const response = await http.request({
      method: 'GET',
      url,
      headers: { accept: 'application/json' },
      timeoutMs: TIMEOUT_MS,
      redirectsMax: 3,
    })
    if (isPassing(response.status)) throw unavailable('the wallet address', response.status)
    if (response.status !== 200)
      throw new RemoteRefusal('wallet_address_unknown', {
        message: `the wallet address answers ${response.status}`,
      })
    return parseWalletAddress(response)
  }

  const isNarrow = (authServer: string) => (narrowUntil.get(authServer) ?? 0) > clock.nowMs()
  const becomeNarrow = (authServer: string) => {
    if (narrowUntil.size >= NARROW_MAX) narrowUntil.clear()
    narrowUntil.set(authServer, clock.nowMs() + NARROW_MS)
  }

  const send = async (input: RemoteRequest, actions: string): Promise<HttpResponse> => {
    const key: GrantKey = {
      tenantId: input.tenantId,
      authServer: input.authServer,
      type: input.access.type,
      actions,
    }
    const token = await tokens.get(key)
    const request = {
      method: input.method,
      url: input.url,
      ...(input.body !== undefined && { body: input.body }),
    }
    const response = await sendSigned(options, { ...request, token: token.value })
    if (response.status !== 401 && response.status !== 403) return response
    // Revoked there, or expired while on its way. If a fresh one fares no better, that is the answer.
    const fresh = await tokens.get(key, token)
    return await sendSigned(options, { ...request, token: fresh.value })
  }

  return {
    getWalletAddress: (url) => documents.get(url, () => loadWalletAddress(url)),
    async request(input) {
      const wide = wideActions(input.access.actions)
      const narrow = sortedActions(input.access.actions)
      if (wide === narrow || isNarrow(input.authServer)) return await send(input, narrow)
      try {
        return await send(input, wide)
      } catch (error) {
        const isRefused =
          error instanceof RemoteRefusal &&
          (error.code === 'grant_refused' || error.code === 'grant_needs_interaction')
        if (!isRefused) throw error
        becomeNarrow(input.authServer)
        return await send(input, narrow)
      }
    },
  }
}
