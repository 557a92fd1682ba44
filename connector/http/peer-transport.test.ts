import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createGuardedHttp, Fault, systemClock } from '../../shared/platform/index.ts'
import { serializePrepare } from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import { fulfilWithData, startTestHop, type TestHop, testPrepare } from '../testing/test-hop.ts'
import { createPeerTransport } from './peer-transport.ts'

let hop: TestHop
const transport = createPeerTransport({
  isTrusted: () => true,
  guarded: { request: async () => assert.fail('not for these') },
  clock: systemClock,
})
before(async () => {
  hop = await startTestHop(fulfilWithData)
})
after(async () => {
  await transport.close()
  await hop.close()
})

const peerWith = (fields: Partial<Peer>) =>
  ({ endpoint: hop.url, outgoingToken: 'out', ...fields }) as unknown as Peer
const post = (peer: Peer) => transport.post(peer, serializePrepare(testPrepare('test.b.x')), 5_000)
const refused = (error: unknown) => error instanceof Fault && error.code === 'connection_failed'

test('a token that would be more than a token, or an endpoint that is not HTTP, sends nothing', async () => {
  hop.requests.length = 0
  for (const outgoingToken of ['x\r\nTransfer-Encoding: chunked', 'x\n', 'x\0', '€'])
    await assert.rejects(post(peerWith({ outgoingToken })), refused)
  await assert.rejects(post(peerWith({ endpoint: 'ftp://127.0.0.1/' })), refused)
  assert.equal(hop.requests.length, 0)
})

test('a path with a query and a token of any printable bytes arrive as they are', async () => {
  const peer = peerWith({ endpoint: `${hop.url}/é?a=b c`, outgoingToken: 'a.b-c_d~e+f/g=h' })
  await post(peer)
  assert.equal(hop.requests.at(-1)?.path, '/ilp/next/%C3%A9?a=b%20c')
  assert.equal(hop.requests.at(-1)?.headers.authorization, 'Bearer a.b-c_d~e+f/g=h')
})

test('a gateway that lost the peer is no word of a peer that knows repeats: the packet may have arrived', async (t) => {
  const answers: Record<string, [status: number, headers: Record<string, string>]> = {
    known: [200, { 'ilp-repeats': 'known' }],
    unknown: [200, {}],
  }
  const server = createServer((request, response) => {
    const answer = answers[request.headers.authorization?.replace('Bearer ', '') ?? '']
    request.resume().once('end', () => response.writeHead(...(answer ?? [500, {}])).end('x'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const codeOf = (path: string, status: number) => {
    answers[String(status)] = [status, {}]
    return post(peerWith({ endpoint: `${url}${path}`, outgoingToken: String(status) })).then(
      () => 'answered',
      (error: unknown) => (error as Fault).code,
    )
  }
  for (const knows of ['known', 'unknown'])
    await post(peerWith({ endpoint: `${url}/${knows}`, outgoingToken: knows }))
  for (const status of [500, 502, 503, 504]) {
    assert.equal(await codeOf('/known', status), 'answer_lost')
    assert.equal(await codeOf('/unknown', status), 'peer_refused')
  }
  // Whoever says this has handed nothing on.
  for (const status of [400, 401, 404, 429]) assert.equal(await codeOf('/known', status), 'peer_refused')
})

/** With a peer whose endpoint the operator chose, and with one that others did. */
for (const isTrusted of [true, false])
  test(`what a peer that knows repeats may have got and did not answer is lost, and nothing else is: ${isTrusted ? 'trusted' : 'guarded'}`, async (t) => {
    const guarded = createGuardedHttp({ allow: ['127.0.0.0/8'], allowHttp: true })
    const transport = createPeerTransport({ isTrusted: () => isTrusted, guarded, clock: systemClock })
    let says: { status: number; header?: string } | 'nothing' = { status: 404 }
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        if (says === 'nothing') response.destroy()
        else response.writeHead(says.status, says.header ? { 'ILP-Repeats': says.header } : {}).end('answer')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    t.after(async () => {
      server.closeAllConnections()
      server.close()
      await transport.close()
      await guarded.close()
    })
    const peer = peerWith({ endpoint: `http://127.0.0.1:${port}/` })
    const code = (timeoutMs = 5_000) =>
      transport.post(peer, serializePrepare(testPrepare('test.b.x')), timeoutMs).then(
        (body) => body.toString(),
        (error: unknown) => (error instanceof Fault ? error.code : error),
      )
    // The first request loads what sends it.
    assert.equal(await code(), 'peer_refused')
    says = 'nothing'
    assert.equal(await code(1_000), 'connection_failed', 'whether it knows repeats is asked in vain')
    says = { status: 502 }
    assert.equal(await code(), 'peer_refused')
    says = { status: 200, header: 'known' }
    assert.equal(await code(), 'answer')
    says = 'nothing'
    assert.equal(await code(), 'answer_lost')
    for (const status of [500, 502, 503, 504]) {
      says = { status }
      assert.equal(await code(), 'answer_lost', 'a proxy in between')
    }
    for (const status of [401, 404, 429]) {
      says = { status }
      assert.equal(await code(), 'peer_refused')
    }
    says = { status: 200 }
    assert.equal(await code(), 'answer')
    says = 'nothing'
    assert.equal(await code(), 'connection_failed', 'it is replaced by one that does not')
    says = { status: 500, header: 'known' }
    assert.equal(await code(), 'answer_lost')
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    // Over a connection whose end has not been noticed, something may be sent.
    await code()
    assert.equal(await code(), 'connection_failed', 'nothing was sent')
  })
