/**
 * Throughput and cost of packets over real sockets and a real Postgres ledger: `node connector/connector.bench.ts`. The connector
 * runs in this process; peers that send and the hop that answers run in processes of their own, so that the CPU time told here
 * is the connector's alone (without Postgres). Figures move with the machine's load; CPU per packet moves least.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import { createTestDatabase } from '../shared/testing/index.ts'
import {
  createReject,
  deserializeReply,
  type IlpPrepare,
  isFulfill,
  serializePrepare,
} from './packet/index.ts'
import { exchangePacket, openConnection } from './stream/connection.ts'
import { fulfilWithData, startTestHop, testPrepare } from './testing/test-hop.ts'
import { startTestNode } from './testing/test-node.ts'

interface Load {
  url: string
  token: string
  destination: string
  /** Of STREAM packets; absent: the hop fulfils. */
  sharedSecret?: string
  concurrency: number
  packets: number
}

interface Done {
  fulfilled: number
  ms: number
  p50Ms: number
  p99Ms: number
}

const isChild = process.argv[2]
if (isChild === 'hop') await serveHop()
else if (isChild === 'sender') process.on('message', (load) => void sendLoad(load as Load))
else await main()

async function serveHop(): Promise<void> {
  const hop = await startTestHop(fulfilWithData)
  process.send?.(hop.url)
}

async function makePacket(load: Load): Promise<Buffer> {
  if (load.sharedSecret === undefined) return serializePrepare(testPrepare(load.destination, { amount: 1n }))
  let made: IlpPrepare | undefined
  const keep = async (prepare: IlpPrepare) => {
    made = prepare
    return createReject('T00', { triggeredBy: '' })
  }
  const connection = openConnection({ ilpAddress: load.destination, sharedSecret: load.sharedSecret })
  const expiresAt = new Date(Date.now() + 25_000)
  await exchangePacket(connection, keep, {
    amount: 1n,
    minimumAmount: 0n,
    expiresAt,
    frames: [],
    fulfillable: true,
  })
  if (!made) throw new Error('no packet')
  return serializePrepare(made)
}

async function sendLoad(load: Load): Promise<void> {
  const agent = new Agent({ connections: load.concurrency })
  const bodies = await Promise.all(Array.from({ length: load.packets }, () => makePacket(load)))
  const headers = { authorization: `Bearer ${load.token}`, 'content-type': 'application/octet-stream' }
  const times: number[] = []
  let fulfilled = 0
  let next = 0
  const lane = async () => {
    for (let body = bodies[next++]; body; body = bodies[next++]) {
      const startedMs = performance.now()
      const answer = await request(load.url, { dispatcher: agent, method: 'POST', headers, body })
      const reply = deserializeReply(Buffer.from(await answer.body.arrayBuffer()))
      times.push(performance.now() - startedMs)
      if (isFulfill(reply)) fulfilled++
    }
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: load.concurrency }, lane))
  const ms = performance.now() - startedMs
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0
  await agent.close()
  const done: Done = { fulfilled, ms, p50Ms: at(0.5), p99Ms: at(0.99) }
  process.send?.(done)
}

async function main(): Promise<void> {
  const self = fileURLToPath(import.meta.url)
  const database = await createTestDatabase('resources')
  const node = await startTestNode({ connectionString: database.connectionString })
  const hop = fork(self, ['hop'])
  const sender = fork(self, ['sender'])
  const [hopUrl] = (await once(hop, 'message')) as [string]
  const cents = await node.asset('USD', 2, 10n ** 12n)
  const mills = await node.asset('USD', 3, 10n ** 12n)
  const from = await node.peer(cents, {
    address: 'test.from',
    liquidity: 10n ** 12n,
    packetsPerMinute: 10 ** 9,
  })
  await node.peer(cents, { address: 'test.same', endpoint: hopUrl })
  await node.peer(mills, { address: 'test.cross', endpoint: hopUrl })
  const receiver = await node.incomingPayment(cents)
  const kinds: Record<string, Pick<Load, 'destination' | 'sharedSecret'>> = {
    'forward, one asset': { destination: `test.same.${'x'.repeat(70)}` },
    'forward, two assets': { destination: `test.cross.${'x'.repeat(70)}` },
    'local delivery': { destination: receiver.ilpAddress, sharedSecret: receiver.sharedSecret },
  }
  for (const [name, kind] of Object.entries(kinds))
    for (const concurrency of [1, 32, 128]) {
      const packets = concurrency === 1 ? 500 : 4_000
      const load = { url: node.url, token: from.token, ...kind, concurrency, packets }
      const { done, cpuMicros } = await measure(sender, load)
      if (done.fulfilled !== packets) throw new Error(`${done.fulfilled} of ${packets} fulfilled`)
      console.log(
        `${name.padEnd(20)} ${String(concurrency).padStart(4)} at once: ${((packets / done.ms) * 1000).toFixed(0).padStart(6)} packets/s, ` +
          `p50 ${done.p50Ms.toFixed(1)} ms, p99 ${done.p99Ms.toFixed(1)} ms, ${(cpuMicros / packets).toFixed(0)} µs CPU per packet`,
      )
    }
  hop.kill()
  sender.kill()
  await node.close()
  await database.drop()
}

async function measure(sender: ChildProcess, load: Load): Promise<{ done: Done; cpuMicros: number }> {
  const started = process.cpuUsage()
  sender.send(load)
  const [done] = (await once(sender, 'message')) as [Done]
  const { user, system } = process.cpuUsage(started)
  return { done, cpuMicros: user + system }
}
