import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type CatalogEntry, catalog } from './catalog.ts'
import { createInstruments, SERIES_MAX } from './instruments.ts'
import { toPrometheus } from './prometheus.ts'

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (-?[0-9.e+]+|NaN|[+-]Inf)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** Reads the text format as Prometheus does, and refuses what it would. */
function parseExposition(text: string): { types: Map<string, string>; samples: Sample[] } {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  const seen = new Set<string>()
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'TYPE') {
      assert.match(name!, NAME)
      assert.ok(!types.has(name!), `${name} has one type`)
      assert.match(rest!, /^(counter|gauge|histogram)$/)
      types.set(name!, rest!)
    }
    if (kind !== undefined) continue
    const sample = SAMPLE.exec(line)
    assert.ok(sample, `not a sample: ${line}`)
    const labels: Record<string, string> = {}
    let end = 0
    for (const match of (sample[3] ?? '').matchAll(LABEL)) {
      assert.ok(!(match[1]! in labels), `${match[1]} once in ${line}`)
      labels[match[1]!] = match[2]!
      end = match.index + match[0].length
    }
    assert.equal(end, (sample[3] ?? '').length, `labels of ${line}`)
    const key = sample[1]! + JSON.stringify(Object.entries(labels).sort())
    assert.ok(!seen.has(key), `${line} is there twice`)
    seen.add(key)
    samples.push({ name: sample[1]!, labels, value: Number(sample[4]) })
  }
  for (const { name } of samples) {
    const family = [name, name.replace(/_(bucket|sum|count)$/, '')].find((known) => types.has(known))
    assert.ok(family, `${name} has a type`)
  }
  return { types, samples }
}

const read = async (instruments: ReturnType<typeof createInstruments>) =>
  parseExposition(toPrometheus(await instruments.collect()))

describe('what Prometheus reads', () => {
  test('counters, gauges and histograms, with the names of a collector’s exporter', async () => {
    const instruments = createInstruments()
    instruments.counter('transactions_total').add(2)
    instruments.counter('packet_count_fulfill').add(1)
    instruments.counter('upesi_packet_rejects').add(3, { code: 'T04', origin: 'other' })
    instruments.observe('upesi_connector_late_postings', () => [{ value: 4 }])
    instruments.observe('upesi_packets_in_flight', () => [{ value: 5 }])
    const times = instruments.histogram('pay_time_ms')
    for (const ms of [0.1, 3, 3, 70_000]) times.record(ms)
    const { types, samples } = await read(instruments)
    const valueAt = (name: string, labels = {}) =>
      samples.find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      )?.value
    assert.equal(valueAt('transactions_total'), 2)
    assert.equal(valueAt('packet_count_fulfill_total'), 1)
    assert.equal(valueAt('upesi_packet_rejects_total', { code: 'T04', origin: 'other' }), 3)
    assert.equal(valueAt('upesi_connector_late_postings'), 4, 'a name that was there before stays')
    assert.equal(valueAt('upesi_packets_in_flight'), 5)
    assert.equal(types.get('pay_time_ms'), 'histogram')
    const callName = 'PaymentMethodHandlerService:pay'
    assert.equal(valueAt('pay_time_ms_bucket', { callName, le: '0.25' }), 1)
    assert.equal(valueAt('pay_time_ms_bucket', { callName, le: '5' }), 3)
    assert.equal(valueAt('pay_time_ms_bucket', { callName, le: '30000' }), 3)
    assert.equal(valueAt('pay_time_ms_bucket', { callName, le: '+Inf' }), 4)
    assert.equal(valueAt('pay_time_ms_count'), 4)
    assert.equal(valueAt('pay_time_ms_sum'), 70_006.1)
  })

  test('is valid whatever stands in a label', async () => {
    const instruments = createInstruments()
    const rejects = instruments.counter('upesi_packet_rejects')
    for (const code of ['a"b', 'a\\', 'a\nb', 'a,b="c"}', '', 'ü'.repeat(5_000), '\u0000'])
      rejects.add(1, { code, origin: 'self' })
    const { samples } = await read(instruments)
    assert.equal(samples.length, 7)
    for (const { labels } of samples) assert.ok(labels.code!.length <= 200)
  })

  test('has a bounded number of series, and loses none of the sum', async () => {
    const instruments = createInstruments()
    const rejects = instruments.counter('upesi_packet_rejects')
    for (let n = 0; n < 10 * SERIES_MAX; n++) rejects.add(1, { code: `c${n}`, origin: 'other' })
    const { samples } = await read(instruments)
    assert.equal(samples.length, SERIES_MAX + 1)
    assert.equal(samples.find(({ labels }) => labels.otel_metric_overflow === 'true')?.value, 9 * SERIES_MAX)
  })

  test('has the labels of the catalogue and no others', async () => {
    const instruments = createInstruments()
    instruments.counter('transactions_total').add(1, { paymentId: 'x' })
    instruments.counter('upesi_packet_rejects').add(1, { code: 'T00', origin: 'self', destination: 'g.x' })
    const { samples } = await read(instruments)
    assert.deepEqual(
      samples.map(({ labels }) => Object.keys(labels)),
      [[], ['code', 'origin']],
    )
  })
})

describe('who measures', () => {
  test('is never thrown at, and a counter never goes down', async () => {
    const instruments = createInstruments()
    const counter = instruments.counter('transactions_total')
    for (const value of [1, -5, Number.NaN, Number.POSITIVE_INFINITY]) counter.add(value)
    const times = instruments.histogram('pay_time_ms')
    for (const value of [-1, Number.NaN]) times.record(value)
    instruments.observe('upesi_packets_in_flight', () => {
      throw new Error('no')
    })
    instruments.observe('process_resident_memory_bytes', async () => {
      throw new Error('no')
    })
    const { samples } = await read(instruments)
    assert.deepEqual(
      samples.filter(({ name }) => !name.startsWith('pay_time_ms')).map(({ name, value }) => [name, value]),
      [['transactions_total', 1]],
    )
    assert.equal(samples.find(({ name }) => name === 'pay_time_ms_count')?.value, 0)
  })

  test('does not wait for an observer that hangs', async () => {
    const instruments = createInstruments()
    instruments.observe('upesi_packets_in_flight', () => new Promise(() => undefined))
    instruments.counter('transactions_total').add(1)
    const { samples } = await read(instruments)
    assert.deepEqual(
      samples.map(({ name }) => name),
      ['transactions_total'],
    )
  })
})

test('the catalogue’s names and labels are ones that Prometheus takes, and no label is an id', () => {
  for (const [name, entry] of Object.entries<CatalogEntry>(catalog)) {
    assert.match(name, NAME)
    for (const label of [...Object.keys(entry.labels ?? {}), ...Object.keys(entry.fixed ?? {})]) {
      assert.match(label, /^[a-zA-Z_][a-zA-Z0-9_]*$/)
      assert.doesNotMatch(label, /id$|url|address|tenant|host/i, `${name}: ${label}`)
    }
  }
})
