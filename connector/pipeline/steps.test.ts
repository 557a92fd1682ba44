import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Fault, silentLogger } from '../../shared/platform/index.ts'
import { waitFor } from '../../shared/testing/index.ts'
import { createCounters } from '../counters.ts'
import { isFulfill, isReject, parsePrepare, serializePrepare } from '../packet/index.ts'
import { fulfilWithData, testPrepare } from '../testing/test-hop.ts'
import { answerFaults } from './answer-faults.ts'
import { countPackets } from './count-packets.ts'
import { AnswerUnknown } from './errors.ts'
import { joinDuplicates } from './join-duplicates.ts'
import type { IncomingAccount, IncomingPacket, Reply } from './model.ts'
import { createProgressRecorder, type Progress } from './record-progress.ts'
import { createRejects } from './rejects.ts'

const rejects = createRejects('test.node')
const emptyLedger = { lookupTransfers: async (ids: readonly string[]) => ids.map(() => undefined) }
const account: IncomingAccount = {
  kind: 'peer',
  id: '0a1b2c3d-0000-4000-8000-000000000001',
  tenantId: '0a1b2c3d-0000-4000-8000-000000000002',
  asset: { id: '0a1b2c3d-0000-4000-8000-000000000003', assetCode: 'USD', assetScale: 2, ledger: 1 },
}
const packet = (fields: Partial<IncomingAccount> = {}, prepare = testPrepare('test.x')): IncomingPacket => ({
  account: { ...account, ...fields },
  prepare: parsePrepare(serializePrepare(prepare)),
})

test('a step that breaks is answered with T00; an answer that is not known is none', async () => {
  const counters = createCounters()
  const answering = (next: () => Promise<Reply>) =>
    countPackets(
      { counters },
      joinDuplicates(
        { counters, ledger: emptyLedger },
        answerFaults({ rejects, log: silentLogger, ledger: emptyLedger }, next),
      ),
    )
  const broken = answering(async () => {
    throw new TypeError('bug')
  })
  const reply = await broken(packet())
  const brokenAtOnce = answering(() => {
    throw new TypeError('bug')
  })
  assert.deepEqual(await brokenAtOnce(packet()), reply)
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.message], ['T00', 'unexpected internal error'])
  const unknown = answering(async () => {
    throw new AnswerUnknown('nobody knows')
  })
  await assert.rejects(unknown(packet()), AnswerUnknown)
  const { packets_received, packets_rejected, unanswered_packets } = counters.read()
  assert.deepEqual([packets_received, packets_rejected, unanswered_packets], [3, 2, 1])
})

test('only an equal packet is a repeat', async () => {
  let handled = 0
  const joined = joinDuplicates({ counters: createCounters(), ledger: emptyLedger }, async (identified) => {
    handled++
    return fulfilWithData(identified.prepare) as Reply
  })
  const prepare = testPrepare('test.x')
  await joined(packet({}, prepare))
  await joined(packet({}, prepare))
  assert.equal(handled, 1)
  const others = [
    packet({}, { ...prepare, amount: 11n }),
    packet({}, { ...prepare, destination: 'test.y' }),
    packet({}, { ...prepare, expiresAt: new Date(prepare.expiresAt.getTime() + 1) }),
    packet({}, { ...prepare, executionCondition: Buffer.alloc(32) }),
    packet({ id: '0a1b2c3d-0000-4000-8000-000000000009' }, prepare),
  ]
  for (const other of others) await joined(other)
  assert.equal(handled, 1 + others.length)
  // A packet of nothing, and one of a probe, are never repeats.
  for (let repeat = 0; repeat < 2; repeat++) {
    await joined(packet({}, { ...prepare, amount: 0n }))
    await joined(packet({ kind: 'probe' }, prepare))
  }
  assert.equal(handled, 1 + others.length + 4)
})

test('a repeat gets the same bytes again, and what is remembered for it keeps nothing else alive', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  // As a socket or the pool of Buffers hands them out: a small piece of something large.
  const cutOut = (value: Buffer) => Buffer.concat([value, Buffer.alloc(64 * 1024)]).subarray(0, value.length)
  const joined = joinDuplicates({ counters: createCounters(), ledger: emptyLedger }, async () => ({
    fulfillment: cutOut(bytes.subarray(128, 160)),
    data: cutOut(bytes),
  }))
  const prepare = testPrepare('test.x')
  const numbered = (number: number) => packet({}, { ...prepare, amount: BigInt(number) })
  const first = await joined(numbered(1))
  const before = collectedBuffers()
  for (let number = 1; number <= 1_000; number++)
    await joined(packet({ id: `0a1b2c3d-0000-4000-8000-${String(number).padStart(12, '0')}` }, prepare))
  // What was collected is given back by a thread of its own, a moment later.
  await waitFor(() => collectedBuffers() - before < 10_000_000)
  assert.deepEqual(await joined(numbered(1)), first)
})

/** Bytes of Buffers that anybody still holds. */
function collectedBuffers(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().arrayBuffers
}

test('a fulfilment with much data is not remembered, and asked for anew', async () => {
  let handled = 0
  const joined = joinDuplicates({ counters: createCounters(), ledger: emptyLedger }, async () => {
    handled++
    return { fulfillment: Buffer.alloc(32), data: Buffer.alloc(4_097) }
  })
  const prepare = testPrepare('test.x')
  await joined(packet({}, prepare))
  assert.ok(isFulfill(await joined(packet({}, prepare))))
  assert.equal(handled, 2)
})

test('what was rejected stays rejected, for whatever reason: the sender may count on any of its answers', async () => {
  const data = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const first: (() => Reply)[] = [
    () => rejects('T04', 'InsufficientBalance'),
    () => rejects('F99', '', data),
    () => rejects('F02', 'x'.repeat(4_097)),
    () => {
      throw new TypeError('bug')
    },
  ]
  for (const answer of first) {
    let handled = 0
    const counters = createCounters()
    const joined = joinDuplicates(
      { counters, ledger: emptyLedger },
      answerFaults({ rejects, log: silentLogger, ledger: emptyLedger }, async ({ prepare }) =>
        ++handled === 1 ? answer() : (fulfilWithData(prepare) as Reply),
      ),
    )
    const prepare = testPrepare('test.x')
    const reply = await joined(packet({}, prepare))
    assert.ok(isReject(reply))
    const again = await joined(packet({}, prepare))
    // Words without end are not kept.
    assert.deepEqual(again, reply.message.length > 4_096 ? { ...reply, message: '' } : reply)
    assert.deepEqual([handled, counters.read().duplicate_packets], [1, 1])
    // Another packet that has its ids, of which nothing moved, is a new one, and then it is the one that is known.
    const smaller = { ...prepare, amount: 1n }
    for (let repeat = 0; repeat < 2; repeat++) assert.ok(isFulfill(await joined(packet({}, smaller))))
    assert.deepEqual([handled, counters.read().duplicate_packets], [2, 2])
  }
})

test('packets that share their ids have each its own Reject', async () => {
  let answer: (packet: IncomingPacket) => Reply = () => rejects('T04', 'InsufficientBalance')
  const joined = joinDuplicates({ counters: createCounters(), ledger: emptyLedger }, async (identified) =>
    answer(identified),
  )
  const prepare = testPrepare('test.x')
  const numbered = (amount: bigint) => joined(packet({}, { ...prepare, amount }))
  assert.ok(isReject(await numbered(10n)))
  assert.ok(isReject(await numbered(5n)))
  answer = ({ prepare: { amount } }) =>
    amount === 2n ? rejects('F08', 'too much') : (fulfilWithData(testPrepare('test.x')) as Reply)
  assert.ok(isFulfill(await numbered(1n)))
  // Also beside a packet that was fulfilled.
  const refused = await numbered(2n)
  assert.ok(isReject(refused))
  answer = () => fulfilWithData(testPrepare('test.x')) as Reply
  assert.deepEqual(await numbered(2n), refused)
  for (const amount of [10n, 5n]) assert.ok(isReject(await numbered(amount)))
})

test('many rejects displace no fulfilment', async () => {
  let handled = 0
  const joined = joinDuplicates({ counters: createCounters(), ledger: emptyLedger }, async ({ prepare }) => {
    handled++
    return prepare.amount === 1n ? (fulfilWithData(prepare) as Reply) : rejects('T04', 'InsufficientBalance')
  })
  const prepare = { ...testPrepare('test.x'), amount: 1n }
  await joined(packet({}, prepare))
  for (let number = 1; number <= 20_000; number++)
    await joined(
      packet({}, { ...prepare, amount: 2n, expiresAt: new Date(prepare.expiresAt.getTime() + number) }),
    )
  assert.ok(isFulfill(await joined(packet({}, prepare))))
  assert.equal(handled, 20_001)
})

test('a record that fails is repeated until it is written, and a packet waits for it a second at most', async () => {
  const counters = createCounters()
  const written: Progress[] = []
  let failures = 2
  const recorder = createProgressRecorder({
    async write(progress) {
      if (failures-- > 0) throw new Fault('database_unavailable', { retryable: true })
      written.push(progress)
    },
    log: silentLogger,
    counters,
  })
  const progress = { incomingPaymentId: 'p', receivedAmount: 5n }
  await recorder.record(progress)
  assert.deepEqual(written, [progress])
  assert.equal(counters.read().progress_retries, 2)

  failures = Number.POSITIVE_INFINITY
  const startedMs = performance.now()
  await recorder.record(progress)
  // The packet waits a second at most; the record goes on.
  assert.ok(performance.now() - startedMs < 1_500)
  failures = 0
  await waitFor(() => written.length === 2)
  await recorder.close(1_000)
})
