import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { createReject, deserializeReply, isReject, serializePrepare } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import {
  fulfilWithData,
  postBytes,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from '../testing/test-hop.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'

let database: TestDatabase
let node: TestNode
let hop: TestHop
let usd: LedgerAsset
const token = 'token-of-a'

before(async () => {
  database = await createTestDatabase('resources')
  hop = await startTestHop(fulfilWithData)
  node = await startTestNode({ connectionString: database.connectionString })
  usd = await node.asset('USD', 2)
  await node.peer(usd, { address: 'test.a', token, liquidity: 1_000_000n, maxPacketAmount: 100_000n })
  await node.peer(usd, { address: 'test.b', endpoint: hop.url, outgoingToken: 'outtokB' })
})

after(async () => {
  await node.close()
  await hop.close()
  await database.drop()
})

const octets = { 'content-type': 'application/octet-stream' }
const bearer = { authorization: `Bearer ${token}` }
const post = (
  headers: Record<string, string>,
  body = serializePrepare(testPrepare('test.b.x')),
  path = '/',
) => postBytes(node.url + path, body, headers)

// Expected answers: vectors/rafiki-live-observations.txt of the contract.
test('who does not say who he is gets 401', async () => {
  for (const headers of [
    octets,
    { ...octets, authorization: 'Basic abc' },
    { ...octets, authorization: 'Bearer' },
    { ...octets, authorization: `Bearer  ${token}` },
    { ...octets, authorization: `Bearer ${token} x` },
  ]) {
    const answer = await post(headers)
    assert.equal(answer.status, 401)
    assert.equal(answer.type, 'text/plain; charset=utf-8')
    assert.equal(answer.body.toString(), 'Bearer token required in Authorization header')
  }
})

test('an unknown token gets 401', async () => {
  const answer = await post({ ...octets, authorization: 'Bearer nobody' })
  assert.equal(answer.status, 401)
  assert.equal(answer.type, 'text/plain; charset=utf-8')
  assert.equal(answer.body.toString(), 'Access Denied - Invalid Token')
})

test('another content type gets 400, also none', async () => {
  for (const headers of [{ ...bearer, 'content-type': 'application/json' }, bearer]) {
    const answer = await post(headers)
    assert.equal(answer.status, 400)
    assert.equal(answer.type, 'text/plain; charset=utf-8')
    assert.equal(answer.body.toString(), 'Expected Content-Type of application/octet-stream')
  }
})

test('both packet types are taken, with parameters and in any case, and so is any scheme spelling, path and method', async () => {
  for (const [headers, path, method] of [
    [{ ...bearer, 'content-type': 'application/octet-stream; charset=x' }, '/', 'POST'],
    [{ ...bearer, 'content-type': 'application/ilp+octet-stream' }, '/', 'POST'],
    [{ ...octets, authorization: `bearer ${token}` }, '/', 'POST'],
    [{ ...octets, ...bearer }, '/what/ever?x=1', 'PUT'],
  ] as const) {
    const prepare = serializePrepare(testPrepare('test.nowhere.x'))
    const answer = await postBytes(node.url + path, prepare, headers, method)
    assert.equal(answer.status, 200)
    assert.equal(answer.type, 'application/octet-stream')
    const reply = deserializeReply(answer.body)
    assert.ok(isReject(reply))
    assert.deepEqual(reply, {
      code: 'F02',
      triggeredBy: 'test.node',
      message: 'unknown destination account',
      data: Buffer.alloc(0),
    })
  }
})

test('bytes that are no Prepare are answered with F01', async () => {
  const prepare = serializePrepare(testPrepare('test.b.x'))
  const reply = Buffer.from('0d2200', 'hex')
  const broken = [
    Buffer.alloc(0),
    Buffer.from('garbage'),
    prepare.subarray(0, 40),
    Buffer.concat([prepare, Buffer.of(0)]),
    reply,
    Buffer.alloc(60_000, 12),
  ]
  for (const bytes of broken) {
    const answer = await post({ ...octets, ...bearer }, bytes)
    assert.equal(answer.status, 200)
    const reject = deserializeReply(answer.body)
    assert.ok(isReject(reject))
    assert.equal(reject.code, 'F01')
    assert.equal(reject.triggeredBy, 'test.node')
  }
})

test('damaged packets are answered, whatever is damaged', async () => {
  const { length } = serializePrepare(testPrepare('test.b.x', { amount: 1n }))
  const damaged = Array.from({ length: length * 2 }, (_, index) => {
    // A packet of its own, so that none is another's repeat. Each byte is inverted once and increased once.
    const bytes = serializePrepare(testPrepare('test.b.x', { amount: 1n }))
    const at = index >> 1
    bytes[at] = index & 1 ? ~(bytes[at] ?? 0) & 0xff : ((bytes[at] ?? 0) + 1) & 0xff
    return bytes
  })
  const codes = new Set<string>()
  for (const bytes of damaged) {
    const answer = await post({ ...octets, ...bearer }, bytes)
    assert.equal(answer.status, 200)
    const reply = deserializeReply(answer.body)
    codes.add(isReject(reply) ? reply.code : 'fulfil')
  }
  assert.ok(codes.has('F01') && codes.has('F02') && codes.has('F05'))
  for (const code of codes) assert.match(code, /^(fulfil|F01|F02|F05|F08|R02)$/)
})

test('more than 64 KiB is not read', async () => {
  const answer = await post({ ...octets, ...bearer }, Buffer.alloc(64 * 1024 + 1))
  assert.equal(answer.status, 413)
  // Also when nobody said how much it would be.
  const raw = await new Promise<string>((resolve, reject) => {
    const socket = connect(node.connector.ports.connector, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' || error.code === 'ECONNRESET' ? resolve(text) : reject(error),
    )
    socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    for (let chunk = 0; chunk < 9; chunk++) socket.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`)
  })
  assert.match(raw, /^HTTP\/1\.1 413 /)
})

test('health is answered without a token, other GETs are not', async () => {
  for (const path of ['/healthz', '/livez', '/readyz']) {
    const answer = await postBytes(node.url + path, Buffer.alloc(0), {}, 'GET')
    assert.equal(answer.status, 200)
    assert.equal(answer.body.toString(), 'OK')
  }
  assert.equal((await postBytes(`${node.url}/healthz/x`, Buffer.alloc(0), {}, 'GET')).status, 401)
  assert.equal((await post({})).status, 401)
})

test('a packet above the maximum is F08 with both amounts', async () => {
  const reply = await postPrepare(node.url, token, testPrepare('test.b.x', { amount: 100_001n }))
  assert.ok(isReject(reply))
  assert.equal(reply.code, 'F08')
  assert.equal(reply.message, 'packet size too large. maxAmount=100000 actualAmount=100001')
  assert.equal(reply.triggeredBy, 'test.node')
  assert.equal(reply.data.toString('hex'), '00000000000186a100000000000186a0')
})

test('the next hop sees its token, type, path, the amount and a shorter expiry; its Fulfill comes back', async () => {
  hop.requests.length = 0
  const prepare = testPrepare('test.b.x')
  const reply = await postPrepare(node.url, token, prepare)
  assert.deepEqual(reply, { fulfillment: prepare.data, data: Buffer.from('thanks') })
  const [seen] = hop.requests
  assert.equal(seen?.headers.authorization, 'Bearer outtokB')
  assert.equal(seen?.headers['content-type'], 'application/octet-stream')
  assert.equal(seen?.path, '/ilp/next')
  assert.equal(seen?.prepare.amount, 10n)
  assert.equal(seen?.prepare.expiresAt.getTime(), prepare.expiresAt.getTime() - 1000)
  assert.deepEqual(seen?.prepare.data, prepare.data)
  assert.equal(seen?.prepare.destination, 'test.b.x')
})

test('many packets at once over one server', async () => {
  const replies = await Promise.all(
    Array.from({ length: 200 }, () => postPrepare(node.url, token, testPrepare('test.b.x', { amount: 1n }))),
  )
  assert.equal(replies.filter((reply) => !isReject(reply)).length, 200)
})

test('a reject of the next hop is relayed byte for byte', async (t) => {
  const reject = {
    ...createReject('F99', { triggeredBy: 'test.far.away' }),
    message: 'no µ',
    data: Buffer.from('x'),
  }
  const other = await startTestHop(() => reject)
  t.after(() => other.close())
  await node.peer(usd, { address: 'test.c', endpoint: other.url })
  assert.deepEqual(await postPrepare(node.url, token, testPrepare('test.c.x')), reject)
})
