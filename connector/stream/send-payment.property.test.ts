import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AMOUNT_MAX, multiplyRates, parseRate, type Rate, rate, scaleRate } from '../../shared/money/index.ts'
import { systemClock } from '../../shared/platform/index.ts'
import { ilpErrors, isFulfill } from '../packet/index.ts'
import { createStreamPayment, ProbeFailed, probePath, type SendPacket } from './index.ts'
import { inFakeTime, ourReceiver, type TestPathOptions, testPath } from './test-path.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

const prices = fc.oneof(
  fc.constantFrom('1', '0.91', '1.0989', '0.5', '2', '0.01', '137.25'),
  fc
    .tuple(fc.nat(99), fc.nat(99_999))
    .map(([whole, part]) => `${whole}.${String(part + 1).padStart(5, '0')}`),
)
const scales = fc.nat(18)
const passing = Object.keys(ilpErrors).filter((code) =>
  /^[TR]|F99|F05|F04/.test(code),
) as (keyof typeof ilpErrors)[]

const scenarios = fc.record({
  price: prices,
  sourceScale: scales,
  destinationScale: scales,
  receiveAmount: fc.oneof(fc.bigInt(1n, 100n), fc.bigInt(1n, 10n ** 9n), fc.bigInt(1n, AMOUNT_MAX)),
  /** The largest packet, as a part of the whole payment. */
  packets: fc.option(fc.integer({ min: 2, max: 40 }), { nil: undefined }),
  /** One packet in so many is turned away. */
  trouble: fc.option(fc.integer({ min: 2, max: 6 }), { nil: undefined }),
  troubleCode: fc.constantFrom(...passing),
  explains: fc.boolean(),
  rejects: fc.constantFrom('F99' as const, 'F05' as const),
  slow: fc.boolean(),
})
type Scenario = typeof scenarios extends fc.Arbitrary<infer T> ? T : never

const ceilDivide = (a: bigint, b: bigint) => (a + b - 1n) / b

/** A probe over the scenario's path, then the payment that a quote for `receiveAmount` would allow. */
async function probeAndPay(scenario: Scenario) {
  const source = { assetCode: 'AAA', assetScale: scenario.sourceScale }
  const destination = { assetCode: 'BBB', assetScale: scenario.destinationScale }
  const trueRate = scaleRate(parseRate(scenario.price), { source, destination })
  const minRate = multiplyRates(trueRate, rate(99n, 100n))
  const { receiveAmount } = scenario
  const wanted = ceilDivide(receiveAmount * minRate.denominator, minRate.numerator) + 1n
  const debitAmount = wanted > AMOUNT_MAX ? AMOUNT_MAX : wanted
  const receiver = ourReceiver(scenario.rejects)
  const options: TestPathOptions = {
    receiver,
    rate: trueRate,
    explains: scenario.explains,
    ...(scenario.packets && { maxPacketAmount: debitAmount / BigInt(scenario.packets) + 1n }),
  }
  const probed = await probePath(
    { send: testPath(options).send, clock: systemClock },
    { sourceAsset: source, destination: { ...receiver.destination, ...destination } },
  )
  const { trouble } = scenario
  const path = testPath({
    ...options,
    ...(trouble && {
      turnAway: ({ index }: { index: number }) =>
        (index * 7919) % trouble === 0 ? scenario.troubleCode : undefined,
    }),
    ...(scenario.slow && { delayMs: (index: number) => (index * 31) % 17 }),
  })
  const fulfilled: { amount: bigint; arrived: bigint }[] = []
  const send: SendPacket = async (prepare) => {
    const reply = await path.send(prepare)
    if (isFulfill(reply)) {
      const arrived = (prepare.amount * trueRate.numerator) / trueRate.denominator
      fulfilled.push({ amount: prepare.amount, arrived })
    }
    return reply
  }
  const payment = createStreamPayment(
    { send, clock: systemClock },
    {
      destination: receiver.destination,
      debitAmount,
      receiveAmount,
      sentAmount: 0n,
      deliveredAmount: 0n,
      minRate,
      ...probed,
    },
  )
  const result = await payment.run({ budgetMs: 600_000 })
  return { result, probed, path, receiver, fulfilled, trueRate, minRate, debitAmount }
}

/** `units × by`, rounded up, without the code under test. */
const ceilTimes = (units: bigint, by: Rate) => ceilDivide(units * by.numerator, by.denominator)

test('whatever the path does: money is conserved, no rate is undercut, and nothing is overspent or overdelivered', async () => {
  let done = 0
  let stopped = 0
  await fc.assert(
    fc.asyncProperty(scenarios, async (scenario) => {
      const paid = await inFakeTime(async () => {
        try {
          return await probeAndPay(scenario)
        } catch (error) {
          if (error instanceof ProbeFailed) return undefined
          throw error
        }
      })
      if (!paid) return
      const { result, path, receiver, fulfilled, trueRate, minRate, debitAmount, probed } = paid
      const { receiveAmount } = scenario

      assert.equal(result.sentAmount, path.spent())
      // What a receiver says that it got is an amount, however often it says so.
      const received = receiver.received()
      assert.equal(result.deliveredAmount, received > AMOUNT_MAX ? AMOUNT_MAX : received)
      assert.equal(result.packets.sent, path.amounts.length)
      assert.equal(result.packets.fulfilled, fulfilled.length)
      assert.equal(result.packets.rejected, path.codes.length)
      assert.equal(
        result.rejects.reduce((sum, { count }) => sum + count, 0),
        path.codes.length,
      )
      assert.ok(result.sentAmount <= debitAmount)

      // Rounding of the last packet: two source units, and one destination unit.
      assert.ok(receiver.received() <= receiveAmount + ceilTimes(2n, trueRate) + 1n)
      // All packets but the last bring their full minimum; the last may lose one source unit to rounding.
      const short = fulfilled.filter(({ amount, arrived }) => arrived < ceilTimes(amount, minRate))
      assert.ok(short.length <= 1)
      for (const { amount, arrived } of short)
        assert.ok(arrived >= ceilTimes(amount - 1n, minRate) || arrived >= 1n)

      assert.notEqual(result.status, 'progress')
      if (result.status === 'done') {
        done++
        assert.ok(receiver.received() >= receiveAmount)
      } else {
        stopped++
        // Only rounding (of the probe, or of small packets) and what no packet can carry end such payments early.
        assert.ok(result.status === 'failed')
        const reason =
          result.failure.code === 'packet_rejected' ? result.failure.ilpCode : result.failure.code
        assert.ok(reason === 'insufficient_exchange_rate' || reason === 'F03', reason)
        if (reason === 'insufficient_exchange_rate' && debitAmount < AMOUNT_MAX) {
          const precise = probed.lowRate.numerator >= 1_000_000n && !scenario.packets && !scenario.trouble
          assert.ok(!precise, 'a precise rate and one packet are enough')
        }
      }
    }),
    { seed, numRuns: 300 },
  )
  assert.ok(done > stopped, `${done} done, ${stopped} stopped`)
})

test('without limits a payment takes one packet, or a second when the probe was less precise than it is large', async () => {
  await fc.assert(
    fc.asyncProperty(scenarios, async (scenario) => {
      const simple = {
        ...scenario,
        packets: undefined,
        trouble: undefined,
        destinationScale: scenario.sourceScale,
      }
      const { result, path } = await inFakeTime(() => probeAndPay(simple))
      // Near the largest amount one packet cannot carry it all.
      if (result.status !== 'done' || scenario.receiveAmount > 2n ** 60n) return
      assert.ok(path.amounts.length <= 2, `${path.amounts.length} packets`)
      if (result.sentAmount <= 10n ** 12n) assert.equal(path.amounts.length, 1)
    }),
    { seed, numRuns: 200 },
  )
})
