import { type Clock, Fault, type HttpClient } from '../platform/index.ts'
import { SignatureRefusal } from './errors.ts'
import { type Jwk, parseJwk } from './jwk.ts'

/** Keys that clients publish below their wallet addresses. */
export interface ClientKeys {
  /** A key of the client. Throws {@link SignatureRefusal} `key_unknown`, `key_invalid` or `keys_unavailable`. */
  get(walletAddressUrl: string, keyId: string, onFetch?: () => void): Promise<Jwk>
  /** Asks again, because a signature did not verify; `undefined` when there is nothing newer to try. */
  refetch(walletAddressUrl: string, keyId: string, onFetch?: () => void): Promise<Jwk | undefined>
}

export interface ClientKeysOptions {
  /** The guarded client: the URL is the client's word. */
  http: HttpClient
  clock: Clock
  /** Default 60 s: how long a revoked key may live on. */
  lifeMs?: number
  entriesMax?: number
}

interface Entry {
  fetchedAtMs: number
  /** Of the last attempt, which may have failed. */
  triedAtMs: number
  keys: ReadonlyMap<string, Jwk | SignatureRefusal>
  failure?: SignatureRefusal
}

const LIFE_MS = 60_000
/** One wallet address is asked at most once in this time, however many signatures fail. */
const REFETCH_MS = 2_000
const TIMEOUT_MS = 5_000
const ENTRIES_MAX = 10_000

const unavailable = (message: string, cause?: unknown) =>
  new SignatureRefusal('keys_unavailable', { message, cause })

/** `<wallet address>/jwks.json`. A query or a fragment would send us anywhere on that host. */
function keysUrl(walletAddressUrl: string): string {
  const url = URL.canParse(walletAddressUrl) ? new URL(walletAddressUrl) : undefined
  if (!url || /[?#]/.test(walletAddressUrl)) throw unavailable('the client is not a wallet address')
  return `${walletAddressUrl.replace(/\/$/, '')}/jwks.json`
}

/** First of each name counts. A key of another kind does not spoil the others. */
function readKeys(body: Buffer): Map<string, Jwk | SignatureRefusal> {
  let document: unknown
  try {
    document = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw unavailable('the key set is not JSON', error)
  }
  const list = (document as { keys?: unknown } | null)?.keys
  if (!Array.isArray(list)) throw unavailable('the key set has no keys')
  const keys = new Map<string, Jwk | SignatureRefusal>()
  for (const item of list as ({ kid?: unknown } | null)[]) {
    const kid = item?.kid
    if (typeof kid !== 'string' || keys.has(kid)) continue
    try {
      keys.set(kid, parseJwk(item))
    } catch (error) {
      keys.set(kid, error as SignatureRefusal)
    }
  }
  return keys
}

/**
 * Fetches key sets through the guarded client and remembers them: found keys up to a minute, what was not found or did not
 * answer 2 s. Callers at the same time share one fetch. `onFetch` runs before a fetch and may throw to prevent it.
 */
export function createClientKeys(options: ClientKeysOptions): ClientKeys {
  const lifeMs = options.lifeMs ?? LIFE_MS
  const entriesMax = options.entriesMax ?? ENTRIES_MAX
  const entries = new Map<string, Entry>()
  const underway = new Map<string, Promise<Entry>>()

  const load = async (url: string): Promise<Entry> => {
    try {
      const response = await options.http.request({
        method: 'GET',
        url,
        headers: { accept: 'application/json' },
        timeoutMs: TIMEOUT_MS,
        redirectsMax: 3,
      })
      if (response.status !== 200) throw unavailable(`the key set answers ${response.status}`)
      const nowMs = options.clock.nowMs()
      return { fetchedAtMs: nowMs, triedAtMs: nowMs, keys: readKeys(response.body) }
    } catch (error) {
      const failure =
        error instanceof SignatureRefusal
          ? error
          : unavailable(error instanceof Fault ? error.code : 'the key set cannot be fetched', error)
      const nowMs = options.clock.nowMs()
      return { fetchedAtMs: nowMs, triedAtMs: nowMs, keys: new Map(), failure }
    }
  }

  const fetchEntry = (url: string, onFetch?: () => void): Promise<Entry> => {
    const running = underway.get(url)
    if (running) return running
    onFetch?.()
    const loading = load(url).then((loaded) => {
      underway.delete(url)
      // A client whose keys cannot be had for a moment keeps those that were seen less than a life ago.
      const previous = entries.get(url)
      const keepsPrevious =
        loaded.failure && previous && !previous.failure && loaded.fetchedAtMs - previous.fetchedAtMs < lifeMs
      const entry = keepsPrevious ? { ...previous, triedAtMs: loaded.triedAtMs } : loaded
      entries.delete(url)
      entries.set(url, entry)
      const oldest = entries.size > entriesMax ? entries.keys().next() : undefined
      if (oldest && !oldest.done) entries.delete(oldest.value)
      return entry
    })
    underway.set(url, loading)
    return loading
  }

  const keyOf = (entry: Entry, keyId: string): Jwk => {
    if (entry.failure) throw entry.failure
    const key = entry.keys.get(keyId)
    if (key === undefined)
      throw new SignatureRefusal('key_unknown', { message: 'the client does not publish this key' })
    if (key instanceof SignatureRefusal) throw key
    return key
  }

  return {
    async get(walletAddressUrl, keyId, onFetch) {
      const url = keysUrl(walletAddressUrl)
      const known = entries.get(url)
      const nowMs = options.clock.nowMs()
      const isUsable =
        known &&
        (known.keys.has(keyId) ? nowMs - known.fetchedAtMs < lifeMs : nowMs - known.triedAtMs < REFETCH_MS)
      return keyOf(isUsable ? known : await fetchEntry(url, onFetch), keyId)
    },
    async refetch(walletAddressUrl, keyId, onFetch) {
      const url = keysUrl(walletAddressUrl)
      const known = entries.get(url)
      if (known && options.clock.nowMs() - known.triedAtMs < REFETCH_MS) return undefined
      return keyOf(await fetchEntry(url, onFetch), keyId)
    },
  }
}
