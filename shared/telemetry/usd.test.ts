import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Amount, parseRate } from '../money/index.ts'
import { createUsd } from './usd.ts'

const amount = (value: bigint, assetCode: string, assetScale: number): Amount => ({
  value,
  assetCode,
  assetScale,
})

test('amounts become US dollars of scale 4, exactly and rounded down', () => {
  const usd = createUsd({
    now: (_tenant, code) => (code === 'EUR' ? parseRate('1.0989') : parseRate('0.0067')),
  })
  const convert = (...amounts: Amount[]): bigint[] => {
    let counted: readonly bigint[] = []
    usd.convert('t', amounts, (values) => {
      counted = values
    })
    return [...counted]
  }
  assert.deepEqual(convert(amount(550n, 'USD', 2)), [55_000n])
  assert.deepEqual(convert(amount(550n, 'USD', 2), amount(500n, 'EUR', 2)), [55_000n, 54_945n])
  assert.deepEqual(convert(amount(1n, 'USD', 9)), [0n])
  assert.deepEqual(convert(amount(2n ** 64n - 1n, 'JPY', 0)), [((2n ** 64n - 1n) * 67n * 10_000n) / 10_000n])
})

test('what has no price is asked for, or left out; nobody is thrown at', async () => {
  const counted: bigint[] = []
  const count = (values: readonly bigint[]) => counted.push(...values)
  createUsd({ now: () => undefined }).convert('t', [amount(1n, 'EUR', 2)], count)
  await sleep(0)
  assert.deepEqual(counted, [])
  createUsd({ now: () => undefined, ask: async () => parseRate('2') }).convert(
    't',
    [amount(1n, 'EUR', 2)],
    count,
  )
  await sleep(0)
  assert.deepEqual(counted, [200n])
  const reasons: string[] = []
  const note = (reason: string) => reasons.push(reason)
  const broken = {
    now: () => {
      throw new Error('no price')
    },
  }
  createUsd(broken, note).convert('t', [amount(1n, 'EUR', 2)], count)
  createUsd({ now: () => undefined, ask: () => Promise.reject(new Error('away')) }, note).convert(
    't',
    [amount(1n, 'EUR', 2)],
    count,
  )
  createUsd({ now: () => undefined }, note).convert('t', [amount(1n, 'USD', 2)], () => {
    throw new Error('counting failed')
  })
  await sleep(0)
  assert.deepEqual(reasons.sort(), ['away', 'counting failed', 'no price'])
  assert.deepEqual(counted, [200n])
})

test('those that wait for a price are bounded', async () => {
  let asked = 0
  const usd = createUsd({
    now: () => undefined,
    ask: () => {
      asked++
      return new Promise(() => undefined)
    },
  })
  for (let n = 0; n < 5_000; n++) usd.convert('t', [amount(1n, 'EUR', 2)], () => undefined)
  assert.equal(asked, 1_000)
})
