import type { Attributes, Counter, Histogram } from '@opentelemetry/api'
import {
  type CatalogEntry,
  type CounterName,
  catalog,
  type GaugeName,
  type HistogramName,
  type MetricName,
} from './catalog.ts'

/** A value that is read when somebody looks. */
export interface Observation {
  value: number
  labels?: Readonly<Record<string, string>>
}

export interface HistogramValue {
  count: number
  sum: number
  /** Of the values up to each of {@link BOUNDS}, and of those above. Not added up. */
  buckets: readonly number[]
}

export interface Point<Value> {
  labels: Readonly<Record<string, string>>
  value: Value
}

export type Reading =
  | { name: MetricName; entry: CatalogEntry; points: readonly Point<number>[] }
  | { name: MetricName; entry: CatalogEntry; histogram: readonly Point<HistogramValue>[] }

/** Counters and histograms of one process, in the interfaces of the OpenTelemetry API, and nothing behind them but numbers. */
export interface Instruments {
  counter(name: CounterName): Pick<Counter, 'add'>
  histogram(name: HistogramName): Pick<Histogram, 'record'>
  /** `read` is asked at each look; a throw leaves the metric out of that look. */
  observe(
    name: GaugeName | CounterName,
    read: () => Promise<readonly Observation[]> | readonly Observation[],
  ): void
  /** Everything there is, in the order of the catalogue. Never rejects. */
  collect(): Promise<Reading[]>
}

/** Upper bounds of the buckets, in ms. */
export const BOUNDS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]

/** Series of one metric; what comes beyond is counted together under {@link OVERFLOW}, as the OpenTelemetry SDK does. */
export const SERIES_MAX = 500
export const OVERFLOW = { otel_metric_overflow: 'true' }
const LABEL_LENGTH_MAX = 100
/** An observer that hangs must not keep the others from being read. */
const OBSERVE_MS = 2_000

interface Series<Value> {
  /** The series for these attributes, made when it is new. */
  of(attributes: Attributes | undefined): Value
  points(): Point<Value>[]
}

function createSeries<Value>(entry: CatalogEntry, make: () => Value): Series<Value> {
  const names = Object.keys(entry.labels ?? {})
  const known = new Map<string, Point<Value>>()
  const single = names.length === 0 ? make() : undefined
  const overflow = (): Value => {
    const point = known.get('') ?? { labels: OVERFLOW, value: make() }
    known.set('', point)
    return point.value
  }
  return {
    of(attributes) {
      if (single !== undefined) return single
      // Every part ends in a byte of its own: never empty, and never two series under one key.
      let key = ''
      for (const name of names) key += `${String(attributes?.[name] ?? '')}\u0000`
      const point = known.get(key)
      if (point) return point.value
      if (known.size >= SERIES_MAX) return overflow()
      const labels = Object.fromEntries(
        names.map((name) => [name, String(attributes?.[name] ?? '').slice(0, LABEL_LENGTH_MAX)]),
      )
      const value = make()
      known.set(key, { labels, value })
      return value
    },
    points: () => (single === undefined ? [...known.values()] : [{ labels: {}, value: single }]),
  }
}

interface Bucketed {
  count: number
  sum: number
  buckets: number[]
}

const bucketOf = (value: number): number => {
  const index = BOUNDS.findIndex((bound) => value <= bound)
  return index === -1 ? BOUNDS.length : index
}

export function createInstruments(): Instruments {
  const counters = new Map<MetricName, Series<{ value: number }>>()
  const histograms = new Map<MetricName, Series<Bucketed>>()
  const observed = new Map<MetricName, (() => Promise<readonly Observation[]> | readonly Observation[])[]>()

  const seriesIn = <Value>(map: Map<MetricName, Series<Value>>, name: MetricName, make: () => Value) => {
    const series = map.get(name) ?? createSeries<Value>(catalog[name], make)
    map.set(name, series)
    return series
  }

  const observe = async (name: MetricName): Promise<Point<number>[]> => {
    const entry: CatalogEntry = catalog[name]
    const series = createSeries(entry, () => ({ value: 0 }))
    const read = Promise.all((observed.get(name) ?? []).map(async (reader) => await reader()))
    for (const observation of (await inTime(read)).flat())
      if (Number.isFinite(observation.value)) series.of(observation.labels).value += observation.value
    return flat(series.points())
  }

  const readingOf = async (name: MetricName): Promise<Reading | undefined> => {
    const entry: CatalogEntry = catalog[name]
    const histogram = histograms.get(name)?.points()
    if (histogram) return { name, entry, histogram: histogram.map(copied) }
    const counted = flat(counters.get(name)?.points() ?? [])
    const points = observed.has(name) ? [...counted, ...(await observe(name))] : counted
    return points.length > 0 ? { name, entry, points } : undefined
  }

  return {
    counter(name) {
      const series = seriesIn(counters, name, () => ({ value: 0 }))
      return {
        add(value, attributes) {
          // A counter never goes down, and nothing is thrown at who counts.
          if (value >= 0 && Number.isFinite(value)) series.of(attributes).value += value
        },
      }
    },
    histogram(name) {
      const series = seriesIn(histograms, name, () => ({
        count: 0,
        sum: 0,
        buckets: new Array<number>(BOUNDS.length + 1).fill(0),
      }))
      return {
        record(value, attributes) {
          if (!(value >= 0 && Number.isFinite(value))) return
          const bucketed = series.of(attributes)
          const bucket = bucketOf(value)
          bucketed.count++
          bucketed.sum += value
          bucketed.buckets[bucket] = (bucketed.buckets[bucket] ?? 0) + 1
        },
      }
    },
    observe(name, read) {
      observed.set(name, [...(observed.get(name) ?? []), read])
    },
    async collect() {
      const names = Object.keys(catalog) as MetricName[]
      const readings = await Promise.all(names.map((name) => readingOf(name).catch(() => undefined)))
      return readings.filter((reading) => reading !== undefined)
    },
  }
}

const flat = (points: readonly Point<{ value: number }>[]): Point<number>[] =>
  points.map(({ labels, value: { value } }) => ({ labels, value }))

const copied = ({ labels, value }: Point<Bucketed>): Point<HistogramValue> => ({
  labels,
  value: { ...value, buckets: [...value.buckets] },
})

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), OBSERVE_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** For what is built without a deployable around it. */
export const silentInstruments: Instruments = {
  counter: () => ({ add: () => undefined }),
  histogram: () => ({ record: () => undefined }),
  observe: () => undefined,
  collect: async () => [],
}
