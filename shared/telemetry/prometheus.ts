import { BOUNDS, type HistogramValue, type Point, type Reading } from './instruments.ts'

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const escapedLabel = (text: string) =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
const escapedHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

const labelsOf = (...parts: readonly Readonly<Record<string, string>>[]): string => {
  const pairs = parts.flatMap((part) => Object.entries(part))
  if (pairs.length === 0) return ''
  return `{${pairs.map(([name, value]) => `${name}="${escapedLabel(value)}"`).join(',')}}`
}

const exposedName = ({ name, entry }: Reading): string => {
  if (entry.exposedAs !== undefined) return entry.exposedAs
  return entry.kind === 'counter' && !name.endsWith('_total') ? `${name}_total` : name
}

/** A histogram's buckets are added up here: each counts all values up to its bound. */
function histogramLines(
  name: string,
  fixed: Readonly<Record<string, string>>,
  point: Point<HistogramValue>,
): string[] {
  const { labels, value } = point
  const lines: string[] = []
  let total = 0
  for (const [index, count] of value.buckets.entries()) {
    total += count
    lines.push(`${name}_bucket${labelsOf(labels, fixed, { le: String(BOUNDS[index] ?? '+Inf') })} ${total}`)
  }
  lines.push(`${name}_sum${labelsOf(labels, fixed)} ${value.sum}`)
  lines.push(`${name}_count${labelsOf(labels, fixed)} ${value.count}`)
  return lines
}

/** The text that Prometheus reads. Names are those under which a collector's Prometheus exporter shows the same metrics. */
export const toPrometheus = (readings: readonly Reading[]): string =>
  readings
    .flatMap((reading) => {
      const name = exposedName(reading)
      const { kind, about, fixed = {} } = reading.entry
      const lines =
        'histogram' in reading
          ? reading.histogram.flatMap((point) => histogramLines(name, fixed, point))
          : reading.points.map(({ labels, value }) => `${name}${labelsOf(labels, fixed)} ${value}`)
      return [`# HELP ${name} ${escapedHelp(about)}`, `# TYPE ${name} ${kind}`, ...lines]
    })
    .map((line) => `${line}\n`)
    .join('')
