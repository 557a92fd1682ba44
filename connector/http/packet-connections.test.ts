import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { afterEach, beforeEach, test } from 'node:test'
import { silentLogger } from '../../shared/platform/index.ts'
import { waitFor } from '../../shared/testing/index.ts'
import { createRandom, seedOf } from '../fuzz/random.ts'
import { createReject, type IlpReply, serializePrepare, serializeReply } from '../packet/index.ts'
import { AnswerUnknown } from '../pipeline/index.ts'
import type { Peer } from '../routing/index.ts'
import { heapAfterCollection } from '../testing/heap.ts'
import { testPrepare } from '../testing/test-hop.ts'
import { type DrainingServer, listen } from './draining-server.ts'
import { createPacketServer } from './packet-server.ts'

const token = 'token-of-a'
const peer = {
  id: 'peer-a',
  tenantId: 't',
  incomingTokenHashes: [hash('sha256', token, 'hex')],
} as unknown as Peer
const fulfill: IlpReply = { fulfillment: Buffer.alloc(32, 1), data: Buffer.from('thanks') }
const fulfillBytes = serializeReply(fulfill).toString('latin1')

let server: DrainingServer
let port: number
let peers: Peer[] = [peer]
/** How many requests node:http has read. */
let leftToNode = 0
let received: Buffer[] = []
let payers: string[] = []
let answer: (bytes: Buffer) => Promise<IlpReply>

beforeEach(async () => {
  peers = [peer]
  received = []
  leftToNode = 0
  answer = async () => fulfill
  payers = []
  server = createServer()
  server.server.on('request', () => leftToNode++)
  port = await listen(server.server, 0)
})
afterEach(() => server.drain(100))

function createServer(): DrainingServer {
  const byHash = (tokenHash: string) => peers.find((each) => each.incomingTokenHashes.includes(tokenHash))
  return createPacketServer({
    pipeline: {
      receive(account, bytes) {
        payers.push(account.id)
        received.push(Buffer.from(bytes))
        return answer(bytes)
      },
    },
    directory: {
      findPeerByToken: async (given) => byHash(hash('sha256', given, 'hex')),
      findPeerByTokenHash: byHash,
    },
    ilpAddress: 'test.node',
    packetsPerMinute: 1000,
    ready: async () => {},
    log: silentLogger,
  })
}

const packet = (data = Buffer.from('x')) => serializePrepare(testPrepare('test.b.x', { data }))
const headers = (length: number, ...more: string[]) =>
  [
    'POST / HTTP/1.1',
    'Host: x',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/octet-stream',
    `Content-Length: ${length}`,
    ...more,
    '',
    '',
  ].join('\r\n')
const request = (body = packet(), ...more: string[]) =>
  Buffer.concat([Buffer.from(headers(body.length, ...more)), body])

interface Client {
  socket: Socket
  text: string
  isClosed: boolean
  answers(): number
}

function open(options: { allowHalfOpen?: boolean } = {}): Client {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, ...options })
  const client: Client = {
    socket,
    text: '',
    isClosed: false,
    answers: () => client.text.split('HTTP/1.1 ').length - 1,
  }
  socket.on('data', (bytes) => {
    client.text += bytes.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    client.isClosed = true
  })
  return client
}

test('an ordinary packet is answered without node:http, with a length, a date and the way to go on', async () => {
  const client = open()
  client.socket.write(request())
  await waitFor(() => client.answers() === 1 && client.text.endsWith(fulfillBytes))
  const [head = ''] = client.text.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(head, /\r\nContent-Type: application\/octet-stream\r\n/)
  assert.match(head, new RegExp(`\r\nContent-Length: ${fulfillBytes.length}\r\n`))
  assert.match(head, /\r\nilp-repeats: known\r\n/)
  assert.match(head, /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/)
  assert.match(head, /\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75$/)
  assert.equal(leftToNode, 0)
  client.socket.destroy()
})

test('a request in two pieces, cut anywhere, is the same request', async () => {
  const body = packet()
  const whole = request(body)
  for (let cut = 1; cut < whole.length; cut += 7) {
    received = []
    const client = open()
    client.socket.write(whole.subarray(0, cut))
    await new Promise((resolve) => setTimeout(resolve, 2))
    client.socket.write(whole.subarray(cut))
    await waitFor(() => client.text.endsWith(fulfillBytes))
    assert.deepEqual(received, [body])
    client.socket.destroy()
  }
})

test('requests that were sent ahead are answered one after the other, in their order', async () => {
  const bodies = Array.from({ length: 20 }, (_, index) => packet(Buffer.from(`packet ${index}`)))
  let open_ = 0
  answer = async (bytes) => {
    assert.equal(++open_, 1, 'one at a time on a connection')
    await new Promise((resolve) => setTimeout(resolve, 1))
    open_--
    return createReject('F99', { triggeredBy: '', data: Buffer.from(bytes.subarray(-3)) })
  }
  const client = open()
  client.socket.write(Buffer.concat(bodies.map((body) => request(body))))
  await waitFor(() => client.answers() === 20)
  assert.deepEqual(received, bodies)
  assert.equal(leftToNode, 0)
  client.socket.destroy()
})

test('a client that sends without end is not read ahead of its answers', async () => {
  const { promise, resolve } = Promise.withResolvers<IlpReply>()
  answer = () => promise
  let inServer: Socket | undefined
  server.server.once('connection', (socket: Socket) => {
    inServer = socket
  })
  const client = open()
  client.socket.write(request())
  await waitFor(() => received.length === 1)
  const ahead = Buffer.concat(Array.from({ length: 100 }, () => request(packet(Buffer.alloc(30_000)))))
  for (let count = 0; count < 6; count++) client.socket.write(ahead)
  // Not until nothing moves any more: on a busy machine nothing moves for a while anyway.
  await waitFor(() => inServer?.isPaused() || client.socket.writableLength === 0)
  // What has come meanwhile fills the socket's own room.
  await new Promise((done) => setTimeout(done, 200))
  assert.ok(inServer && inServer.bytesRead < 500_000, `${inServer?.bytesRead} bytes are read`)
  assert.ok(client.socket.writableLength > ahead.length, 'the rest is still here')
  answer = async () => fulfill
  resolve(fulfill)
  await waitFor(() => client.answers() === 601)
  assert.equal(leftToNode, 0)
  client.socket.destroy()
})

test('the answers of a client that does not read them are not piled up, and all of them come when it does', async () => {
  const count = 3_000
  answer = async () => ({ fulfillment: Buffer.alloc(32, 1), data: Buffer.alloc(32_000) })
  let inServer: Socket | undefined
  server.server.once('connection', (socket: Socket) => {
    inServer = socket
  })
  const client = open()
  client.socket.pause()
  client.socket.write(Buffer.concat(Array.from({ length: count }, () => request())))
  // The system itself keeps some megabytes for both ends.
  await waitFor(() => inServer?.writableNeedDrain)
  await new Promise((done) => setTimeout(done, 200))
  assert.ok((inServer?.writableLength ?? 0) < 100_000, `${inServer?.writableLength} bytes wait`)
  assert.ok(received.length < count)
  client.socket.resume()
  await waitFor(() => received.length === count)
  await waitFor(() => client.answers() === count)
  assert.equal(leftToNode, 0)
  client.socket.destroy()
})

test('what is not plainly a packet of a known peer is left to node:http, and nothing of it is lost', async () => {
  const body = packet()
  const chunked = Buffer.concat([
    Buffer.from(
      `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`,
    ),
    body,
    Buffer.from('\r\n0\r\n\r\n'),
  ])
  const unusual: [name: string, bytes: Buffer, answer: RegExp][] = [
    ['chunks', chunked, /200 OK/],
    ['health', Buffer.from('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'), /200 OK[\s\S]*\r\n\r\nOK$/],
    ['an expectation', request(body, 'Expect: 100-continue'), /100 Continue[\s\S]*200 OK/],
    ['an end', request(body, 'Connection: close'), /200 OK[\s\S]*Connection: close/],
    ['HTTP 1.0', Buffer.from(request(body).toString('latin1').replace('1.1', '1.0'), 'latin1'), /200 OK/],
    ['a stranger', Buffer.from(request(body).toString('latin1').replace(token, 'nobody'), 'latin1'), /401 /],
    [
      'another type',
      Buffer.from(request(body).toString('latin1').replace('octet-stream', 'json'), 'latin1'),
      /400 /,
    ],
    ['too much', Buffer.from(headers(70_000)), /413 /],
    ['two lengths', request(body, `Content-Length: ${body.length}`), /400 Bad Request/],
    ['length and chunks', request(body, 'Transfer-Encoding: chunked'), /400 Bad Request/],
    ['a folded line', request(body, 'X: a', ' b'), /400 Bad Request/],
    ['no HTTP', Buffer.from('hello\r\n\r\n'), /400 Bad Request/],
  ]
  for (const [name, bytes, expected] of unusual)
    for (const first of [true, false]) {
      received = []
      leftToNode = 0
      const client = open()
      // After an ordinary packet, in the same write and in one of its own.
      if (!first) client.socket.write(Buffer.concat([request(), bytes]))
      else client.socket.write(bytes)
      const answers = () =>
        client.text.slice(first ? 0 : client.text.indexOf(fulfillBytes) + fulfillBytes.length)
      await waitFor(() => expected.test(answers()) || assert.fail(`${name}: ${client.text}`))
      if (!/400 Bad/.test(client.text)) assert.equal(leftToNode, 1, name)
      if (/200 OK$/.test(expected.source) && name !== 'health') assert.deepEqual(received.at(-1), body, name)
      client.socket.destroy()
    }
})

test('whatever is sent in whatever order and pieces, every request is read once and answered in its turn', async () => {
  const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
  const chunks = (body: Buffer) => {
    const half = body.length >> 1
    const sized = (part: Buffer) =>
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
    return Buffer.concat([
      sized(body.subarray(0, half)),
      sized(body.subarray(half)),
      Buffer.from('0\r\n\r\n'),
    ])
  }
  const kinds: ((body: Buffer) => Buffer)[] = [
    (body) => request(body),
    (body) => request(body),
    (body) => request(body),
    (body) => request(body, 'X: a', 'Accept: */*'),
    (body) => Buffer.from(request(body).toString('latin1').replace('POST', 'PUT'), 'latin1'),
    (body) =>
      Buffer.concat([
        Buffer.from(headers(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked')),
        chunks(body),
      ]),
  ]
  answer = async (bytes) => {
    if (bytes.length % 3 === 0) await new Promise((done) => setTimeout(done, 1))
    return createReject('F99', {
      triggeredBy: '',
      message: hash('sha256', bytes, 'hex'),
      data: Buffer.alloc(bytes.length % 9 === 0 ? 30_000 : 0),
    })
  }
  for (let index = 0; index < 60; index++) {
    const random = createRandom(seedOf(seed, index))
    received = []
    const bodies = Array.from({ length: 1 + random.below(12) }, (_, at) =>
      packet(Buffer.alloc(random.below(4) === 0 ? random.below(32_000) : random.below(300), at)),
    )
    const bytes = Buffer.concat(bodies.map((body) => kinds[random.below(kinds.length)]?.(body) ?? body))
    const client = open({ allowHalfOpen: true })
    if (random.below(4) === 0) {
      client.socket.pause()
      setTimeout(() => client.socket.resume(), 20)
    }
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random.below(random.below(2) === 0 ? 400 : bytes.length)
      client.socket.write(bytes.subarray(at, at + size))
      at += size
      if (random.below(3) === 0) await new Promise((done) => setTimeout(done, random.below(3)))
    }
    const about = `seed ${seed}, connection ${index}`
    await waitFor(() => client.answers() === bodies.length || client.isClosed)
    await waitFor(
      () =>
        (client.text.match(/F99/g)?.length ?? 0) === bodies.length ||
        assert.fail(`${about}: ${client.text.slice(-300)}`),
    )
    assert.deepEqual(
      received.map((body) => hash('sha256', body, 'hex')),
      bodies.map((body) => hash('sha256', body, 'hex')),
      about,
    )
    assert.deepEqual(
      client.text.match(/[0-9a-f]{64}/g),
      bodies.map((body) => hash('sha256', body, 'hex')),
      about,
    )
    client.socket.destroy()
  }
})

test('node:http keeps a connection that was left to it, also for ordinary packets', async () => {
  const client = open()
  client.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  await waitFor(() => client.answers() === 1)
  client.socket.write(request())
  await waitFor(() => client.answers() === 2 && client.text.endsWith(fulfillBytes))
  assert.equal(leftToNode, 2)
  client.socket.destroy()
})

test('a token that is revoked between two packets of a connection is refused', async () => {
  const client = open()
  client.socket.write(request())
  await waitFor(() => client.answers() === 1)
  peers = []
  client.socket.write(request())
  await waitFor(() => /HTTP\/1\.1 401 /.test(client.text))
  assert.equal(received.length, 1)
  client.socket.destroy()
})

test('a packet without a true answer is HTTP 500 that says so; a fault of the node is one that does not', async () => {
  for (const [error, words, repeats] of [
    [new AnswerUnknown('nobody knows'), 'the outcome of this packet is not known', true],
    [new Error('a bug'), 'Internal Server Error', false],
  ] as const) {
    answer = () => Promise.reject(error)
    const client = open()
    client.socket.write(request())
    await waitFor(() => client.text.endsWith(words))
    assert.match(client.text, /^HTTP\/1\.1 500 Internal Server Error\r\n/)
    assert.equal(client.text.includes('ilp-repeats: known'), repeats)
    client.socket.destroy()
  }
  assert.equal(leftToNode, 0)
})

test('who has said all still gets the answer', async () => {
  const client = open({ allowHalfOpen: true })
  client.socket.end(Buffer.concat([request(), request()]))
  await waitFor(() => client.isClosed)
  assert.equal(client.answers(), 2)
})

test('a body that does not come ends the connection, and so does silence', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const slow = createPacketServer({
    pipeline: { receive: async () => fulfill },
    directory: { findPeerByToken: async () => peer, findPeerByTokenHash: () => peer },
    ilpAddress: 'test.node',
    packetsPerMinute: 1000,
    ready: async () => {},
    log: silentLogger,
  })
  const before = port
  port = await listen(slow.server, 0)
  const [silent, idle, halting] = [open(), open(), open()]
  port = before
  idle.socket.write(request())
  halting.socket.write(request().subarray(0, -1))
  await waitFor(() => idle.answers() === 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const closed = async () => {
    await new Promise((resolve) => setTimeout(resolve, 30))
    return [silent, idle, halting].map(({ isClosed }) => isClosed)
  }
  t.mock.timers.tick(10_000)
  assert.deepEqual(await closed(), [false, false, false])
  t.mock.timers.tick(1_000)
  assert.deepEqual(await closed(), [true, false, false])
  t.mock.timers.tick(10_000)
  assert.deepEqual(await closed(), [true, false, true])
  t.mock.timers.tick(60_000)
  assert.deepEqual(await closed(), [true, true, true])
  await slow.drain(0)
})

test('all that was sent before the end is answered, also to a client that reads its answers later', async () => {
  const count = 240
  answer = async () => ({ fulfillment: Buffer.alloc(32, 1), data: Buffer.alloc(32_000) })
  let inServer: Socket | undefined
  server.server.once('connection', (socket: Socket) => {
    inServer = socket
  })
  const client = open({ allowHalfOpen: true })
  client.socket.pause()
  client.socket.end(Buffer.concat(Array.from({ length: count }, () => request())))
  await waitFor(() => inServer?.writableNeedDrain && inServer.readableEnded)
  client.socket.resume()
  await waitFor(() => client.isClosed)
  assert.equal(client.answers(), count)
})

test('after an answer that ends the connection no packet is taken from it', async () => {
  const { promise, resolve } = Promise.withResolvers<IlpReply>()
  answer = () => promise
  const client = open({ allowHalfOpen: true })
  client.socket.write(request())
  await waitFor(() => received.length === 1)
  server.announceEnd()
  client.socket.write(request())
  await new Promise((done) => setTimeout(done, 20))
  resolve(fulfill)
  await waitFor(() => client.text.endsWith(fulfillBytes))
  assert.match(client.text, /\r\nConnection: close\r\n/)
  client.socket.write(request())
  await new Promise((done) => setTimeout(done, 50))
  assert.equal(received.length, 1)
  assert.equal(client.answers(), 1)
  client.socket.destroy()
})

test('a packet whose client has gone is waited for: what became of it must be recorded', async () => {
  for (const fields of [[], ['Connection: close']]) {
    const { promise, resolve } = Promise.withResolvers<IlpReply>()
    received = []
    answer = () => promise
    const one = createServer()
    const before = port
    port = await listen(one.server, 0)
    const client = open()
    port = before
    client.socket.write(request(packet(), ...fields))
    await waitFor(() => received.length === 1)
    client.socket.resetAndDestroy()
    let isDrained = false
    const drained = one.drain(10_000).then(() => {
      isDrained = true
    })
    await new Promise((done) => setTimeout(done, 100))
    assert.equal(isDrained, false, `${fields}`)
    resolve(fulfill)
    await drained
  }
})

test('each packet of a connection is of the peer whose token came with it', async () => {
  const other = { id: 'peer-b', tenantId: 't', incomingTokenHashes: [hash('sha256', 'token-of-b', 'hex')] }
  peers = [peer, other as unknown as Peer]
  const ofB = Buffer.from(request().toString('latin1').replace(token, 'token-of-b'), 'latin1')
  const client = open()
  for (const bytes of [request(), ofB, ofB, request()]) {
    const before = client.answers()
    client.socket.write(bytes)
    await waitFor(() => client.answers() === before + 1)
  }
  client.socket.write(Buffer.concat([ofB, request()]))
  await waitFor(() => client.answers() === 6)
  assert.deepEqual(payers, ['peer-a', 'peer-b', 'peer-b', 'peer-a', 'peer-b', 'peer-a'])
  assert.equal(leftToNode, 0)
  client.socket.destroy()
})

test('a body that comes byte by byte takes no more memory than its bytes', () => {
  const body = packet(Buffer.alloc(30_000))
  const whole = request(body)
  const before = heapAfterCollection()
  const sockets = Array.from({ length: 20 }, () => new Duplex({ read: () => undefined }))
  for (const socket of sockets) {
    server.server.emit('connection', socket)
    socket.resume()
    const headSize = whole.length - body.length
    socket.emit('data', whole.subarray(0, headSize))
    for (let at = headSize; at < whole.length - 1; at++) socket.emit('data', Buffer.of(whole[at] ?? 0))
  }
  const taken = heapAfterCollection() - before
  assert.ok(taken < 10_000_000, `${taken} bytes for ${sockets.length} bodies of 30 kB`)
  for (const socket of sockets) socket.destroy()
})

test('a server that ends answers what is under way, closes its connection, and ends idle ones', async () => {
  const { promise, resolve } = Promise.withResolvers<IlpReply>()
  answer = () => promise
  const [busy, idle] = [open(), open()]
  busy.socket.write(request())
  await waitFor(() => received.length === 1)
  let isDrained = false
  const drained = server.drain(10_000).then(() => {
    isDrained = true
  })
  await waitFor(() => idle.isClosed)
  assert.equal(isDrained, false)
  resolve(fulfill)
  await drained
  await waitFor(() => busy.isClosed)
  assert.ok(busy.text.endsWith(fulfillBytes))
  assert.match(busy.text, /\r\nConnection: close\r\n/)
})
