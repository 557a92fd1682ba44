import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import {
  type ReceivedSpan,
  startTestCollector,
  type TestCollector,
  waitFor,
} from '../shared/testing/index.ts'
import { type PaymentOutcome, pay } from './payment.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000
const OUTGOING = 'upesi.outgoing_payment.id'
const INCOMING = 'upesi.incoming_payment.id'

const collectedBy = (urls: string) => ({
  ENABLE_TELEMETRY: 'true',
  ENABLE_TELEMETRY_TRACES: 'true',
  OPEN_TELEMETRY_COLLECTOR_URLS: urls,
  OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: urls,
  OPEN_TELEMETRY_PROTOCOL: 'http/json',
  OPEN_TELEMETRY_EXPORT_INTERVAL: '300',
})

/** Of all processes, each of which tells of its own when it has gathered some. */
const SPANS_OF_PAYER = [
  'upesi-admin outgoing_payment',
  'upesi-admin outgoing_payment.create',
  'upesi-admin outgoing_payment.fund',
  'upesi-payments outgoing-payments job',
  'upesi-payments ILP.pay',
  'upesi-payments POST',
  'upesi-connector rpc send',
  'upesi-connector ilp.send',
  'upesi-connector ledger.createTransfers',
  'upesi-webhooks webhooks job',
  'upesi-webhooks POST',
]

const hexOf = (id: string) => id.replaceAll('-', '')

const payAcross = (banks: TestBanks): Promise<PaymentOutcome> =>
  pay({ payer: banks.side('a', 'alice'), payee: banks.side('b', 'bob'), receiveValue: 500n, timeoutMs })

describe('a payment between two banks, collected', () => {
  let collector: TestCollector
  let banks: TestBanks
  let outcome: PaymentOutcome
  let ofPayer: ReceivedSpan[]
  let ofPayee: ReceivedSpan[]

  const traceOf = (id: string) => collector.spans.filter(({ traceId }) => traceId === hexOf(id))
  const isWhole = (spans: readonly ReceivedSpan[]) => {
    const ids = new Set(spans.map(({ spanId }) => spanId))
    return spans.every(({ parentSpanId }) => parentSpanId === undefined || ids.has(parentSpanId))
  }
  const namesOf = (spans: readonly ReceivedSpan[]) => spans.map(({ name, service }) => `${service} ${name}`)

  before(async () => {
    collector = await startTestCollector()
    banks = await startTestBanks({
      environments: { a: collectedBy(collector.url), b: collectedBy(collector.url) },
    })
    outcome = await payAcross(banks)
    const { id } = outcome.outgoing
    await waitFor(
      () =>
        traceOf(id).filter(({ name }) => name === 'webhooks job').length >= 2 &&
        SPANS_OF_PAYER.every((name) => namesOf(traceOf(id)).includes(name)) &&
        isWhole(traceOf(id)) &&
        isWhole(traceOf(outcome.incomingPaymentId)) &&
        traceOf(outcome.incomingPaymentId).some(({ name }) => name === 'ilp.deliver'),
      timeoutMs,
    ).catch(() => undefined)
    ofPayer = traceOf(id)
    ofPayee = traceOf(outcome.incomingPaymentId)
  })
  after(async () => {
    await banks.close()
    await collector.close()
  })

  it('has a trace at the payer, whose id is the payment’s, from its creation to the last webhook', () => {
    const names = namesOf(ofPayer)
    for (const expected of SPANS_OF_PAYER)
      assert.ok(names.includes(expected), `${expected} in ${names.join(', ')}`)
  })

  it('is one tree: every span but the root has its parent in it', () => {
    for (const trace of [ofPayer, ofPayee]) {
      const ids = new Set(trace.map(({ spanId }) => spanId))
      assert.equal(ids.size, trace.length, 'ids are different')
      const roots = trace.filter(({ parentSpanId }) => parentSpanId === undefined)
      assert.deepEqual(
        roots.map(({ name }) => name),
        [trace === ofPayer ? 'outgoing_payment' : 'incoming_payment'],
      )
      for (const span of trace)
        assert.ok(
          span.parentSpanId === undefined || ids.has(span.parentSpanId),
          `${span.name} has its parent`,
        )
    }
  })

  it('names the payment on every span', () => {
    for (const span of ofPayer) assert.equal(span.attributes[OUTGOING], outcome.outgoing.id, span.name)
    for (const span of ofPayee) assert.equal(span.attributes[INCOMING], outcome.incomingPaymentId, span.name)
  })

  it('points from the payer’s trace to the payee’s, where the delivery is', () => {
    const root = ofPayee.find(({ name }) => name === 'incoming_payment')
    const links = ofPayer.find(({ name }) => name === 'ILP.pay')?.links ?? []
    assert.ok(links.some(({ traceId, spanId }) => traceId === root?.traceId && spanId === root.spanId))
    assert.ok(namesOf(ofPayee).includes('upesi-connector ilp.deliver'))
  })

  it('links the requests that worked on the payment, and names it on them', () => {
    const graphql = collector.spans.find(({ name }) => name === 'mutation createOutgoingPayment')
    assert.equal(graphql?.attributes[OUTGOING], outcome.outgoing.id)
    const http = collector.spans.find(({ spanId }) => spanId === graphql?.parentSpanId)
    assert.equal(http?.name, 'POST /graphql')
    assert.equal(http?.attributes[OUTGOING], outcome.outgoing.id)
    const create = ofPayer.find(({ name }) => name === 'outgoing_payment.create')
    assert.ok(create?.links.some(({ spanId }) => spanId === graphql?.spanId))
  })

  it('carries the trace over the RPC', () => {
    const send = ofPayer.find(({ name }) => name === 'rpc send')
    const parent = ofPayer.find(({ spanId }) => spanId === send?.parentSpanId)
    assert.deepEqual([parent?.service, parent?.name], ['upesi-payments', 'POST'])
  })

  it('says nothing of it to the other bank', () => {
    const opened = collector.spans.filter(({ attributes }) => attributes['upesi.listener'] === 'openPayments')
    assert.ok(opened.length > 0)
    for (const span of opened) {
      assert.equal(span.parentSpanId, undefined, 'a request from outside begins a trace')
      assert.notEqual(span.traceId, hexOf(outcome.outgoing.id))
    }
  })

  it('shows metrics on private listeners, and not on public ones', async () => {
    const { ports } = banks.a.settings
    const read = async (port: number) => (await fetch(`http://localhost:${port}/metrics`)).text()
    for (const port of [ports.connectorRpc, ports.admin, ports.authAdmin])
      assert.match(await read(port), /^process_resident_memory_bytes \d+$/m)
    for (const port of [ports.openPayments, ports.auth, ports.interaction, ports.connector])
      assert.doesNotMatch(await read(port), /process_resident_memory_bytes/)
  })

  it('has no error, and no words of anybody', () => {
    for (const span of [...ofPayer, ...ofPayee]) {
      assert.notEqual(span.status, 2, span.name)
      assert.doesNotMatch(JSON.stringify(span.attributes), /secret|signature|Bearer/i)
    }
  })

  it('arrives as metrics under the names that dashboards know', async () => {
    const expected = [
      'transactions_total',
      'transaction_fee_amounts',
      'packet_count_prepare',
      'packet_count_fulfill',
      'packet_amount_fulfill',
      'pay_time_ms',
      'ilp_payment_round_trip_ms',
      'ilp_rate_probe_time_ms',
      'ilp_prepare_packet_processing_ms',
      'quote_service_create_time_ms',
      'quote_service_create_get_quote_time_ms',
      'outgoing_payment_service_create_time_ms',
      'outgoing_payment_lifecycle_completed_ms',
      'process_pending_payment_ms',
      'deposit_outgoing_payment_liquidity_ms',
      'fund_payment_ms',
      'getReceiver',
      'psql_create_transfer_ms',
      'psql_get_account_balances',
      'upesi_ledger_call_ms',
      'upesi_queue_jobs',
      'upesi_webhook_attempts',
      'upesi_http_request_ms',
      'upesi_graphql_ms',
      'upesi_connector_packets_delivered',
      'nodejs_eventloop_lag_p99_seconds',
    ]
    const pointsOf = (name: string) => collector.points().filter(({ metric }) => metric === name)
    const missing = () =>
      expected.filter(
        (name) => !pointsOf(name).some(({ value }) => value > 0 || /upesi_queue_jobs|eventloop/.test(name)),
      )
    await waitFor(() => missing().length === 0, timeoutMs).catch(() => assert.deepEqual(missing(), []))
    for (const point of collector.points()) {
      assert.match(String(point.attributes.source), /^Bank [AB]$/, 'dashboards tell nodes apart by it')
      assert.equal(point.unit, '', 'a unit would become part of the name')
    }
    const ofA = (name: string) => pointsOf(name).find(({ attributes }) => attributes.source === 'Bank A')
    assert.equal(ofA('transactions_total')?.value, 1)
    assert.equal(ofA('packet_count_prepare')?.value, 1)
    assert.equal(ofA('packet_count_fulfill')?.value, 1)
    // 5.50 USD left and 5.00 EUR at 1.0989 arrived: 5.4945, in units of 0.0001.
    assert.equal(ofA('transaction_fee_amounts')?.value, 55_000 - 54_945)
    const operations = pointsOf('ilp_prepare_packet_processing_ms').map(
      ({ attributes }) => attributes.operation,
    )
    assert.ok(operations.includes('outgoing_payment') && operations.includes('incoming_payment'))
    assert.equal(ofA('pay_time_ms')?.attributes.callName, 'PaymentMethodHandlerService:pay')
  })
})

describe('a collector', () => {
  it('that is away disturbs nothing, and neither does one that never answers', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const silent = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
    })
    const port = await new Promise<number>((resolve) => {
      silent.listen(0, '127.0.0.1', () => {
        const address = silent.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    })
    const urls = `http://127.0.0.1:9,http://127.0.0.1:${port}`
    const banks = await startTestBanks({
      environments: {
        a: collectedBy(urls),
        b: { ...collectedBy(urls), OPEN_TELEMETRY_PROTOCOL: 'grpc' },
      },
    })
    try {
      for (let n = 0; n < 3; n++) assert.equal((await payAcross(banks)).outgoing.state, 'COMPLETED')
      await banks.audit()
    } finally {
      const startedAt = performance.now()
      await banks.close()
      assert.ok(performance.now() - startedAt < 45_000, 'and the node ends')
      for (const socket of sockets) socket.destroy()
      silent.close()
    }
  })
})
