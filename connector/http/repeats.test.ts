import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createGuardedHttp, Fault, systemClock } from '../../shared/platform/index.ts'
import { deserializePrepare, ILDCP_DESTINATION, serializePrepare } from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import { testPrepare } from '../testing/test-hop.ts'
import { createPeerTransport } from './peer-transport.ts'

type Answer = { status: number; header?: string } | 'nothing'

/** A peer that has not been heard yet: it loses what comes, and says to what it is asked whatever `says` gives it. */
async function startPeer(t: TestContext, options: { isTrusted: boolean; says: () => Answer }) {
  const got = { packets: 0, questions: 0 }
  const server = createServer(async (request, response) => {
    const { destination, amount } = deserializePrepare(await buffer(request))
    const isQuestion = destination === ILDCP_DESTINATION
    if (isQuestion) assert.equal(amount, 0n)
    got[isQuestion ? 'questions' : 'packets']++
    const answer = isQuestion ? options.says() : 'nothing'
    if (answer === 'nothing') response.destroy()
    else
      response.writeHead(answer.status, answer.header ? { 'ILP-Repeats': answer.header } : {}).end('answer')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const guarded = createGuardedHttp({ allow: ['127.0.0.0/8'], allowHttp: true })
  const transport = createPeerTransport({
    isTrusted: () => options.isTrusted,
    guarded,
    clock: systemClock,
  })
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await transport.close()
    await guarded.close()
  })
  const { port } = server.address() as AddressInfo
  const peer = { endpoint: `http://127.0.0.1:${port}/`, outgoingToken: 'out' } as unknown as Peer
  return {
    got,
    transport,
    code: (timeoutMs = 20_000) =>
      transport.post(peer, serializePrepare(testPrepare('test.b.x')), timeoutMs).then(
        () => 'answered',
        (error: unknown) => (error instanceof Fault ? error.code : error),
      ),
  }
}

for (const isTrusted of [true, false]) {
  const kind = isTrusted ? 'trusted' : 'guarded'

  test(`a peer that loses its first packet is asked whether it knows repeats, until it answers: ${kind}`, async (t) => {
    const away: Answer[] = ['nothing', { status: 502 }, { status: 404 }]
    const { got, code } = await startPeer(t, {
      isTrusted,
      says: () => away.shift() ?? { status: 200, header: 'known' },
    })
    assert.deepEqual(await Promise.all([code(), code(), code()]), Array(3).fill('answer_lost'))
    assert.deepEqual(got, { packets: 3, questions: 4 }, 'one asks for all')
    assert.equal(await code(), 'answer_lost')
    assert.equal(got.questions, 4, 'it is known now')
  })

  test(`a packet that lives longer than the first that was lost has the peer asked for as long: ${kind}`, async (t) => {
    let isBack = false
    const { code } = await startPeer(t, {
      isTrusted,
      says: () => (isBack ? { status: 200, header: 'known' } : { status: 502 }),
    })
    const [short, long] = [code(1_000), code(20_000)]
    assert.equal(await short, 'connection_failed')
    isBack = true
    assert.equal(await long, 'answer_lost')
  })

  test(`a peer that does not know repeats is asked once: ${kind}`, async (t) => {
    const { got, code } = await startPeer(t, { isTrusted, says: () => ({ status: 200 }) })
    assert.equal(await code(), 'connection_failed')
    assert.equal(await code(), 'connection_failed')
    assert.equal(got.questions, 1)
  })

  test(`a peer that answers nothing holds up the packets of that moment alone: ${kind}`, async (t) => {
    const { got, code } = await startPeer(t, { isTrusted, says: () => 'nothing' })
    assert.deepEqual(await Promise.all([code(1_000), code(900)]), Array(2).fill('connection_failed'))
    // The last question may have been on its way.
    assert.equal(await code(1_000), 'connection_failed')
    const { questions } = got
    assert.ok(questions > 1)
    assert.equal(await code(1_000), 'connection_failed')
    assert.equal(got.questions, questions, 'it is asked no more')
  })
}

test('a connector that ends asks no more', async (t) => {
  let asked = () => {}
  const { transport, code } = await startPeer(t, {
    isTrusted: true,
    says: () => {
      asked()
      return { status: 503 }
    },
  })
  const first = new Promise<void>((resolve) => {
    asked = resolve
  })
  const lost = code(3_600_000)
  await first
  await transport.close()
  assert.equal(await lost, 'connection_failed')
})
