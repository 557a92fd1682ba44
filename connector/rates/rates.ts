import { identityRate, type Rate } from '../../shared/money/index.ts'
import { type Clock, type HttpClient, type Logger, messageOf } from '../../shared/platform/index.ts'
import { RatesRefusal, type RatesRefusalCode } from './errors.ts'
import { type Prices, parseRates } from './parse-rates.ts'
import { type Doubt, type GoodPrices, judgePrices } from './plausible-prices.ts'

/** Where a tenant's prices come from. `http` is guarded when the address is the tenant's own, trusted when it is the node's. */
export interface RatesSource {
  url: string
  http: Pick<HttpClient, 'request'>
}

export interface RatesOptions {
  clock: Clock
  log: Logger
  /** `undefined`: the tenant has none, and only payments within one currency work. */
  source: (tenantId: string) => Promise<RatesSource | undefined>
  /** EXCHANGE_RATES_LIFETIME. */
  lifetimeMs: number
  /** EXCHANGE_RATES_CHANGE_MAX: a factor above 1; 0: every price is believed. */
  changeMax: number
  /** EXCHANGE_RATES_AGE_MAX, for answers that say of when they are; 0: whatever they say. */
  ageMaxMs: number
  /** Hears of each answer that is not used, and of each price in an answer that is not. */
  onFailure: (code: RatesRefusalCode) => void
}

export interface PriceInput {
  tenantId: string
  sourceAssetCode: string
  destinationAssetCode: string
  /** `fresh` for quotes, which promise a rate; `recent` for packets, which keep to limits that were agreed before. */
  tolerance: 'fresh' | 'recent'
}

/**
 * Prices by tenant and base. Always true here: a price is the decimal text of the service, exact; it is never older than
 * `lifetimeMs` while the service answers; and during an outage packets go on with prices up to {@link STALE_LIFETIMES} lifetimes
 * old, while quotes are refused: a payment under way is protected by its own least rate, a new promise is not. An answer that is
 * older than it may be is an outage; a price that cannot follow the last one of its pair is an outage of that pair. Which of two
 * such prices is wrong nobody here knows: the first one stands until the service is back near it, or a person decides, by naming
 * the service anew (another URL) or by a restart.
 */
export interface Rates {
  /** Destination units per source unit, both whole units. Throws {@link RatesRefusal}. */
  price(input: PriceInput): Promise<Rate>
  /** The same at once, when a fresh price is at hand: the path of nearly every packet. */
  priceNow(input: PriceInput): Rate | undefined
}

/** How old a price may get in an outage, in lifetimes: five times 15 s. */
const STALE_LIFETIMES = 5
/** After this part of its life an entry is fetched anew while it still serves. */
const REFRESH_AFTER = 2 / 3
/** During an outage the service is asked again this often. */
const RETRY_MS = 1_000
const ANSWER_MS = 5_000
/** After so long without any answer a last price says nothing about the next one. */
const FORGET_MS = 86_400_000
/** Clocks and time zones apart, no price is of a day that has not come. */
const AHEAD_MS_MAX = 2 * 86_400_000
const BYTES_MAX = 1024 * 1024

interface Entry {
  tenantId: string
  base: string
  prices: Prices | undefined
  fetchedAtMs: number
  /** Codes in the last answer whose price was not believed. */
  held: ReadonlyMap<string, Doubt>
  /** What the next answer of the same URL is held against. */
  good: GoodPrices
  url: string
  /** The last attempt failed then, with this. */
  failure: { atMs: number; error: RatesRefusal } | undefined
  pending: Promise<void> | undefined
}

export function createRates(options: RatesOptions): Rates {
  const { clock, log, lifetimeMs } = options
  const entries = new Map<string, Entry>()

  const entryOf = (tenantId: string, base: string): Entry => {
    const key = `${tenantId}:${base}`
    let entry = entries.get(key)
    if (!entry) {
      entry = {
        tenantId,
        base,
        prices: undefined,
        fetchedAtMs: Number.NEGATIVE_INFINITY,
        held: new Map(),
        good: new Map(),
        url: '',
        failure: undefined,
        pending: undefined,
      }
      entries.set(key, entry)
    }
    return entry
  }

  const accept = (entry: Entry, url: string, answer: Prices): void => {
    const nowMs = clock.nowMs()
    const isSame = entry.url === url && nowMs - entry.fetchedAtMs < FORGET_MS
    const good = isSame ? entry.good : new Map()
    const judged = judgePrices({ answer, good, changeMax: options.changeMax, nowMs })
    for (const [code, doubt] of judged.held) {
      options.onFailure('implausible_price')
      log.warn({ base: entry.base, code, doubt }, 'a price is not believed; the last good one stands')
    }
    Object.assign(entry, { ...judged, url, fetchedAtMs: nowMs, failure: undefined })
  }

  /** One request at a time per entry; everybody who needs it waits for the same one. Never rejects. */
  const refresh = (entry: Entry): Promise<void> => {
    entry.pending ??= fetchPrices(options, entry)
      .then(
        ({ url, prices }) => accept(entry, url, prices),
        (error: unknown) => {
          const refusal = asRefusal(error)
          entry.failure = { atMs: clock.nowMs(), error: refusal }
          options.onFailure(refusal.code)
          log.warn({ base: entry.base, code: refusal.code, reason: messageOf(error) }, 'no exchange rates')
        },
      )
      .finally(() => {
        entry.pending = undefined
      })
    return entry.pending
  }

  const ageOf = (entry: Entry): number => clock.nowMs() - entry.fetchedAtMs
  const mayRetry = (entry: Entry): boolean =>
    entry.failure === undefined || clock.nowMs() - entry.failure.atMs >= RETRY_MS

  /** The entry's prices if they are fresh; looks after the next ones before these end. */
  const freshPrices = (entry: Entry): Prices | undefined => {
    const age = ageOf(entry)
    if (!entry.prices || age >= lifetimeMs) return undefined
    if (age >= lifetimeMs * REFRESH_AFTER && !entry.pending && mayRetry(entry)) void refresh(entry)
    return entry.prices
  }

  const stalePrices = (entry: Entry): Prices | undefined =>
    ageOf(entry) < lifetimeMs * STALE_LIFETIMES ? entry.prices : undefined

  const pricesOf = async (entry: Entry, tolerance: PriceInput['tolerance']): Promise<Prices> => {
    const fresh = freshPrices(entry)
    if (fresh) return fresh
    const stale = tolerance === 'recent' ? stalePrices(entry) : undefined
    // In an outage nobody waits for the next failure: packets go on with what is known, everything else is refused at once.
    const failing = entry.failure !== undefined
    if (mayRetry(entry) || entry.pending) {
      const refreshed = refresh(entry)
      if (!(failing && stale)) await refreshed
    }
    const prices = freshPrices(entry) ?? (tolerance === 'recent' ? stalePrices(entry) : undefined)
    if (prices) return prices
    throw entry.failure?.error ?? new RatesRefusal('rates_unavailable')
  }

  const priceIn = (entry: Entry, prices: Prices, input: PriceInput): Rate => {
    const code = input.destinationAssetCode
    const price = prices.get(code)
    if (price) return price
    const pair = `${code} in ${input.sourceAssetCode}`
    const doubt = entry.held.get(code)
    if (!doubt) throw new RatesRefusal('no_price', { message: `no price for ${pair}` })
    const last = entry.good.get(code)
    if (input.tolerance === 'recent' && last && clock.nowMs() - last.atMs < lifetimeMs * STALE_LIFETIMES)
      return last.price
    throw new RatesRefusal('implausible_price', {
      message: `the price for ${pair} is not believed`,
      details: { doubt },
    })
  }

  return {
    async price(input) {
      if (input.sourceAssetCode === input.destinationAssetCode) return identityRate
      const entry = entryOf(input.tenantId, input.sourceAssetCode)
      return priceIn(entry, await pricesOf(entry, input.tolerance), input)
    },
    priceNow(input) {
      if (input.sourceAssetCode === input.destinationAssetCode) return identityRate
      const entry = entries.get(`${input.tenantId}:${input.sourceAssetCode}`)
      const prices = entry && freshPrices(entry)
      return prices && priceIn(entry, prices, input)
    },
  }
}

const asRefusal = (error: unknown): RatesRefusal =>
  error instanceof RatesRefusal
    ? error
    : new RatesRefusal('rates_unavailable', {
        message: `the rates service does not answer: ${messageOf(error)}`,
        cause: error,
      })

async function fetchPrices(
  options: RatesOptions,
  entry: { tenantId: string; base: string },
): Promise<{ url: string; prices: Prices }> {
  const source = await options.source(entry.tenantId)
  if (!source) throw new RatesRefusal('no_rates_service', { message: 'EXCHANGE_RATES_URL is not set' })
  const url = new URL(source.url)
  url.searchParams.set('base', entry.base)
  const response = await source.http.request({
    method: 'GET',
    url: url.href,
    headers: { accept: 'application/json' },
    timeoutMs: ANSWER_MS,
    responseSizeMax: BYTES_MAX,
  })
  if (response.status !== 200)
    throw new RatesRefusal('rates_unavailable', { message: `the rates service answered ${response.status}` })
  const { prices, asOfMs } = parseRates(response.body.toString('utf8'), entry.base)
  assertCurrent(options, asOfMs)
  return { url: source.url, prices }
}

/** Throws {@link RatesRefusal} when an answer is not of now, by its own word. */
function assertCurrent({ clock, ageMaxMs }: RatesOptions, asOfMs: number | undefined): void {
  if (asOfMs === undefined || ageMaxMs === 0) return
  const ageMs = clock.nowMs() - asOfMs
  const moment = new Date(asOfMs).toISOString()
  if (ageMs > ageMaxMs) throw new RatesRefusal('stale_rates', { message: `the rates are of ${moment}` })
  if (ageMs < -AHEAD_MS_MAX)
    throw new RatesRefusal('malformed_rates', { message: `the rates are of ${moment}, which has not come` })
}
