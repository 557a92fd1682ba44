import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { verifyReceipt } from 'ilp-protocol-stream'
import {
  ANNOUNCE_GRACE_MS,
  completeIncomingPayment,
  getIncomingPayment,
  processIncomingPayment,
} from '../shared/incoming-payments/index.ts'
import { rate } from '../shared/money/index.ts'
import { createPeer, deletePeer, depositPeerLiquidity, updatePeer } from '../shared/peers/index.ts'
import { connectRedis, Fault, silentLogger, sql, uuidv7 } from '../shared/platform/index.ts'
import { type Consumer, consumeJobs, notifyJobs } from '../shared/queue/index.ts'
import { createStreamCredentials } from '../shared/stream-credentials/index.ts'
import { createTestDatabase, startTestRedis, type TestDatabase, waitFor } from '../shared/testing/index.ts'
import { createWalletAddress } from '../shared/wallet-addresses/index.ts'
import { type IlpPrepare, type IlpReply, isFulfill, isReject } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import { exchangePacket, openConnection } from './stream/connection.ts'
import {
  fulfilAfter,
  fulfilWithData,
  postBytes,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from './testing/test-hop.ts'
import { startTestNode, type TestNode, type TestReceiver, testEnvironment } from './testing/test-node.ts'

/** Notifications take milliseconds; without them a change is seen after half a minute. */
const AT_ONCE_MS = 3_000

const moneyOf = (amount: bigint) => ({
  amount,
  minimumAmount: 0n,
  expiresAt: new Date(Date.now() + 20_000),
  frames: [],
  fulfillable: true,
})

describe('two connectors of one node', () => {
  let database: TestDatabase
  let first: TestNode
  let second: TestNode
  let hop: TestHop
  let usd: LedgerAsset
  let from: { id: string; token: string }
  let answer: (prepare: IlpPrepare) => IlpReply | Promise<IlpReply> = fulfilWithData
  before(async () => {
    database = await createTestDatabase('resources')
    hop = await startTestHop((prepare) => answer(prepare))
    const options = { connectionString: database.connectionString }
    ;[first, second] = await Promise.all([startTestNode(options), startTestNode(options)])
    usd = await first.asset('USD', 2)
    await first.peer(usd, { address: 'test.next', endpoint: hop.url })
    from = await first.peer(usd, { address: 'test.payer', liquidity: 100_000_000n })
    await waitFor(() => second.connector.directory.findPeerByToken(from.token))
  })
  after(async () => {
    await first.close()
    await second.close()
    await hop.close()
    await database.drop()
  })
  const both = () => [first, second]

  const status = async ({ url }: TestNode, token: string, destination = 'test.next.x'): Promise<string> => {
    try {
      const reply = await postPrepare(url, token, testPrepare(destination))
      return isReject(reply) ? reply.code : 'fulfilled'
    } catch (error) {
      return /HTTP (\d+)/.exec(String(error))?.[1] ?? String(error)
    }
  }
  const bothSay = (expected: string, token: string, destination?: string) =>
    waitFor(async () => {
      for (const node of both()) if ((await status(node, token, destination)) !== expected) return false
      return true
    }, AT_ONCE_MS)

  test('a peer’s creation, money, tokens, routes and end count at both, from the notification on', async () => {
    const input = {
      assetId: usd.id,
      outgoing: { endpoint: hop.url, authToken: 'x' },
      incoming: { authTokens: ['one'] },
    }
    const peer = await createPeer(first.node, { ...input, staticIlpAddress: 'test.changing' })
    await bothSay('T04', 'one')
    await depositPeerLiquidity(first.node, 'all', { peerId: peer.id, transferId: uuidv7(), amount: 1_000n })
    // Money is in the ledger: nobody has to be told.
    for (const node of both()) assert.equal(await status(node, 'one'), 'fulfilled')
    await updatePeer(first.node, 'all', { id: peer.id, incoming: { authTokens: ['two'] } })
    await bothSay('401', 'one')
    await bothSay('fulfilled', 'two')
    await bothSay('F02', from.token, 'test.moved.x')
    await updatePeer(second.node, 'all', { id: peer.id, routes: ['test.moved'] })
    await bothSay('fulfilled', from.token, 'test.moved.x')
    await deletePeer(second.node, 'all', peer.id)
    await bothSay('401', 'two')
    await bothSay('F02', from.token, 'test.moved.x')
  })

  test('a token that was replaced while no notification could arrive is refused when they come again', async () => {
    const peer = await first.peer(usd, { address: 'test.cut-off', token: 'before', liquidity: 1_000_000n })
    await bothSay('fulfilled', 'before')
    const cut = sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'upesi-listener%'`
    await first.node.db.execute(cut)
    await updatePeer(first.node, 'all', { id: peer.id, incoming: { authTokens: ['after'] } })
    await bothSay('401', 'before')
    await bothSay('fulfilled', 'after')
  })

  /** One STREAM packet to a receiver over one of the connectors. */
  async function pay(
    node: TestNode,
    receiver: Pick<TestReceiver, 'ilpAddress' | 'sharedSecret'>,
    amount: bigint,
  ) {
    const send = (prepare: IlpPrepare) => postPrepare(node.url, from.token, prepare)
    return await exchangePacket(openConnection(receiver), send, moneyOf(amount))
  }
  const at = (index: number) => (index % 2 === 0 ? first : second)

  test('packets of one payment arrive over both: all are counted, and its end is announced once', async () => {
    const receiver = await first.incomingPayment(usd, 400n)
    for (let packet = 0; packet < 40; packet++)
      assert.ok(isFulfill((await pay(at(packet), receiver, 10n)).reply))
    const payment = await getIncomingPayment(first.node, 'all', receiver.payment.id)
    assert.deepEqual([payment.state, payment.receivedAmount.value], ['COMPLETED', 400n])
    // A connector may have read half a second ago that the payment is open.
    await sleep(600)
    for (const node of both()) {
      const { reply } = await pay(node, receiver, 10n)
      assert.ok(isReject(reply))
      assert.match(reply.code, /^F(99|02)$/)
    }
    assert.equal(await first.credited(receiver.payment.id), 400n)
  })

  test('at the same time over both, not even twice of what was asked for arrives, and the end is seen', async () => {
    for (let round = 0; round < 5; round++) {
      const receiver = await first.incomingPayment(usd, 100n)
      const replies = await Promise.all(
        Array.from({ length: 30 }, (_, index) => pay(at(index), receiver, 10n)),
      )
      const fulfilled = BigInt(replies.filter(({ reply }) => isFulfill(reply)).length)
      const credited = await first.credited(receiver.payment.id)
      assert.equal(credited, fulfilled * 10n)
      assert.ok(credited >= 100n && credited <= 200n, `${credited}`)
      await waitFor(async () => {
        const { state } = await getIncomingPayment(first.node, 'all', receiver.payment.id)
        assert.equal(state, 'COMPLETED', `${credited} are credited`)
        return true
      })
    }
  })

  test('the same packet at both at once is delivered once, and nobody is told the opposite', async () => {
    const receiver = await first.incomingPayment(usd)
    for (let round = 0; round < 20; round++) {
      const connection = openConnection(receiver)
      const replies: IlpReply[] = []
      await exchangePacket(
        connection,
        async (sent) => {
          const answers = await Promise.all(
            [first, second, first, second].map(({ url }) => postPrepare(url, from.token, sent)),
          )
          replies.push(...answers)
          return answers[0]!
        },
        moneyOf(10n),
      )
      assert.ok(replies.every(isFulfill))
      const proofs = new Set(replies.map((reply) => isFulfill(reply) && reply.fulfillment.toString('hex')))
      assert.equal(proofs.size, 1)
      assert.equal(await first.credited(receiver.payment.id), BigInt(10 * (round + 1)))
    }
  })

  test('the same packet for somebody else is forwarded once; the other connector gives no false answer', async () => {
    answer = fulfilAfter(100)
    hop.requests.length = 0
    const before = await first.balance(from.id)
    for (let round = 0; round < 5; round++) {
      const prepare = testPrepare('test.next.x')
      const answers = await Promise.all(
        both().map(({ url }) =>
          postPrepare(url, from.token, prepare).catch((error: unknown) => String(error)),
        ),
      )
      assert.equal(answers.filter((reply) => typeof reply !== 'string' && isFulfill(reply)).length, 1)
      // HTTP 500: what a lost connection is, to be asked again.
      assert.equal(answers.filter((reply) => typeof reply === 'string' && /HTTP 500/.test(reply)).length, 1)
    }
    answer = fulfilWithData
    assert.equal(hop.requests.length, 5)
    assert.equal(await first.balance(from.id), before - 50n)
  })

  test('a payment that is sent in turns by both is sent once: 3,000 in all, not 3,000 each', async () => {
    const elsewhere = await createTestDatabase('resources')
    const payee = await startTestNode({
      connectionString: elsewhere.connectionString,
      ilpAddress: 'test.payee',
    })
    const options = { connectionString: database.connectionString, recordInRows: true }
    const senders = await Promise.all([1, 2].map(() => startTestNode(options)))
    try {
      const usdThere = await payee.asset('USD', 2)
      const { token } = await payee.peer(usdThere, { address: 'test.node', liquidity: 5_000n })
      await first.peer(usd, { address: 'test.payee', endpoint: payee.url, outgoingToken: token })
      for (const { connector } of senders)
        await waitFor(() =>
          connector.directory.findRoute({
            tenantId: first.config.operatorTenantId,
            destination: 'test.payee.x',
            assetId: usd.id,
          }),
        )
      const receiver = await payee.incomingPayment(usdThere)
      const id = await sendingPayment()
      const input = {
        outgoingPaymentId: id,
        tenantId: first.config.operatorTenantId,
        sourceAsset: usd,
        destination: { ...receiver, assetCode: 'USD', assetScale: 2 },
        debitAmount: 5_000n,
        receiveAmount: 3_000n,
        sentAmount: 0n,
        deliveredAmount: 0n,
        minRate: rate(99n, 100n),
        lowRate: rate(1n, 1n),
        highRate: rate(1_001n, 1_000n),
        maxPacketAmount: 1n,
      }
      const slices: bigint[] = []
      for (let status = 'progress'; status !== 'done'; ) {
        assert.ok(slices.length < 400, 'it comes to an end')
        // The first are short, so that both have begun; later ones may wait for what the other has on its way.
        const budgetMs = slices.length < 4 ? 30 : 400
        const result = await senders[slices.length % 2]!.client.send({ ...input, budgetMs })
        ;({ status } = result)
        slices.push(result.sentAmount)
      }
      assert.ok(new Set(slices).size > 4, slices.join())
      const read = ({ connector }: TestNode) => connector.counters.read()
      const counted = [...senders, payee].map((node) => JSON.stringify(read(node)))
      const rejected = senders.map(read).reduce((sum, { packets_rejected }) => sum + packets_rejected, 0)
      // A machine that stands still gives packets up whose answers come after their end: the payee's node has those as well
      // (docs/architecture.md, at the end of what the death of a connector leaves). None is counted twice here.
      const gaveUp = rejected - read(payee).packets_rejected
      const arrived = await payee.credited(receiver.payment.id)
      const about = [slices.join(), ...counted].join('\n')
      assert.equal(await first.balance(id), 2_000n, about)
      assert.ok(arrived >= 3_000n && arrived <= 3_000n + BigInt(gaveUp), `${arrived} arrived\n${about}`)
    } finally {
      for (const node of [...senders, payee]) await node.close()
      await elsewhere.drop()
    }
  })

  /** An outgoing payment of 5,000 in SENDING, with money, as the payments worker finds it. */
  async function sendingPayment(): Promise<string> {
    const id = await first.fundedPayment(usd, 5_000n)
    const { payment } = await first.incomingPayment(usd)
    const tenantId = first.config.operatorTenantId
    await first.node.db.execute(sql`
      insert into quotes (id, tenant_id, wallet_address_id, asset_id, receiver, method, debit_amount, source_amount,
        receive_amount, receive_asset_code, receive_asset_scale, expires_at)
      values (${id}, ${tenantId}, ${payment.walletAddressId}, ${usd.id}, 'https://x.example/incoming-payments/1', 'ILP',
        5000, 5000, 3000, 'USD', 2, now() + interval '1 hour')`)
    await first.node.db.execute(sql`
      insert into outgoing_payments (id, tenant_id, wallet_address_id, state, initiated_by)
      values (${id}, ${tenantId}, ${payment.walletAddressId}, 'SENDING', 'ADMIN')`)
    return id
  }

  describe('money around the end of a payment', () => {
    let worker: Consumer
    before(() => {
      worker = consumeJobs(first.node, {
        queue: 'incoming-payments',
        handler: (job) => processIncomingPayment(first.node, job),
        concurrency: 50,
        idleMs: 200,
        leaseSeconds: 10,
      })
    })
    after(() => worker.close())

    interface Announced {
      type: string
      amount: bigint
    }
    const announced = (id: string): Promise<Announced[]> =>
      first.node.db.many(
        (row) => ({ type: row.type, amount: row.withdrawal_amount }),
        sql`select type, withdrawal_amount from webhook_events
          where incoming_payment_id = ${id} and withdrawal_amount is not null`,
      )
    /** I5: what was fulfilled is what was credited is what the wallet was told of. */
    async function isTold(receiver: TestReceiver, fulfilled: number): Promise<void> {
      const { id } = receiver.payment
      const credited = await first.credited(id).catch(() => 0n)
      assert.equal(credited, BigInt(fulfilled))
      if (credited === 0n) return
      await waitFor(async () => {
        const events = await announced(id)
        assert.equal(
          events.reduce((sum, { amount }) => sum + amount, 0n),
          credited,
        )
        return true
      }, ANNOUNCE_GRACE_MS + 15_000)
      const payment = await getIncomingPayment(first.node, 'all', id)
      assert.equal(payment.receivedAmount.value, credited)
      assert.equal(payment.deletedAt, undefined, 'a payment that got money does not disappear')
    }
    /** As who closes does it: on a busy machine a query may wait too long for one of the few connections. */
    async function untilAnswered(ask: () => Promise<unknown>): Promise<void> {
      for (let attempt = 1; ; attempt++)
        try {
          await ask()
          return
        } catch (error) {
          if (!(error instanceof Fault && error.retryable) || attempt === 5) throw error
        }
    }
    /** Packets over both connectors while `close` happens somewhere among them. */
    async function race(receiver: TestReceiver, packets: number, close: () => Promise<unknown>) {
      const closeAt = Math.floor(Math.random() * packets)
      const replies = await Promise.all(
        Array.from({ length: packets }, async (_, index) => {
          // Within the time for which a connector believes what it has read.
          await sleep(Math.random() * 450)
          if (index === closeAt) await untilAnswered(close)
          return (await pay(at(index), receiver, 1n)).reply
        }),
      )
      return replies.filter(isFulfill).length
    }

    test('F25: 1,000 packets over both connectors race completions, and every unit is announced', async () => {
      const rounds = Array.from({ length: 40 }, async () => {
        const receiver = await first.incomingPayment(usd)
        const fulfilled = await race(receiver, 25, () =>
          completeIncomingPayment(second.node, 'all', receiver.payment.id),
        )
        await isTold(receiver, fulfilled)
      })
      await Promise.all(rounds)
    })

    test('F26: packets race the expiry of a payment that had got nothing: it ends with all of them, or without any', async () => {
      const rounds = Array.from({ length: 25 }, async () => {
        const receiver = await first.incomingPayment(usd)
        const { id } = receiver.payment
        const fulfilled = await race(receiver, 12, () =>
          first.node.db.tx(async (db) => {
            await db.execute(sql`update incoming_payments set expires_at = now() where id = ${id}`)
            await db.execute(
              sql`update jobs set run_at = now() where queue = 'incoming-payments' and key = ${id}`,
            )
            await db.execute(sql`select ${notifyJobs('incoming-payments')}`)
          }),
        )
        await isTold(receiver, fulfilled)
      })
      await Promise.all(rounds)
    })
  })
})

test('F34: receipts count over both connectors; a flush in between begins a new total, and costs no money', async (t) => {
  const redis = await startTestRedis()
  if (!redis) return t.skip('redis-server is not installed')
  const database = await createTestDatabase('resources')
  const options = { connectionString: database.connectionString, env: { REDIS_URL: redis.url } }
  const nodes = [await startTestNode(options), await startTestNode(options)]
  const [node] = nodes as [TestNode]
  const admin = await connectRedis({ url: redis.url, log: silentLogger })
  try {
    const usd = await node.asset('USD', 2)
    const { token } = await node.peer(usd, { address: 'test.payer', liquidity: 1_000_000n })
    const wallet = await createWalletAddress(node.node, {
      tenantId: node.config.operatorTenantId,
      assetId: usd.id,
      address: `https://wallet.example/${uuidv7()}`,
    })
    const receipt = { nonce: randomBytes(16), secret: randomBytes(32) }
    const { ilpAddress, sharedSecret } = createStreamCredentials({
      streamSecret: node.config.streamSecret,
      ilpAddress: 'test.node',
      paymentTag: wallet.id,
      asset: usd,
      receipt,
    })
    const connection = openConnection({ ilpAddress, sharedSecret: sharedSecret.toString('base64url') })
    /** Sends one unit over the next connector; the total in its receipt. */
    const pay = async (index: number): Promise<bigint | undefined> => {
      const send = (prepare: IlpPrepare) => postPrepare(nodes[index % 2]!.url, token, prepare)
      const { reply, authentic } = await exchangePacket(connection, send, moneyOf(1n))
      assert.ok(isFulfill(reply))
      const frame = authentic?.frames.find(({ type }) => type === 'streamReceipt')
      if (frame?.type !== 'streamReceipt') return undefined
      return BigInt(verifyReceipt(frame.receipt, () => receipt.secret).totalReceived.toString())
    }
    await waitFor(() => nodes[1]!.connector.directory.findPeerByToken(token))
    let paid = 0
    // No packet waits long for Redis: on a busy machine one may go without a receipt, and its round is begun anew.
    for (let round = 0, missed = 0; round < 20; await admin.flushall()) {
      let total: bigint | undefined = 0n
      for (let packet = 1; packet <= 5 && total !== undefined; packet++) {
        total = await pay(paid++)
        if (total !== undefined) assert.equal(total, BigInt(packet))
      }
      if (total !== undefined) round++
      else {
        assert.ok(++missed <= 5, 'hardly a packet has a receipt')
        await sleep(1_100)
      }
    }
    await redis.kill()
    for (let packet = 0; packet < 10; packet++) assert.equal(await pay(paid++), undefined)
    assert.equal(await node.credited(wallet.id), BigInt(paid))
  } finally {
    admin.disconnect()
    for (const each of nodes) await each.close()
    await redis.stop()
    await database.drop()
  }
})

test('F31: SIGTERM: /readyz says no first, then no connection is taken, what is under way is answered, and the process ends', async () => {
  const database = await createTestDatabase('resources')
  const options = { connectionString: database.connectionString }
  const node = await startTestNode(options)
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const hop = await startTestHop(async (prepare) => {
    await held
    return fulfilWithData(prepare)
  })
  const child = spawn(process.execPath, [fileURLToPath(new URL('./server.ts', import.meta.url))], {
    env: { ...testEnvironment(options), CONNECTOR_SHUTDOWN_NOTICE_MS: '4000', PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const exited = once(child, 'exit')
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const { ports } = JSON.parse(line) as { ports: { connector: number; rpc: number } }
    const usd = await node.asset('USD', 2)
    const from = await node.peer(usd, { address: 'test.from', liquidity: 1_000n })
    const to = await node.peer(usd, { address: 'test.to', endpoint: hop.url })
    const url = `http://127.0.0.1:${ports.connector}`
    const ready = async (port: number) =>
      (await postBytes(`http://127.0.0.1:${port}/readyz`, Buffer.alloc(0), {}, 'GET')).status
    assert.deepEqual([await ready(ports.connector), await ready(ports.rpc)], [200, 200])
    const early = postPrepare(url, from.token, testPrepare('test.to.x'))
    await waitFor(() => hop.requests.length === 1)
    child.kill('SIGTERM')
    await waitFor(async () => (await ready(ports.connector)) === 503)
    assert.equal(await ready(ports.rpc), 503)
    assert.equal((await postBytes(`${url}/livez`, Buffer.alloc(0), {}, 'GET')).status, 200)
    // Who has not noticed yet is served.
    const noticed = postPrepare(url, from.token, testPrepare('test.to.y'))
    await waitFor(() => hop.requests.length === 2)
    await waitFor(() => refuses(ports.connector))
    await sleep(300)
    assert.equal(child.exitCode, null)
    letGo()
    assert.ok(isFulfill(await early) && isFulfill(await noticed))
    assert.deepEqual(await exited, [0, null])
    assert.equal(await node.credited(to.id), 20n)
  } finally {
    letGo()
    child.kill('SIGKILL')
    await node.close()
    await hop.close()
    await database.drop()
  }
})

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
