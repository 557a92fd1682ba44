import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { configuration, silentLogger } from '../../shared/platform/index.ts'
import {
  createTelemetry,
  createUsd,
  type Telemetry,
  telemetryVariables,
  toPrometheus,
} from '../../shared/telemetry/index.ts'
import { startTestCollector, waitFor } from '../../shared/testing/index.ts'
import { createReject } from '../packet/index.ts'
import { AnswerUnknown } from './errors.ts'
import type { ForeignPacket, IncomingPacket, Reply } from './model.ts'
import { createPacketObserver } from './observe-packets.ts'

const start = (env: Record<string, string> = {}): Promise<Telemetry> =>
  createTelemetry(configuration.loadConfig(telemetryVariables, env), { name: 'connector', log: silentLogger })

const observerOf = (telemetry: Telemetry, usd = createUsd({ now: () => undefined })) =>
  createPacketObserver({ telemetry, ilpAddress: 'test.own', usd, ilpTiming: true })

const packetOf = (kind: 'peer' | 'payment' | 'probe', amount = 100n, id = 'account'): IncomingPacket => ({
  account: {
    kind,
    id,
    tenantId: 'tenant',
    asset: { id: 'asset', assetCode: 'USD', assetScale: 2, ledger: 1 },
  },
  prepare: { amount } as IncomingPacket['prepare'],
})

const fulfill: Reply = { fulfillment: Buffer.alloc(32), data: Buffer.alloc(0) }
const rejected = (code: string, triggeredBy: string): Reply => ({
  ...createReject('F00', { triggeredBy, message: 'no' }),
  code,
})

const linesOf = async ({ instruments }: Telemetry): Promise<string[]> =>
  toPrometheus(await instruments.collect()).split('\n')

describe('packets that are watched', () => {
  test('are counted as dashboards count them: with an amount, without probes', async () => {
    const telemetry = await start()
    const observer = observerOf(telemetry)
    const answers: [IncomingPacket, Reply][] = [
      [packetOf('peer'), fulfill],
      [packetOf('payment'), fulfill],
      [packetOf('peer'), rejected('T04', 'test.own')],
      [packetOf('peer'), rejected('F99', 'test.other')],
      [packetOf('peer', 0n), fulfill],
      [packetOf('probe'), rejected('F99', 'test.other')],
    ]
    for (const [packet, answer] of answers)
      assert.equal(await observer.all(async () => answer)(packet), answer)
    const lines = await linesOf(telemetry)
    for (const line of [
      'packet_count_prepare_total 4',
      'packet_count_fulfill_total 2',
      'packet_count_reject_total 2',
      'upesi_packet_rejects_total{code="T04",origin="self"} 1',
      'upesi_packet_rejects_total{code="F99",origin="other"} 2',
    ])
      assert.ok(lines.includes(line), line)
    assert.ok(lines.some((line) => /^packet_amount_fulfill_total [1-9]\d+$/.test(line)))
    await telemetry.close()
  })

  test('have no more codes than there are, whatever peers say', async () => {
    const telemetry = await start()
    const observer = observerOf(telemetry)
    for (let n = 0; n < 100; n++)
      await observer.all(async () => rejected(`X${n}`, `test.peer${n}`))(packetOf('peer'))
    const lines = (await linesOf(telemetry)).filter((line) => line.startsWith('upesi_packet_rejects_total{'))
    assert.deepEqual(lines, ['upesi_packet_rejects_total{code="other",origin="other"} 100'])
    await telemetry.close()
  })

  test('are timed by where they went', async () => {
    const telemetry = await start()
    const observer = observerOf(telemetry)
    const toPeer = observer.toPeer(async () => fulfill)
    const forward = observer.all(async (packet) => toPeer(packet as ForeignPacket))
    await forward(packetOf('peer'))
    await forward(packetOf('payment'))
    await observer.all(async () => fulfill)(packetOf('peer'))
    const lines = await linesOf(telemetry)
    for (const operation of ['routing', 'outgoing_payment', 'unknown'])
      assert.ok(
        lines.includes(`ilp_prepare_packet_processing_ms_count{operation="${operation}"} 1`),
        operation,
      )
    await telemetry.close()
  })

  test('get their answer, or none, whatever becomes of the counting', async () => {
    const telemetry = await start()
    const broken = createUsd({
      now: () => {
        throw new Error('no price')
      },
    })
    const observer = observerOf(telemetry, broken)
    const inEuro = packetOf('peer')
    const packet = {
      ...inEuro,
      account: { ...inEuro.account, asset: { ...inEuro.account.asset, assetCode: 'EUR' } },
    }
    assert.equal(await observer.all(async () => fulfill)(packet), fulfill)
    const unknown = new AnswerUnknown('nobody knows')
    await assert.rejects(observer.all(() => Promise.reject(unknown))(packet), (error) => error === unknown)
    await telemetry.close()
  })

  test('have spans, a bounded number in a second', async (t) => {
    const collector = await startTestCollector()
    t.after(() => collector.close())
    const telemetry = await start({
      ENABLE_TELEMETRY_TRACES: 'true',
      OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: collector.url,
      OPEN_TELEMETRY_PROTOCOL: 'http/json',
    })
    const observer = observerOf(telemetry)
    const id = '0a1b2c3d-0000-4000-8000-00000000000a'
    const handle = observer.all(async () => fulfill)
    for (let n = 0; n < 2_000; n++) await handle(packetOf('payment', 1n, id))
    await handle(packetOf('peer'))
    await waitFor(() => collector.spans.length > 0, 5_000)
    await telemetry.close()
    assert.ok(
      collector.spans.length >= 200 && collector.spans.length <= 600,
      `${collector.spans.length} spans`,
    )
    for (const { name, attributes } of collector.spans) {
      assert.equal(name, 'ilp.send')
      assert.equal(attributes['upesi.outgoing_payment.id'], id)
      assert.equal(attributes['upesi.ilp.answer'], 'fulfill')
    }
  })
})
