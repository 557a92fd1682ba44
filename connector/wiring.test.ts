import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ConnectorRefusal } from '../shared/connector-client/index.ts'
import { getIncomingPayment, incomingPaymentAccount } from '../shared/incoming-payments/index.ts'
import { settlementAccountId, transferCode } from '../shared/ledger/index.ts'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { identityRate, rate } from '../shared/money/index.ts'
import { getSendProgress } from '../shared/outgoing-payments/index.ts'
import { updatePeer } from '../shared/peers/index.ts'
import { ConfigError, createDb, sql, uuidv7 } from '../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../shared/testing/index.ts'
import { isFulfill, isReject } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import {
  fulfilAfter,
  fulfilWithData,
  postBytes,
  postPrepare,
  startTestHop,
  testPrepare,
} from './testing/test-hop.ts'
import { startTestNode, type TestNode, testEnvironment } from './testing/test-node.ts'
import { startConnector } from './wiring.ts'

let database: TestDatabase
let node: TestNode
let usd: LedgerAsset

before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode({ connectionString: database.connectionString, recordInRows: true })
  usd = await node.asset('USD', 2)
})

after(async () => {
  await node.close()
  await database.drop()
})

const environment = () => testEnvironment({ connectionString: database.connectionString })

test('it starts from the environment, listens on two ports and is healthy', async () => {
  const running = await startConnector(environment())
  assert.equal(running.name, 'connector')
  assert.deepEqual(Object.keys(running.ports).sort(), ['connector', 'rpc'])
  for (const port of Object.values(running.ports))
    for (const path of ['/healthz', '/livez', '/readyz']) {
      const answer = await postBytes(`http://127.0.0.1:${port}${path}`, Buffer.alloc(0), {}, 'GET')
      assert.equal(answer.status, 200)
    }
  await running.close()
  await assert.rejects(
    postBytes(`http://127.0.0.1:${running.ports.connector}/livez`, Buffer.alloc(0), {}, 'GET'),
  )
})

test('a start that fails before the connector listens leaves no connection to Redis', async () => {
  const own = await createTestDatabase('resources')
  const open = new Set<Socket>()
  let connections = 0
  const redis = createServer((socket) => {
    connections++
    open.add(socket)
    socket.on('error', () => undefined).on('close', () => open.delete(socket))
    // The end comes behind what was said.
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(redis, 'listening')
  const { port } = redis.address() as AddressInfo
  const db = createDb({ connectionString: own.connectionString, poolSizeMax: 1 })
  try {
    // Peers cannot be loaded.
    await db.execute(sql`alter table peer_incoming_tokens rename to others`)
    const env = testEnvironment({ connectionString: own.connectionString })
    const starting = startConnector({ ...env, REDIS_URL: `redis://127.0.0.1:${port}` })
    await assert.rejects(starting, /peer_incoming_tokens/)
    await waitFor(() => open.size === 0)
    const before = connections
    // Longer than a client takes that tries again.
    await sleep(1_000)
    assert.equal(connections, before)
  } finally {
    for (const socket of open) socket.destroy()
    redis.close()
    await db.close()
    await own.drop()
  }
})

test('a start that fails after the connector listens leaves nothing behind that keeps the process alive', async () => {
  const taken = createServer().listen(0)
  await once(taken, 'listening')
  const [connectorPort, metricsPort] = [await choosePort(), (taken.address() as AddressInfo).port]
  const settings = {
    CONNECTOR_PORT: String(connectorPort),
    METRICS_PORT: String(metricsPort),
    CONNECTOR_SHUTDOWN_NOTICE_MS: '0',
  }
  try {
    await assert.rejects(startConnector({ ...environment(), ...settings }), /EADDRINUSE/)
    const free = createServer().listen(connectorPort)
    await once(free, 'listening')
    free.close()
  } finally {
    taken.close()
  }
})

test('a configuration that cannot work is refused with all its problems', async () => {
  const { ILP_ADDRESS: _address, ...env } = environment()
  await assert.rejects(startConnector({ ...env, STREAM_SECRET: 'short' }), (error: unknown) => {
    assert.ok(error instanceof ConfigError)
    assert.equal(error.problems.filter((problem) => /ILP_ADDRESS|STREAM_SECRET/.test(problem)).length, 2)
    assert.ok(!error.message.includes('short'))
    return true
  })
  const unusable = { USE_TIGERBEETLE: 'true', TIGERBEETLE_REPLICA_ADDRESSES: 'nowhere' }
  await assert.rejects(startConnector({ ...environment(), ...unusable }), ConfigError)
})

test('a token that is replaced stops working, and its successor works', async () => {
  const hop = await startTestHop(fulfilWithData)
  const from = await node.peer(usd, { address: 'test.from', liquidity: 1_000n })
  await node.peer(usd, { address: 'test.to', endpoint: hop.url })
  assert.ok(isFulfill(await postPrepare(node.url, from.token, testPrepare('test.to.x'))))
  await updatePeer(node.node, 'all', { id: from.id, incoming: { authTokens: ['successor'] } })
  await waitFor(async () => isFulfill(await postPrepare(node.url, 'successor', testPrepare('test.to.x'))))
  await assert.rejects(postPrepare(node.url, from.token, testPrepare('test.to.x')), /401/)
  await hop.close()
})

test('an incoming payment that has its amount and was not completed before a crash is completed at the start', async () => {
  const receiver = await node.incomingPayment(usd, 70n)
  const { id } = receiver.payment
  await node.node.ledger.createAccounts([incomingPaymentAccount(receiver.payment)])
  const [status] = await node.node.ledger.createTransfers([
    {
      kind: 'posted',
      id: uuidv7(),
      debitAccountId: settlementAccountId(usd.ledger),
      creditAccountId: id,
      ledger: usd.ledger,
      code: transferCode.deposit,
      amount: 70n,
    },
  ])
  assert.equal(status, 'created')
  assert.equal((await getIncomingPayment(node.node, 'all', id)).state, 'PENDING')
  const running = await startConnector(environment())
  await waitFor(async () => (await getIncomingPayment(node.node, 'all', id)).state === 'COMPLETED')
  await running.close()
})

/** An outgoing payment in SENDING with its quote, as the payments worker finds it. */
async function sendingPayment(debitAmount: bigint): Promise<string> {
  const id = await node.fundedPayment(usd, debitAmount)
  const { payment } = await node.incomingPayment(usd)
  const tenantId = node.config.operatorTenantId
  await node.node.db.execute(sql`
    insert into quotes (id, tenant_id, wallet_address_id, asset_id, receiver, method, debit_amount, source_amount, receive_amount,
      receive_asset_code, receive_asset_scale, expires_at)
    values (${id}, ${tenantId}, ${payment.walletAddressId}, ${usd.id}, 'https://x.example/incoming-payments/1', 'ILP',
      ${debitAmount}, ${debitAmount}, ${debitAmount}, 'USD', 2, now() + interval '1 hour')`)
  await node.node.db.execute(sql`
    insert into outgoing_payments (id, tenant_id, wallet_address_id, state, initiated_by)
    values (${id}, ${tenantId}, ${payment.walletAddressId}, 'SENDING', 'ADMIN')`)
  return id
}

test('what is sent is recorded in the payment, and one that ended is not sent any more', async () => {
  const receiver = await node.incomingPayment(usd)
  const id = await sendingPayment(500n)
  const input = {
    outgoingPaymentId: id,
    tenantId: node.config.operatorTenantId,
    sourceAsset: usd,
    destination: { ...receiver, assetCode: 'USD', assetScale: 2 },
    debitAmount: 500n,
    receiveAmount: 300n,
    sentAmount: 0n,
    deliveredAmount: 0n,
    minRate: rate(99n, 100n),
    lowRate: identityRate,
    highRate: rate(1_001n, 1_000n),
    maxPacketAmount: 100n,
    budgetMs: 5_000,
  }
  const result = await node.client.send(input)
  assert.equal(result.status, 'done')
  assert.equal(result.packets.fulfilled, 3)
  const { state, ...recorded } = await getSendProgress(node.node, id)
  assert.equal(state, 'SENDING')
  assert.deepEqual(recorded, {
    sentAmount: 300n,
    deliveredAmount: 300n,
    packets: result.packets,
    rejects: [],
  })

  const ended = await sendingPayment(500n)
  await node.node.db.execute(
    sql`update outgoing_payments set state = 'FAILED', sent_amount = 0 where id = ${ended}`,
  )
  const refused = (error: unknown) => error instanceof ConnectorRefusal && error.code === 'invalid_request'
  await assert.rejects(node.client.send({ ...input, outgoingPaymentId: ended }), refused)
  await assert.rejects(node.client.send({ ...input, outgoingPaymentId: uuidv7() }), refused)
  assert.equal(await node.balance(ended), 500n)
})

test('F31: SIGTERM: the packet under way is answered, then the process ends', async () => {
  const hop = await startTestHop(fulfilAfter(900))
  const from = await node.peer(usd, { address: 'test.sigterm-from', liquidity: 1_000n })
  const to = await node.peer(usd, { address: 'test.sigterm-to', endpoint: hop.url })
  const child = spawn(process.execPath, [fileURLToPath(new URL('./server.ts', import.meta.url))], {
    env: { ...environment(), PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { ports } = JSON.parse(line) as { ports: { connector: number } }
  const answer = postPrepare(
    `http://127.0.0.1:${ports.connector}`,
    from.token,
    testPrepare('test.sigterm-to.x'),
  )
  await waitFor(() => hop.requests.length === 1)
  child.kill('SIGTERM')
  await sleep(100)
  await assert.rejects(
    postPrepare(`http://127.0.0.1:${ports.connector}`, from.token, testPrepare('test.sigterm-to.x')),
  )
  assert.ok(isFulfill(await answer))
  const [code] = (await exited) as [number]
  assert.equal(code, 0)
  assert.equal(await node.credited(to.id), 10n)
  await hop.close()
})

test('F31: SIGKILL: what is held comes back by itself, and the repeated Prepare gets no false answer', async (t) => {
  const hop = await startTestHop(() => new Promise(() => {}))
  t.after(() => hop.close())
  const from = await node.peer(usd, { address: 'test.sigkill-from', liquidity: 1_000n })
  await node.peer(usd, { address: 'test.sigkill-to', endpoint: hop.url })
  const child = spawn(process.execPath, [fileURLToPath(new URL('./server.ts', import.meta.url))], {
    env: { ...environment(), PATH: process.env.PATH, TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { ports } = JSON.parse(line) as { ports: { connector: number } }
  const prepare = testPrepare('test.sigkill-to.x', { lifeMs: 2_500 })
  const broken = assert.rejects(postPrepare(`http://127.0.0.1:${ports.connector}`, from.token, prepare))
  await waitFor(() => hop.requests.length === 1)
  child.kill('SIGKILL')
  await broken
  assert.equal(await node.balance(from.id), 990n)
  // The hold may still be another process's: neither answer would be true.
  await assert.rejects(postPrepare(node.url, from.token, prepare), /HTTP 500/)
  assert.equal(hop.requests.length, 1)
  await waitFor(async () => (await node.balance(from.id)) === 1_000n, 30_000)
  const late = await postPrepare(node.url, from.token, prepare)
  assert.ok(isReject(late) && late.code === 'R02')
})
