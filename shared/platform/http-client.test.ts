import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, before, test } from 'node:test'
import { createGuardedHttp } from './egress-http.ts'
import { Fault } from './errors.ts'
import { createTrustedHttp, type HttpClient, type HttpRequest } from './http-client.ts'

type Handle = (request: IncomingMessage, response: ServerResponse) => void
let handle: Handle = (_request, response) => response.end()
let http: HttpClient
let url = ''
let connections = 0
const server = createServer((request, response) => handle(request, response))
server.on('connection', () => connections++)

before(async () => {
  http = createTrustedHttp({ connectionsPerHost: 1 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/path?query=1`
})
after(async () => {
  await http.close()
  server.closeAllConnections()
  server.close()
})

const get = (more: Partial<HttpRequest> = {}) =>
  http.request({ method: 'GET', url, timeoutMs: 5_000, ...more })
const isFault = (code: string, retryable: boolean) => (error: unknown) =>
  error instanceof Fault && error.code === code && error.retryable === retryable

test('an answer comes with its status, headers and body, whatever was said before it', async () => {
  handle = (request, response) => {
    response.writeProcessing()
    response.writeHead(418, { 'x-one': '1', 'set-cookie': ['a', 'b'] })
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      response.write(`${request.method} ${request.url} ${request.headers['x-sent']} `)
      setImmediate(() => response.end(Buffer.concat(parts)))
    })
  }
  const answer = await get({ method: 'POST', headers: { 'x-sent': 'yes' }, body: 'a body' })
  assert.equal(answer.status, 418)
  assert.deepEqual([answer.headers['x-one'], answer.headers['set-cookie']], ['1', ['a', 'b']])
  assert.equal(answer.body.toString(), 'POST /path?query=1 yes a body')
  handle = (_request, response) => response.writeHead(204).end()
  const { status, body } = await get()
  assert.deepEqual([status, body.length], [204, 0])
})

test('who does not answer in time, or stops in the middle, is given up, and the next request has a connection', async () => {
  for (const silent of [
    () => undefined,
    (_request: unknown, response: ServerResponse) => void response.write('half'),
  ]) {
    handle = silent
    const startedAt = performance.now()
    await assert.rejects(get({ timeoutMs: 60 }), isFault('request_timeout', true))
    assert.ok(performance.now() - startedAt < 4_000)
    handle = (_request, response) => response.end('ok')
    assert.equal((await get()).body.toString(), 'ok')
  }
})

test('what waits for the one connection is given up in its time and never sent', async () => {
  const paths: string[] = []
  const holding = Promise.withResolvers<void>()
  handle = (request, response) => {
    paths.push(request.url ?? '')
    void holding.promise.then(() => response.end())
  }
  const first = get()
  await assert.rejects(get({ url: `${url}&late`, timeoutMs: 50 }), isFault('request_timeout', true))
  const controller = new AbortController()
  const aborted = get({ url: `${url}&aborted`, signal: controller.signal })
  controller.abort(new Error('closing'))
  await assert.rejects(aborted, /closing/)
  await assert.rejects(get({ signal: AbortSignal.abort(new Error('closed')) }), /closed/)
  holding.resolve()
  await first
  await get({ url: `${url}&next` })
  assert.deepEqual(paths, ['/path?query=1', '/path?query=1&next'])
})

test('a body beyond the limit is no answer, and one at the limit is', async () => {
  handle = (_request, response) => response.end(Buffer.alloc(1_000))
  assert.equal((await get({ responseSizeMax: 1_000 })).body.length, 1_000)
  await assert.rejects(get({ responseSizeMax: 999 }), isFault('response_too_large', false))
  assert.equal((await get()).body.length, 1_000)
})

test('a connection that is refused, reset or talks something else is a fault that may pass', async () => {
  handle = (request) => request.socket.resetAndDestroy()
  await assert.rejects(get(), isFault('connection_failed', true))
  handle = (_request, response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.write('half', () => response.socket?.destroy())
  }
  await assert.rejects(get(), isFault('connection_failed', true))
  const babbler = createTcpServer(
    (socket) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .end('no http\r\n\r\n'),
  )
  babbler.listen(0, '127.0.0.1')
  await once(babbler, 'listening')
  const { port } = babbler.address() as AddressInfo
  await assert.rejects(get({ url: `http://127.0.0.1:${port}/` }), isFault('connection_failed', true))
  babbler.close()
  await once(babbler, 'close')
  await assert.rejects(get({ url: `http://127.0.0.1:${port}/` }), isFault('connection_failed', true))
  await assert.rejects(get({ url: 'no url' }), isFault('connection_failed', true))
})

test('connections are kept and used again', async () => {
  handle = (_request, response) => response.end('ok')
  await get()
  const before = connections
  for (let count = 0; count < 20; count++) await get()
  assert.equal(connections, before)
})

for (const [name, create] of [
  ['the trusted client', () => createTrustedHttp()],
  ['the guarded client', () => createGuardedHttp({ allow: ['127.0.0.1'], allowHttp: false })],
] as const)
  test(`${name} offers HTTP/1.1 and nothing else`, async () => {
    let hello: Buffer = Buffer.alloc(0)
    const listener = createTcpServer((socket) => {
      socket.once('data', (data: Buffer) => {
        hello = data
        socket.destroy()
      })
    })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const client = create()
    const { port } = listener.address() as AddressInfo
    await assert.rejects(
      client.request({ method: 'GET', url: `https://127.0.0.1:${port}/`, timeoutMs: 5_000 }),
      Fault,
    )
    await client.close()
    listener.close()
    // Names of protocols stand in the client's first message behind their lengths (RFC 7301 §3.1).
    assert.ok(hello.includes('\x08http/1.1'))
    assert.ok(!hello.includes('\x02h2'))
  })
