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
import { AnswerUnknown } from './errors.ts'
import { joinDuplicates } from './join-duplicates.ts'
import type { IncomingAccount, IncomingPacket, Reply } from './model.ts'
import { createProgressRecorder, type Progress } from './record-progress.ts'
import { createRejects } from './rejects.ts'

const rejects = createRejects('test.node')
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
  const ctx = { rejects, log: silentLogger, counters }
  const broken = answerFaults(ctx, async () => {
    throw new TypeError('bug')
  })
  const reply = await broken(packet())
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.message], ['T00', 'unexpected internal error'])
  const unknown = answerFaults(ctx, async () => {
    throw new AnswerUnknown('nobody knows')
  })
  await assert.rejects(unknown(packet()), AnswerUnknown)
  assert.equal(counters.read().packets_rejected, 1)
  assert.equal(counters.read().unanswered_packets, 1)
})

test('only an equal packet is a repeat', async () => {
  let handled = 0
  const joined = joinDuplicates({ counters: createCounters() }, async (identified) => {
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
  const joined = joinDuplicates({ counters: createCounters() }, async () => ({
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
  const joined = joinDuplicates({ counters: createCounters() }, async () => {
    handled++
    return { fulfillment: Buffer.alloc(32), data: Buffer.alloc(4_097) }
  })
  const prepare = testPrepare('test.x')
  await joined(packet({}, prepare))
  assert.ok(isFulfill(await joined(packet({}, prepare))))
  assert.equal(handled, 2)
})

test('a reject is not remembered: the same packet may find money later', async () => {
  const answers: Reply[] = [
    rejects('T04', 'InsufficientBalance'),
    fulfilWithData(testPrepare('test.x')) as Reply,
  ]
  const joined = joinDuplicates({ counters: createCounters() }, async () => answers.shift() as Reply)
  const prepare = testPrepare('test.x')
  assert.ok(isReject(await joined(packet({}, prepare))))
  assert.ok(isFulfill(await joined(packet({}, prepare))))
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
