// The other ends of a benchmarked connector, in processes of their own: a peer that sends packets and the hop that answers.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import {
  createReject,
  deserializeReply,
  type IlpPrepare,
  isFulfill,
  serializePrepare,
} from '../packet/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { fulfilWithData, startTestHop, testPrepare } from '../testing/test-hop.ts'

export interface Load {
  url: string
  token: string
  destination: string
  /** Of STREAM packets; absent: the hop fulfils. */
  sharedSecret?: string
  inFlight: number
  packets: number
}

export interface Done {
  fulfilled: number
  ms: number
  p50Ms: number
  p99Ms: number
}

export interface LoadProcess {
  pid: number
  send(load: Load): Promise<Done>
  stop(): void
}

const self = fileURLToPath(import.meta.url)

/** The hop's URL, once it listens. */
export async function forkHop(): Promise<{ url: string; stop(): void }> {
  const child = fork(self, ['hop'])
  const [url] = (await once(child, 'message')) as [string]
  return { url, stop: () => child.kill() }
}

export function forkSender(): LoadProcess {
  const child = fork(self, ['sender'])
  return {
    pid: child.pid ?? 0,
    async send(load) {
      child.send(load)
      const [done] = (await once(child, 'message')) as [Done]
      return done
    },
    stop: () => child.kill(),
  }
}

if (process.argv[1] === self && process.argv[2] === 'hop') {
  const hop = await startTestHop(fulfilWithData)
  process.send?.(hop.url)
}
if (process.argv[1] === self && process.argv[2] === 'sender')
  process.on('message', (load) => void sendLoad(load as Load).then((done) => process.send?.(done)))

async function makePacket(load: Load): Promise<Buffer> {
  const expiresAt = new Date(Date.now() + 25_000)
  if (load.sharedSecret === undefined)
    return serializePrepare(testPrepare(load.destination, { amount: 1n, expiresAt }))
  let made: IlpPrepare | undefined
  const keep = async (prepare: IlpPrepare) => {
    made = prepare
    return createReject('T00', { triggeredBy: '' })
  }
  const connection = openConnection({ ilpAddress: load.destination, sharedSecret: load.sharedSecret })
  const packet = { amount: 1n, minimumAmount: 0n, expiresAt, frames: [], fulfillable: true }
  await exchangePacket(connection, keep, packet)
  if (!made) throw new Error('no packet')
  return serializePrepare(made)
}

/** Packets are made beforehand: what a sender computes is not the connector's time. */
async function sendLoad(load: Load): Promise<Done> {
  const agent = new Agent({ connections: load.inFlight })
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
  await Promise.all(Array.from({ length: load.inFlight }, lane))
  const ms = performance.now() - startedMs
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0
  await agent.close()
  return { fulfilled, ms, p50Ms: at(0.5), p99Ms: at(0.99) }
}
