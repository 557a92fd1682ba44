import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { waitFor } from '../../shared/testing/index.ts'
import { localhostCertificate, trustLocalhost } from '../../shared/testing/localhost-certificate.ts'
import { ConnectionFault, createPeerConnections, type PeerConnections } from './peer-connections.ts'

/** What the other side does with each request that has come in whole; requests here have no body. */
type Act = (socket: Socket, index: number) => void

let closers: (() => void)[] = []
let peers: PeerConnections
beforeEach(() => {
  peers = createPeerConnections({
    connectionsMax: 4,
    keepAliveMs: 30_000,
    connectMs: 500,
    answerSizeMax: 1000,
  })
  closers = [() => peers.close()]
})
afterEach(() => {
  for (const close of closers) close()
})

async function listenOn(server: Server, scheme = 'http'): Promise<URL> {
  closers.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return new URL(`${scheme}://localhost:${(server.address() as AddressInfo).port}/`)
}

interface OtherSide {
  url: URL
  sockets: Socket[]
  requests: number
}

async function startOtherSide(act: Act): Promise<OtherSide> {
  const side: OtherSide = { url: new URL('http://x'), sockets: [], requests: 0 }
  const server = createServer((socket) => {
    side.sockets.push(socket)
    socket.on('error', () => undefined)
    closers.push(() => socket.destroy())
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        text = text.slice(end + 4)
        act(socket, side.requests++)
      }
    })
  })
  side.url = await listenOn(server)
  return side
}

const REQUEST = Buffer.from('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
const ok = (body: string, ...fields: string[]) =>
  ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...fields, '', body].join('\r\n')
const post = async (url: URL, timeoutMs = 5_000) => {
  const { head, body } = await peers.exchange(url.origin, REQUEST, timeoutMs)
  return `${head.status} ${body}`
}
const fault = (kind: 'timeout' | 'failed', wasSent: boolean, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConnectionFault)
  assert.deepEqual([error.kind, error.wasSent], [kind, wasSent])
  assert.match(error.message, words)
  return true
}

test('one connection serves requests that follow each other, up to the maximum those at the same time', async () => {
  const side = await startOtherSide((socket, index) => setTimeout(() => socket.write(ok(`${index}`)), 5))
  assert.equal(await post(side.url), '200 0')
  assert.equal(await post(side.url), '200 1')
  assert.equal(side.sockets.length, 1)
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(side.url)))
  assert.equal(new Set(answers).size, 20)
  assert.equal(side.sockets.length, 4)
})

test('each gets the answer to its own request', async () => {
  const server = createHttpServer((request, response) => {
    setTimeout(() => response.end(request.url), Math.random() * 5)
  })
  const url = await listenOn(server)
  const ask = async (path: string) => {
    const answer = await peers.exchange(
      url.origin,
      Buffer.from(`POST /${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`),
      5_000,
    )
    assert.equal(answer.body.toString(), `/${path}`)
  }
  await Promise.all(Array.from({ length: 200 }, (_, index) => ask(`${index}`)))
})

test('a connection that the answer ends, or that will be ended soon, is not used again', async () => {
  for (const field of ['Connection: close', 'Keep-Alive: timeout=2']) {
    const side = await startOtherSide((socket) => socket.write(ok('x', field)))
    await post(side.url)
    await post(side.url)
    assert.equal(side.sockets.length, 2, field)
    await waitFor(() => side.sockets.every((socket) => socket.closed))
  }
})

test('an idle connection ends after its time, a moment before the other side ends it', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  peers = createPeerConnections({ connectionsMax: 4, keepAliveMs: 40, connectMs: 500, answerSizeMax: 1000 })
  const side = await startOtherSide((socket) => socket.write(ok('x')))
  await post(side.url)
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.mock.timers.tick(1_000)
  await waitFor(() => side.sockets[0]?.closed)
  await post(side.url)
  assert.equal(side.sockets.length, 2)
  await new Promise((resolve) => setTimeout(resolve, 60))
  // Nobody has swept.
  await post(side.url)
  assert.equal(side.sockets.length, 3)
})

test('a connection that ends while it is idle is replaced', async () => {
  const side = await startOtherSide((socket) => socket.write(ok('x')))
  await post(side.url)
  side.sockets[0]?.end()
  await waitFor(() => side.sockets[0]?.closed)
  assert.equal(await post(side.url), '200 x')
  assert.equal(side.sockets.length, 2)
})

test('without a connection nothing was sent', async () => {
  const server = createServer()
  const url = await listenOn(server)
  server.close()
  await assert.rejects(post(url), fault('failed', false, /ECONNREFUSED/))
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => post(url)))
  assert.ok(answers.every((answer) => answer.status === 'rejected'))
})

test('a connection that breaks before the answer is whole leaves open whether the request arrived', async () => {
  for (const part of ['', 'HTTP/1.1 200', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc']) {
    const side = await startOtherSide((socket) => socket.end(part))
    await assert.rejects(post(side.url), fault('failed', true, /closed the connection/))
  }
})

test('no answer in time ends the connection, and those that wait get another one', async () => {
  const side = await startOtherSide((socket, index) => index >= 4 && socket.write(ok('x')))
  const silent = Array.from({ length: 4 }, () => post(side.url, 100))
  const waited = post(side.url, 5_000)
  const late = post(side.url, 50)
  await assert.rejects(late, fault('timeout', false, /no answer in time/))
  for (const each of silent) await assert.rejects(each, fault('timeout', true, /no answer in time/))
  assert.equal(await waited, '200 x')
})

test("an answer that comes after its time is nobody else's", async () => {
  // The first answer comes when the second request does, on whatever connection that is.
  let late: Socket | undefined
  const side = await startOtherSide((socket, index) => {
    if (index === 0) late = socket
    else {
      late?.write(ok('first'))
      setTimeout(() => socket.write(ok('second')), 20)
    }
  })
  await assert.rejects(post(side.url, 50), fault('timeout', true, /no answer in time/))
  assert.equal(await post(side.url), '200 second')
  assert.equal(side.sockets.length, 2)
})

test('a connection whose answer came before its request was written is not used again', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    closers.push(() => socket.destroy())
    socket.on('error', () => undefined)
    // It answers and reads nothing.
    socket.write(ok('x'))
  })
  const url = await listenOn(server)
  const request = Buffer.concat([REQUEST, Buffer.alloc(16 * 1024 * 1024)])
  for (let count = 1; count <= 3; count++) {
    const answer = await peers.exchange(url.origin, request, 5_000)
    assert.equal(answer.head.status, 200)
    assert.equal(sockets.length, count)
  }
})

test('answers that nobody asked for, or that have two readings, end the connection', async () => {
  for (const [answer, words] of [
    [ok('x') + ok('y'), /after the end/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx', /two lengths/],
    ['HTTP/1.1 101 Switching\r\n\r\n', /changed the protocol/],
    [ok('x'.repeat(1001)), /too much/],
    [
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n${'x'.repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`,
      /too much/,
    ],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`, /headers are too large/],
    [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n',
      /a length after the body/,
    ],
    ['nonsense\r\n\r\n', /no HTTP/],
    [`HTTP/1.0 100 Continue\r\n\r\n${ok('x')}`, /nothing follows/],
    [`HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${ok('x')}`, /nothing follows/],
  ] as const) {
    const side = await startOtherSide((socket) => socket.write(answer))
    await assert.rejects(post(side.url), fault('failed', true, words))
    await waitFor(() => side.sockets[0]?.closed)
  }
  const side = await startOtherSide((socket) => socket.write(ok('x')))
  await post(side.url)
  side.sockets[0]?.write(ok('stolen'))
  await waitFor(() => side.sockets[0]?.closed)
  assert.equal(await post(side.url), '200 x')
})

test('answers of every framing are read', async () => {
  for (const answer of [
    ok('x'),
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nTrailer: y\r\n\r\n',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('x')}`,
  ]) {
    const side = await startOtherSide((socket) => socket.write(answer))
    assert.equal(await post(side.url), '200 x')
    assert.equal(await post(side.url), '200 x')
    assert.equal(side.sockets.length, 1)
  }
  for (const answer of ['HTTP/1.1 200 OK\r\n\r\nx', 'HTTP/1.0 200 OK\r\n\r\nx']) {
    const side = await startOtherSide((socket) => socket.end(answer))
    assert.equal(await post(side.url), '200 x')
  }
  const side = await startOtherSide((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  assert.equal(await post(side.url), '204 ')
})

test('over TLS, to whom a certificate that is believed names and nobody else', async () => {
  let connections = 0
  const server = createHttpsServer(localhostCertificate(), (request, response) => {
    request.resume()
    response.end(`hello ${request.httpVersion}`)
  })
  server.on('secureConnection', (socket) => {
    connections++
    closers.push(() => socket.destroy())
  })
  const url = await listenOn(server, 'https')
  await assert.rejects(post(url), fault('failed', false, /self.signed certificate/))
  trustLocalhost()
  assert.equal(await post(url), '200 hello 1.1')
  assert.equal(await post(url), '200 hello 1.1')
  assert.equal(connections, 1)

  const read = (name: string) =>
    readFileSync(
      new URL(`../../shared/platform/fixtures/wallet-example.${name}.pem`, import.meta.url),
      'utf8',
    )
  const cert = read('cert')
  setDefaultCACertificates([...getCACertificates('default'), cert])
  const other = await listenOn(createHttpsServer({ cert, key: read('key') }), 'https')
  await assert.rejects(post(other), fault('failed', false, /altnames/))
})

test('the end of the node ends what waits and what is under way', async () => {
  const side = await startOtherSide(() => undefined)
  const all = Promise.allSettled(Array.from({ length: 6 }, () => post(side.url)))
  await waitFor(() => side.requests === 4)
  peers.close()
  for (const answer of await all) assert.equal(answer.status, 'rejected')
  // A packet that is sent again, for one.
  await assert.rejects(post(side.url), fault('failed', false, /the connector ends/))
  assert.equal(side.requests, 4)
})
