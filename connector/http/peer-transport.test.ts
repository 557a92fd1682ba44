import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Fault } from '../../shared/platform/index.ts'
import { serializePrepare } from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import { fulfilWithData, startTestHop, type TestHop, testPrepare } from '../testing/test-hop.ts'
import { createPeerTransport } from './peer-transport.ts'

let hop: TestHop
const transport = createPeerTransport({
  isTrusted: () => true,
  guarded: { request: async () => assert.fail('not for these') },
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
