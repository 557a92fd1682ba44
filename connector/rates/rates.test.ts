import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatRate, rate } from '../../shared/money/index.ts'
import { Fault, type HttpRequest, silentLogger } from '../../shared/platform/index.ts'
import { testClock, waitFor } from '../../shared/testing/index.ts'
import { RatesRefusal, type RatesRefusalCode } from './errors.ts'
import { parseRates } from './parse-rates.ts'
import { type GoodPrices, judgePrices } from './plausible-prices.ts'
import { createRates, type PriceInput, type RatesSource } from './rates.ts'

const refusedAs =
  (code: RatesRefusalCode) =>
  (error: unknown): boolean =>
    error instanceof RatesRefusal && error.code === code

test('prices are the decimal text, not its float', () => {
  const text = '{"base":"USD","rates":{"EUR":0.1234567890123456789012345,"JPY":1.5e2,"XAU":3e-7}}'
  const { prices } = parseRates(text, 'USD')
  assert.deepEqual(prices.get('EUR'), rate(1234567890123456789012345n, 10n ** 25n))
  assert.deepEqual(prices.get('JPY'), rate(150n, 1n))
  assert.deepEqual(prices.get('XAU'), rate(3n, 10_000_000n))
})

test('F9: a price that is none drops its code and leaves the others', () => {
  const bad = ['0', '-1', '-0.5', '1e308', '1e999', '"1.5"', 'null', 'true', '[1]', '{"v":1}', '0.000']
  for (const value of bad) {
    const { prices } = parseRates(`{"base":"USD","rates":{"BAD":${value},"EUR":0.9}}`, 'USD')
    assert.equal(prices.has('BAD'), false, value)
    assert.deepEqual(prices.get('EUR'), rate(9n, 10n), value)
  }
})

test('names of object properties are codes like any other', () => {
  const { prices } = parseRates('{"base":"USD","rates":{"__proto__":2,"constructor":3}}', 'USD')
  assert.deepEqual(prices.get('__proto__'), rate(2n, 1n))
  assert.deepEqual(prices.get('constructor'), rate(3n, 1n))
  assert.equal(prices.get('toString'), undefined)
})

test('F9: rates of another base and documents that are none are refused whole', () => {
  assert.throws(() => parseRates('{"base":"EUR","rates":{"EUR":0.9}}', 'USD'), refusedAs('wrong_base'))
  assert.throws(() => parseRates('{"base":"usd","rates":{"EUR":0.9}}', 'USD'), refusedAs('wrong_base'))
  for (const text of [
    '',
    'null',
    '[]',
    '1',
    '"x"',
    '{}',
    '{"base":"USD"}',
    '{"base":"USD","rates":[1]}',
    '{"base":1,"rates":{}}',
    'NaN',
    '{"base":"USD","rates":{"EUR":NaN}}',
  ])
    assert.throws(() => parseRates(text, 'USD'), refusedAs('malformed_rates'), text)
})

/** A rates service under control: answers with `body`, or fails with it. */
function service(checks: { changeMax?: number; ageMaxMs?: number } = {}) {
  const clock = testClock()
  const requests: HttpRequest[] = []
  const state = {
    body: '{"base":"USD","rates":{"EUR":0.9}}' as string | Error,
    status: 200,
    gate: Promise.resolve(),
  }
  const source: RatesSource = {
    url: 'http://rates.example/latest?key=1',
    http: {
      async request(input) {
        requests.push(input)
        await state.gate
        if (state.body instanceof Error) throw state.body
        return { status: state.status, headers: {}, body: Buffer.from(state.body) }
      },
    },
  }
  const failures: RatesRefusalCode[] = []
  const rates = createRates({
    clock,
    log: silentLogger,
    source: async () => source,
    lifetimeMs: 15_000,
    changeMax: 2,
    ageMaxMs: 7 * DAY_MS,
    ...checks,
    onFailure: (code) => failures.push(code),
  })
  const price = (input: Partial<PriceInput> = {}) =>
    rates.price({
      tenantId: 't',
      sourceAssetCode: 'USD',
      destinationAssetCode: 'EUR',
      tolerance: 'recent',
      ...input,
    })
  return { clock, requests, state, source, rates, price, failures }
}

const DAY_MS = 86_400_000
const away = new Fault('connection_failed', { retryable: true })

test('F10: equal codes need no service', async () => {
  const { price, requests } = service()
  assert.deepEqual(await price({ destinationAssetCode: 'USD' }), rate(1n, 1n))
  assert.equal(requests.length, 0)
})

test('one request serves everybody who waits, and is remembered by tenant and base', async () => {
  const { price, requests, clock } = service()
  const prices = await Promise.all(Array.from({ length: 20 }, () => price()))
  assert.deepEqual(prices[19], rate(9n, 10n))
  assert.equal(requests.length, 1)
  assert.equal(requests[0]?.url, 'http://rates.example/latest?key=1&base=USD')
  assert.equal(requests[0]?.timeoutMs, 5_000)
  clock.advance(9_000)
  await price()
  assert.equal(requests.length, 1)
  await price({ tenantId: 'other' })
  assert.equal(requests.length, 2)
})

test('prices are fetched anew before they end, while the old ones serve', async () => {
  const { price, rates, requests, clock, state } = service()
  await price()
  clock.advance(11_000)
  state.body = '{"base":"USD","rates":{"EUR":0.8}}'
  const query = {
    tenantId: 't',
    sourceAssetCode: 'USD',
    destinationAssetCode: 'EUR',
    tolerance: 'recent',
  } as const
  assert.deepEqual(rates.priceNow(query), rate(9n, 10n))
  await waitFor(() => requests.length === 2)
  await waitFor(async () => (await price()).numerator === 4n)
  clock.advance(14_000)
  assert.deepEqual(rates.priceNow(query), rate(4n, 5n))
})

test('a code without a price is refused, and so is a tenant without a service', async () => {
  const { price, clock } = service()
  await assert.rejects(price({ destinationAssetCode: 'XYZ' }), refusedAs('no_price'))
  const none = createRates({
    clock,
    log: silentLogger,
    source: async () => undefined,
    lifetimeMs: 1,
    changeMax: 2,
    ageMaxMs: 0,
    onFailure: () => undefined,
  })
  await assert.rejects(
    none.price({ tenantId: 't', sourceAssetCode: 'USD', destinationAssetCode: 'EUR', tolerance: 'recent' }),
    refusedAs('no_rates_service'),
  )
})

test('F10: in an outage packets go on with what is known for five lifetimes, quotes do not', async () => {
  const { price, clock, state, requests } = service()
  await price()
  state.body = away
  clock.advance(15_000)
  await assert.rejects(price({ tolerance: 'fresh' }), refusedAs('rates_unavailable'))
  assert.deepEqual(await price(), rate(9n, 10n))
  clock.advance(59_999)
  assert.deepEqual(await price(), rate(9n, 10n))
  await waitFor(() => requests.length === 3)
  clock.advance(1)
  await assert.rejects(price(), refusedAs('rates_unavailable'))
})

test('F10: in an outage nobody waits for the next failure, and the end of the outage is noticed', async () => {
  const { price, clock, state, requests } = service()
  await price()
  state.body = away
  clock.advance(15_000)
  await price()
  assert.equal(requests.length, 2)
  // Within the retry time the service is left alone.
  await price()
  await assert.rejects(price({ tolerance: 'fresh' }), refusedAs('rates_unavailable'))
  assert.equal(requests.length, 2)
  // Afterwards it is asked again, and a packet does not wait for the answer.
  clock.advance(1_000)
  const gate = Promise.withResolvers<void>()
  state.gate = gate.promise
  assert.deepEqual(await price(), rate(9n, 10n))
  assert.equal(requests.length, 3)
  state.body = '{"base":"USD","rates":{"EUR":0.7}}'
  gate.resolve()
  assert.deepEqual(await price({ tolerance: 'fresh' }), rate(7n, 10n))
})

test('F9: a service that answers nonsense or another status is an outage', async () => {
  const { price, clock, state } = service()
  await price()
  for (const [body, status, code] of [
    ['{"base":"EUR","rates":{"EUR":0.5}}', 200, 'wrong_base'],
    ['<html>', 200, 'malformed_rates'],
    ['{"base":"USD","rates":{"EUR":0.5}}', 500, 'rates_unavailable'],
    ['{"base":"USD","rates":{"EUR":0.5}}', 204, 'rates_unavailable'],
  ] as const) {
    clock.advance(15_000)
    state.body = body
    state.status = status
    await assert.rejects(price({ tolerance: 'fresh' }), refusedAs(code))
    assert.deepEqual(await price(), rate(9n, 10n))
  }
})

/** A later answer with this price of the euro; what quotes and packets get then, by amount or code. */
async function priceAfter(scene: ReturnType<typeof service>, price: string, more = '') {
  scene.clock.advance(15_000)
  scene.state.body = `{"base":"USD","rates":{"EUR":${price},"GBP":0.8}${more}}`
  const outcome = async (tolerance: PriceInput['tolerance']) => {
    try {
      return formatRate(await scene.price({ tolerance }))
    } catch (error) {
      assert.ok(error instanceof RatesRefusal)
      return error.code
    }
  }
  return [await outcome('fresh'), await outcome('recent')]
}

test('F9: a swapped pair is never quoted on: packets go on with the last good price as in an outage, other pairs as ever', async () => {
  const scene = service()
  assert.deepEqual(formatRate(await scene.price()), '0.9')
  // The other way round, and the other way round after an ordinary move.
  for (const swapped of ['1.1111111', '1.12', '1.1'])
    assert.deepEqual(await priceAfter(scene, swapped), ['implausible_price', '0.9'], swapped)
  assert.deepEqual(formatRate(await scene.price({ destinationAssetCode: 'GBP', tolerance: 'fresh' })), '0.8')
  assert.deepEqual(scene.failures, Array(3).fill('implausible_price'))
  // A last price serves five lifetimes, not longer; and however long the service stays like that, nothing is quoted on it.
  for (let day = 0; day < 3; day++) {
    scene.clock.advance(DAY_MS - 15_001)
    assert.deepEqual(await priceAfter(scene, '1.1111111'), ['implausible_price', 'implausible_price'])
  }
  assert.deepEqual(await priceAfter(scene, '0.91'), ['0.91', '0.91'])
})

test('F9: nor is a price of another size, until it is named anew by another URL', async () => {
  const scene = service()
  await scene.price()
  for (const wrong of ['9', '0.09', '90', '1.81', '0.44', '1e30', '1e-30']) {
    assert.deepEqual(await priceAfter(scene, wrong), ['implausible_price', '0.9'], wrong)
    assert.deepEqual(await priceAfter(scene, '0.9'), ['0.9', '0.9'])
  }
  scene.source.url = 'http://rates.example/latest?key=1&confirmed=yes'
  assert.deepEqual(await priceAfter(scene, '9'), ['9', '9'])
})

test('ordinary moves are believed, each from the one before, also over the line of one to one and after a silent day', async () => {
  const scene = service()
  await scene.price()
  for (const moved of ['0.95', '1', '1.08', '1.02', '0.985', '1.01', '0.6', '1.19'])
    assert.deepEqual(await priceAfter(scene, moved), [moved, moved])
  scene.clock.advance(DAY_MS)
  assert.deepEqual(await priceAfter(scene, '50'), ['50', '50'])
  assert.deepEqual(scene.failures, [])
})

test('a code that is left out of an answer is held against its last price when it is back', async () => {
  const scene = service()
  await scene.price()
  assert.deepEqual(await priceAfter(scene, '0'), ['no_price', 'no_price'])
  assert.deepEqual(await priceAfter(scene, '1.1111111'), ['implausible_price', '0.9'])
})

test('a service that names other codes in every answer fills no memory', () => {
  let good: GoodPrices = new Map()
  for (let answer = 0; answer < 50; answer++) {
    const prices = new Map(
      Array.from({ length: 100 }, (_, code) => [`${answer} ${code}`, rate(1n, 1n)] as const),
    )
    good = judgePrices({ answer: prices, good, changeMax: 2, nowMs: answer }).good
  }
  assert.equal(good.size, 1_100)
})

test('F9: an answer that is old by its own word is an outage', async () => {
  const scene = service()
  const nowMs = () => scene.clock.nowMs() + 15_000
  const iso = (ms: number) => new Date(ms).toISOString()
  await scene.price()
  const old = nowMs() - 7 * DAY_MS - 1_000
  const words = [
    `"timestamp":${Math.floor(old / 1000)}`,
    `"timestamp":${old}`,
    `"timestamp":"${iso(old)}"`,
    `"timestamp":"${Math.floor(old / 1000)}"`,
    `"date":"${iso(old)}"`,
    `"date":"${iso(old - DAY_MS).slice(0, 10)}"`,
    `"date":"2019-01-01"`,
    // One old word is enough.
    `"timestamp":${nowMs()},"date":"2019-01-01"`,
  ]
  for (const word of words) {
    assert.deepEqual(await priceAfter(scene, '0.8', `,${word}`), ['stale_rates', '0.9'], word)
    assert.deepEqual(await priceAfter(scene, '0.9'), ['0.9', '0.9'])
  }
  assert.deepEqual(new Set(scene.failures), new Set(['stale_rates']))
})

test('an answer of today, of the day before a long weekend, or without a word that can be read is used', async () => {
  const scene = service()
  await scene.price()
  const nowMs = () => scene.clock.nowMs() + 15_000
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  for (const word of [
    `"timestamp":${Math.floor(nowMs() / 1000)}`,
    `"timestamp":${nowMs() - 6 * DAY_MS}`,
    `"date":"${day(nowMs())}"`,
    `"date":"${day(nowMs() + DAY_MS)}"`,
    `"date":"${day(nowMs() - 5 * DAY_MS)}"`,
    `"date":"28/11/2019"`,
    `"date":null,"timestamp":true`,
    `"date":"2019-13-45","timestamp":12`,
  ])
    assert.deepEqual(await priceAfter(scene, '0.8', `,${word}`), ['0.8', '0.8'], word)
})

test('F9: a date that has not come tells nothing about age, and the answer is not used', async () => {
  const scene = service()
  await scene.price()
  assert.deepEqual(await priceAfter(scene, '0.8', ',"date":"2099-01-01"'), ['malformed_rates', '0.9'])
})

test('both checks can be switched off', async () => {
  const scene = service({ changeMax: 0, ageMaxMs: 0 })
  await scene.price()
  for (const any of ['1.1111111', '90', '0.0001'])
    assert.deepEqual(await priceAfter(scene, any, ',"date":"2019-01-01"'), [any, any])
})
