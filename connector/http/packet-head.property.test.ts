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

/** A request, or what happened in place of one. */
type ReadByNode = { request: IncomingMessage; body: Buffer } | { instead: string }
/** No test takes so long, however much else the machine does: what is read here is read without waiting for anything. */
const WAITS_MS = 60_000

async function readByNode(head: string, sent: Buffer): Promise<ReadByNode> {
  const server = createServer()
  const read = Promise.withResolvers<ReadByNode>()
  server.on('request', async (request: IncomingMessage) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
      read.resolve({ request, body: Buffer.concat(chunks) })
    } catch (error) {
      read.resolve({ instead: `${error}` })
    }
  })
  for (const event of ['checkContinue', 'checkExpectation', 'upgrade', 'connect', 'clientError'])
    server.on(event, (about) => read.resolve({ instead: `${event} ${about instanceof Error ? about : ''}` }))
  const socket = new Duplex({
    read: () => undefined,
    write: (bytes, _encoding, done) => {
      done()
      read.resolve({ instead: `it writes ${bytes}` })
    },
  })
  server.emit('connection', socket)
  socket.push(Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), sent]))
  const late = setTimeout(() => read.resolve({ instead: 'it waits for more' }), WAITS_MS)
  const found = await read.promise
  clearTimeout(late)
  socket.destroy()
  return found
}

async function mustAgree(head: string, name = ''): Promise<boolean> {
  const ours = parsePacketHead(head)
  if (!ours) return false
  const body = Buffer.alloc(ours.contentLength, 'b')
  const theirs = await readByNode(head, body)
  const about = `${name} ${JSON.stringify(head)}`
  if ('instead' in theirs) assert.fail(`node:http takes no request (${theirs.instead}): ${about}`)
  const { headers, method, httpVersion } = theirs.request
  assert.deepEqual(
    [
      method,
      httpVersion,
      headers.authorization?.split(' ')[1],
      headers['content-type'],
      headers['content-length'],
    ],
    ['POST', '1.1', ours.token, ours.contentType, String(ours.contentLength)],
    about,
  )
  assert.ok(theirs.body.equals(body), `another body: ${about}`)
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

test('whatever head is taken, node:http reads alike', async () => {
  const corpus = [
    with_(),
    with_('Transfer-Encoding: chunked'),
    with_('Expect: 100-continue', 'TE: trailers'),
    without('Content-Length', 'Content-Length: 7', 'X-A: b, c;d="e"'),
    without('Connection', 'Connection: close', 'Upgrade: h2c'),
  ].map((head) => Buffer.from(head, 'latin1'))
  let taken = 0
  for (let index = 0; index < 20_000; index++) {
    const head = mutate(corpus, createRandom(seedOf(seed, index))).toString('latin1')
    if (await mustAgree(head, `seed ${seed}, input ${index}`)) taken++
  }
  assert.ok(taken > 200, `seed ${seed}: ${taken} taken`)
})
