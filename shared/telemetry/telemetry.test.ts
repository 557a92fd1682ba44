import assert from 'node:assert/strict'
import { createServer as createHttp2Server } from 'node:http2'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import {
  configuration,
  createHttpApp,
  createTrustedHttp,
  listenOn,
  Refusal,
  silentLogger,
  uuidv7,
} from '../platform/index.ts'
import { startTestCollector, startTestHttpServer, type TestCollector, waitFor } from '../testing/index.ts'
import { createCollectorTransport } from './collector-transport.ts'
import {
  createTelemetry,
  observeHttpApp,
  observeHttpClient,
  serveMetrics,
  type Telemetry,
  traced,
} from './index.ts'
import { parseBaggage, parseTraceparent, placeOf, toTraceparent } from './payment-trace.ts'
import { telemetryVariables, telemetryWarnings } from './variables.ts'

const start = (env: Record<string, string> = {}): Promise<Telemetry> =>
  createTelemetry(configuration.loadConfig(telemetryVariables, env), { name: 'test', log: silentLogger })

const tracesTo = (collector: TestCollector, env: Record<string, string> = {}) =>
  start({
    ENABLE_TELEMETRY_TRACES: 'true',
    OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: collector.url,
    OPEN_TELEMETRY_PROTOCOL: 'http/json',
    ...env,
  })

describe('without a collector', () => {
  test('telemetry is off, also when it is switched on, and says so', async () => {
    const config = configuration.loadConfig(telemetryVariables, {
      ENABLE_TELEMETRY: 'true',
      ENABLE_TELEMETRY_TRACES: 'true',
    })
    assert.equal(telemetryWarnings(config).length, 2)
    const telemetry = await createTelemetry(config, { name: 'test', log: silentLogger })
    assert.deepEqual([telemetry.exports, telemetry.traces], [false, false])
    await telemetry.close()
  })

  test('naming one is not enough: it is switched on besides, as with Rafiki', async () => {
    const telemetry = await start({ OPEN_TELEMETRY_COLLECTOR_URLS: 'http://127.0.0.1:9' })
    assert.equal(telemetry.exports, false)
    await telemetry.close()
  })

  test('work runs as it is, and is timed', async () => {
    const telemetry = await start()
    const useCase = traced('quote.create', async (_ctx: object, n: number) => n + 1, {
      timer: 'quote_service_create_time_ms',
    })
    assert.equal(await useCase({ telemetry }, 1), 2)
    assert.equal(await useCase({}, 1), 2)
    const readings = await telemetry.instruments.collect()
    const [timer] = readings.filter(({ name }) => name === 'quote_service_create_time_ms')
    assert.ok(timer && 'histogram' in timer)
    assert.equal(timer.histogram[0]?.value.count, 1)
    await telemetry.close()
  })
})

describe('METRICS_PORT', () => {
  test('is where a deployable without a listener shows its metrics and health', async () => {
    const telemetry = await start({ METRICS_PORT: '0' })
    let isReady = true
    const { metrics: port } = await telemetry.listen(async () => {
      if (!isReady) throw new Error('away')
    })
    const get = async (path: string) => {
      const response = await request(`http://127.0.0.1:${port}${path}`)
      return { status: response.statusCode, text: await response.body.text() }
    }
    assert.match((await get('/metrics')).text, /^process_resident_memory_bytes \d+$/m)
    assert.equal((await get('/readyz')).status, 200)
    isReady = false
    assert.equal((await get('/readyz')).status, 503)
    assert.equal((await get('/livez')).status, 200)
    await telemetry.close()
  })
})

describe('a payment’s trace', () => {
  test('has the payment’s id, and a root that is the same everywhere', () => {
    const outgoingPaymentId = uuidv7()
    const place = placeOf({ outgoingPaymentId, incomingPaymentId: uuidv7() })
    assert.equal(place?.traceId, outgoingPaymentId.replaceAll('-', ''))
    assert.match(place?.spanId ?? '', /^[89a-f][0-9a-f]{15}$/)
    assert.deepEqual(placeOf({ outgoingPaymentId: outgoingPaymentId.toUpperCase() }), place)
    assert.equal(placeOf({ outgoingPaymentId: 'https://x' }), undefined)
    assert.equal(placeOf({}), undefined)
  })

  test('headers are read strictly, and nothing else is ever an error', () => {
    const carried = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }
    assert.deepEqual(parseTraceparent(toTraceparent(carried)), carried)
    for (const header of [
      undefined,
      '',
      ['00'],
      `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
      `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
      `01-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`,
      `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-x`,
    ])
      assert.equal(parseTraceparent(header), undefined, String(header))
    const id = uuidv7()
    assert.deepEqual(parseBaggage(`x=1, upesi.outgoing_payment.id=${id}`), { outgoingPaymentId: id })
    for (const header of ['upesi.outgoing_payment.id=x', '=', ',,', 'x'.repeat(5_000), 7])
      assert.deepEqual(parseBaggage(header), {})
  })

  test('is recorded whole or not at all, by every process alike', async (t) => {
    const collector = await startTestCollector()
    t.after(() => collector.close())
    const processes = await Promise.all(
      [0, 1].map(() => tracesTo(collector, { OPEN_TELEMETRY_TRACE_SHARE: '0.3' })),
    )
    const ids = Array.from({ length: 200 }, () => uuidv7())
    for (const { tracing } of processes)
      for (const outgoingPaymentId of ids) {
        tracing.root('outgoing_payment', { outgoingPaymentId }, Date.now())
        await tracing.span('outer', { payment: { outgoingPaymentId } }, () =>
          tracing.span('inner', {}, async () => undefined),
        )
      }
    for (const telemetry of processes) await telemetry.close()
    const byTrace = Map.groupBy(collector.spans, ({ traceId }) => traceId)
    for (const spans of byTrace.values()) assert.equal(spans.length, 6, 'three of each process')
    assert.ok(byTrace.size > 20 && byTrace.size < 120, `${byTrace.size} of 200`)
  })
})

describe('spans', () => {
  test('are sent by a flush, for who stands still afterwards', async (t) => {
    const collector = await startTestCollector()
    const telemetry = await tracesTo(collector)
    t.after(async () => {
      await telemetry.close()
      await collector.close()
    })
    await telemetry.tracing.span('work', {}, async () => undefined)
    await telemetry.flush()
    assert.deepEqual(
      collector.spans.map(({ name }) => name),
      ['work'],
    )
  })

  test('of refusals are no errors, and hold no words', async (t) => {
    const collector = await startTestCollector()
    t.after(() => collector.close())
    const { tracing, close } = await tracesTo(collector)
    class No extends Refusal<'no'> {}
    await tracing
      .span('refused', {}, () => Promise.reject(new No('no', { message: 'private words' })))
      .catch(() => 0)
    await tracing.span('broken', {}, () => Promise.reject(new Error('private words'))).catch(() => 0)
    await close()
    const [refused, broken] = collector.spans
    assert.deepEqual([refused?.attributes['error.type'], refused?.status], ['no', 0])
    assert.deepEqual([broken?.attributes['error.type'], broken?.status], ['error', 2])
    assert.doesNotMatch(JSON.stringify(collector.spans), /private words/)
  })

  test('of requests go on with the trace of callers that are believed, and of nobody else', async (t) => {
    const collector = await startTestCollector()
    t.after(() => collector.close())
    const telemetry = await tracesTo(collector)
    t.after(() => telemetry.close())
    const outgoingPaymentId = uuidv7()
    const headers = {
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      baggage: `upesi.outgoing_payment.id=${outgoingPaymentId}`,
    }
    for (const callers of ['node', 'anybody'] as const) {
      const app = await createHttpApp({ log: silentLogger })
      t.after(() => app.close())
      observeHttpApp(telemetry, app, { listener: callers, callers })
      app.post('/things/:id', async () => ({ carried: telemetry.tracing.carried()?.traceparent }))
      const port = await listenOn(app, 0)
      const response = await request(`http://127.0.0.1:${port}/things/5?secret=x`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{"a":1}',
      })
      const { carried } = (await response.body.json()) as { carried?: string }
      assert.equal(carried?.includes('a'.repeat(32)), callers === 'node', 'and the handler is inside of it')
      await request(`http://127.0.0.1:${port}/nowhere/${uuidv7()}`).then(({ body }) => body.dump())
    }
    await telemetry.close()
    const [ofNode, ofAnybody] = ['node', 'anybody'].map((name) =>
      collector.spans.find(
        ({ name: span, attributes }) => span === 'POST /things/:id' && attributes['upesi.listener'] === name,
      ),
    )
    assert.deepEqual([ofNode?.traceId, ofNode?.parentSpanId], ['a'.repeat(32), 'b'.repeat(16)])
    assert.equal(ofNode?.attributes['upesi.outgoing_payment.id'], outgoingPaymentId)
    assert.notEqual(ofAnybody?.traceId, 'a'.repeat(32))
    assert.equal(ofAnybody?.attributes['upesi.outgoing_payment.id'], undefined)
    assert.ok(
      collector.spans.some(({ name }) => name === 'GET none'),
      'paths that are no routes have no name',
    )
  })

  test('leave with requests to parts of the node, and never with those to strangers', async (t) => {
    const [collector, server] = await Promise.all([startTestCollector(), startTestHttpServer()])
    t.after(() => Promise.all([collector.close(), server.close()]))
    const telemetry = await tracesTo(collector)
    const http = createTrustedHttp()
    const payment = { outgoingPaymentId: uuidv7() }
    const get = { method: 'GET', url: server.url, timeoutMs: 1_000 } as const
    for (const name of ['trusted', 'guarded'] as const)
      await telemetry.tracing.span('work', { payment }, async () => {
        await observeHttpClient(telemetry, http, name).request(get)
      })
    await http.close()
    await telemetry.close()
    const [trusted, guarded] = server.requests
    assert.match(
      String(trusted?.headers.traceparent),
      new RegExp(payment.outgoingPaymentId.replaceAll('-', '')),
    )
    assert.equal(trusted?.headers.baggage, `upesi.outgoing_payment.id=${payment.outgoingPaymentId}`)
    assert.deepEqual([guarded?.headers.traceparent, guarded?.headers.baggage], [undefined, undefined])
  })
})

test('requests are timed by the pattern of their route, and no id becomes a label', async (t) => {
  const telemetry = await start()
  t.after(() => telemetry.close())
  const app = await createHttpApp({ log: silentLogger })
  t.after(() => app.close())
  observeHttpApp(telemetry, app, { listener: 'test', callers: 'anybody' })
  serveMetrics(telemetry, app)
  app.get('/things/:id', async () => ({}))
  const port = await listenOn(app, 0)
  const ids = Array.from({ length: 20 }, () => uuidv7())
  for (const id of ids)
    for (const path of [`/things/${id}`, `/${id}`])
      await request(`http://127.0.0.1:${port}${path}`).then(({ body }) => body.dump())
  const text = await (await request(`http://127.0.0.1:${port}/metrics`)).body.text()
  assert.match(
    text,
    /^upesi_http_request_ms_count\{listener="test",method="GET",route="\/things\/:id",status="200"\} 20$/m,
  )
  assert.match(
    text,
    /^upesi_http_request_ms_count\{listener="test",method="GET",route="none",status="404"\} 20$/m,
  )
  for (const id of ids) assert.ok(!text.includes(id))
})

describe('OTLP over gRPC', () => {
  const listen = async (grpcStatus: string | undefined) => {
    const received: { path: string; type: string; body: Buffer }[] = []
    const server = createHttp2Server()
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('error', () => undefined)
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        received.push({
          path: String(headers[':path']),
          type: String(headers['content-type']),
          body: Buffer.concat(chunks),
        })
        if (grpcStatus === undefined) return
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }))
        stream.end(Buffer.from([0, 0, 0, 0, 0]))
      })
    })
    const sessions = new Set<{ destroy(): void }>()
    server.on('session', (session) => sessions.add(session))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const close = () => {
      for (const session of sessions) session.destroy()
      server.close()
    }
    return { url: `http://127.0.0.1:${port}`, received, close }
  }

  test('carries metrics and spans to the services of the collector', async (t) => {
    const collector = await listen('0')
    t.after(() => collector.close())
    const telemetry = await start({
      ENABLE_TELEMETRY: 'true',
      ENABLE_TELEMETRY_TRACES: 'true',
      OPEN_TELEMETRY_COLLECTOR_URLS: collector.url,
      OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: collector.url,
      OPEN_TELEMETRY_EXPORT_INTERVAL: '100',
    })
    telemetry.instruments.counter('transactions_total').add(1)
    await telemetry.tracing.span('some work', {}, () => sleep(1))
    await waitFor(() => collector.received.length >= 2, 5_000)
    await telemetry.close()
    const ofPath = (path: string) => collector.received.find((message) => message.path === path)
    const metrics = ofPath('/opentelemetry.proto.collector.metrics.v1.MetricsService/Export')
    const traces = ofPath('/opentelemetry.proto.collector.trace.v1.TraceService/Export')
    for (const message of [metrics, traces]) {
      assert.equal(message?.type, 'application/grpc')
      assert.equal(message?.body[0], 0, 'not compressed')
      assert.equal(message?.body.readUInt32BE(1), message!.body.length - 5)
    }
    assert.ok(metrics?.body.includes('transactions_total'))
    assert.ok(traces?.body.includes('some work'))
    assert.ok(traces?.body.includes('upesi-test'))
  })

  test('fails when the collector says so, when it is gone and when it says nothing', async (t) => {
    const refusing = await listen('8')
    const silent = await listen(undefined)
    t.after(() => {
      refusing.close()
      silent.close()
    })
    const send = async (url: string) => {
      const transport = createCollectorTransport({ url, protocol: 'grpc', signal: 'metrics' })
      try {
        await transport.send(Buffer.from('x'))
      } finally {
        await transport.close()
      }
    }
    await assert.rejects(send(refusing.url), /gRPC status 8/)
    await assert.rejects(send('http://127.0.0.1:9'), /ECONNREFUSED/)
    await assert.rejects(send(silent.url), /within 5000 ms/)
  })
})
