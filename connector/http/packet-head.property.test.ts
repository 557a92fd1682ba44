import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { mutate } from '../fuzz/mutate.ts'
import { createRandom, seedOf } from '../fuzz/random.ts'
import { parsePacketHead } from './packet-head.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

const plain = [
  'POST /ilp?x=1 HTTP/1.1',
  'Host: connector.example:3002',
  'Connection: keep-alive',
  'Authorization: Bearer abc',
  'Content-Type: application/octet-stream',
  'Accept: */*',
  'Content-Length: 10',
]
const with_ = (...lines: string[]) => [...plain, ...lines].join('\r\n')
const without = (name: string, ...lines: string[]) =>
  [...plain.filter((line) => !line.startsWith(name)), ...lines].join('\r\n')

/** What node:http makes of the same bytes: a request, or a refusal. */
async function readByNode(
  head: string,
  sent: Buffer,
): Promise<{ request: IncomingMessage; body: Buffer } | undefined> {
  const server = createServer()
  const read = Promise.withResolvers<{ request: IncomingMessage; body: Buffer } | undefined>()
  server.on('request', async (request: IncomingMessage) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
      read.resolve({ request, body: Buffer.concat(chunks) })
    } catch {
      read.resolve(undefined)
    }
  })
  for (const event of ['checkContinue', 'checkExpectation', 'upgrade', 'connect', 'clientError'])
    server.on(event, () => read.resolve(undefined))
  const socket = new Duplex({
    read: () => undefined,
    write: (_bytes, _encoding, done) => {
      done()
      read.resolve(undefined)
    },
  })
  server.emit('connection', socket)
  socket.push(Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), sent]))
  // One that waits for more.
  const late = setTimeout(() => read.resolve(undefined), 2_000)
  const found = await read.promise
  clearTimeout(late)
  socket.destroy()
  return found
}

async function mustAgree(head: string): Promise<boolean> {
  const ours = parsePacketHead(head)
  if (!ours) return false
  const body = Buffer.alloc(ours.contentLength, 'b')
  const theirs = await readByNode(head, body)
  assert.ok(theirs, `node:http refuses ${JSON.stringify(head)}`)
  const { headers, method, httpVersion } = theirs.request
  assert.equal(method, 'POST')
  assert.equal(httpVersion, '1.1')
  assert.equal(headers.authorization?.split(' ')[1], ours.token)
  assert.equal(headers['content-type'], ours.contentType)
  assert.equal(headers['content-length'], String(ours.contentLength))
  assert.deepEqual(theirs.body, body)
  return true
}

test('the ways in which HTTP clients write are taken', async () => {
  for (const head of [
    with_(),
    with_('User-Agent: x (y; z)', 'Accept-Encoding: gzip, br', 'traceparent: 00-ab-cd-01', 'X-Empty:'),
    without('Connection'),
    with_().toLowerCase().replace('post', 'POST').replace('http/1.1', 'HTTP/1.1'),
    without('Content-Type', 'content-type: application/ilp+octet-stream; charset=x'),
    without('Content-Length', 'Content-Length: 0'),
  ])
    assert.ok(await mustAgree(head), head)
})

test('what smuggles requests elsewhere is not taken', () => {
  const heads = {
    'length twice': with_('Content-Length: 10'),
    'two lengths': with_('content-length: 11'),
    'a list of lengths': without('Content-Length', 'Content-Length: 10, 10'),
    'length and chunks': with_('Transfer-Encoding: chunked'),
    chunks: without('Content-Length', 'Transfer-Encoding: chunked'),
    'a strange encoding': with_('Transfer-Encoding: xchunked'),
    'no length': without('Content-Length'),
    'signed length': without('Content-Length', 'Content-Length: +10'),
    'hexadecimal length': without('Content-Length', 'Content-Length: 0xa'),
    'length with leading zeros': without('Content-Length', 'Content-Length: 010'),
    'huge length': without('Content-Length', `Content-Length: ${'9'.repeat(30)}`),
    'space before the colon': without('Content-Length', 'Content-Length : 10'),
    'a folded line': with_('X: a', ' b'),
    'folding with a tab': with_('X: a', '\tTransfer-Encoding: chunked'),
    'a bare line feed': with_('X: a\nTransfer-Encoding: chunked'),
    'a bare carriage return': with_('X: a\rTransfer-Encoding: chunked'),
    'a null': with_('X: a\0'),
    'bytes above ASCII': with_('X: é'),
    'an empty name': with_(': x'),
    'a line without colon': with_('Transfer-Encoding chunked'),
    'two hosts': with_('Host: other'),
    'no host': without('Host'),
    'two authorizations': with_('Authorization: Bearer def'),
    'two types': with_('Content-Type: application/octet-stream'),
    'an expectation': with_('Expect: 100-continue'),
    'an upgrade': without('Connection', 'Connection: Upgrade', 'Upgrade: h2c'),
    'an end': without('Connection', 'Connection: close'),
    'named headers of one hop': without('Connection', 'Connection: keep-alive, Authorization'),
    trailers: with_('Trailer: x'),
    'another method': with_().replace('POST', 'PUT'),
    'another version': with_().replace('HTTP/1.1', 'HTTP/1.0'),
    'an absolute target': with_().replace('/ilp', 'http://other/ilp'),
    'a space in the target': with_().replace('/ilp', '/i lp'),
    'too many headers': with_(...Array.from({ length: 60 }, (_, index) => `x-${index}: y`)),
  }
  for (const [name, head] of Object.entries(heads)) assert.equal(parsePacketHead(head), undefined, name)
})

test('whatever is taken, node:http reads alike', async () => {
  const corpus = [
    with_(),
    with_('Transfer-Encoding: chunked'),
    with_('Expect: 100-continue', 'TE: trailers'),
    without('Content-Length', 'Content-Length: 7', 'X-A: b, c;d="e"'),
    without('Connection', 'Connection: close', 'Upgrade: h2c'),
  ].map((head) => Buffer.from(head, 'latin1'))
  let taken = 0
  for (let index = 0; index < 20_000; index++)
    if (await mustAgree(mutate(corpus, createRandom(seedOf(seed, index))).toString('latin1'))) taken++
  assert.ok(taken > 200, `${taken} taken`)
})
