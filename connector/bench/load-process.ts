// The other ends of a benchmarked connector, in processes of their own: a peer that sends packets and the hop that answers.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { Agent } from 'undici'
import { silentLogger } from '../../shared/platform/index.ts'
import { createPacketServer, listen } from '../http/index.ts'
import { createPeerConnections } from '../http/peer-connections.ts'
import {
  createReject,
  deserializePrepare,
  deserializeReply,
  type IlpPrepare,
  isFulfill,
  serializePrepare,
} from '../packet/index.ts'
import type { Peer } from '../routing/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { fulfilWithData, testPrepare } from '../testing/test-hop.ts'

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

/** A process that forwards to `next` with node:http and undici, and does nothing else. */
export async function forkBare(next: string): Promise<{ url: string; pid: number; stop(): void }> {
  const child = fork(self, ['bare', next])
  const [url] = (await once(child, 'message')) as [string]
  return { url, pid: child.pid ?? 0, stop: () => child.kill() }
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
  // As cheap as can be, so that it leaves the machine to the connector.
  const anybody = { id: 'from', tenantId: 'any' } as unknown as Peer
  const { server } = createPacketServer({
    pipeline: { receive: async (_account, bytes) => fulfilWithData(deserializePrepare(bytes)) },
    directory: { findPeerByToken: async () => anybody, findPeerByTokenHash: () => anybody },
    ilpAddress: 'test.hop',
    packetsPerMinute: 1,
    ready: async () => {},
    log: silentLogger,
  })
  process.send?.(`http://127.0.0.1:${await listen(server, 0)}/ilp`)
}
if (process.argv[1] === self && process.argv[2] === 'bare') {
  const port = await listen(bareForwarder(process.argv[3] ?? ''), 0)
  process.send?.(`http://127.0.0.1:${port}/`)
}
if (process.argv[1] === self && process.argv[2] === 'sender')
  process.on('message', (load) => void sendLoad(load as Load).then((done) => process.send?.(done)))

async function makePacket(load: Load): Promise<Buffer> {
  // All of a row are made before the first is sent, and a busy machine takes its time.
  const expiresAt = new Date(Date.now() + 120_000)
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

function toRequest(load: Load, url: URL, packet: Buffer): Buffer {
  const head = `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${load.token}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${packet.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), packet])
}

/** What node:http and undici cost for the same bytes, when nothing is done with them. */
function bareForwarder(next: string) {
  const { origin, pathname: path } = new URL(next)
  const agent = new Agent({ connections: 256, headersTimeout: 0, bodyTimeout: 0 })
  const headers = { authorization: 'Bearer x', 'content-type': 'application/octet-stream' }
  return createServer((request, response) => {
    const answer: Buffer[] = []
    const dispatch = (body: Buffer) =>
      agent.dispatch(
        { origin, path, method: 'POST', headers, body },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData: (_controller, bytes) => void answer.push(bytes),
          onResponseEnd() {
            const body = Buffer.concat(answer)
            response.writeHead(200, { 'content-length': body.length })
            response.end(body)
          },
          onResponseError: () => response.destroy(),
        },
      )
    const body: Buffer[] = []
    request.on('data', (bytes: Buffer) => body.push(bytes))
    request.on('end', () => dispatch(Buffer.concat(body)))
  })
}

/** Packets are made beforehand: what a sender computes is not the connector's time. */
async function sendLoad(load: Load): Promise<Done> {
  const url = new URL(load.url)
  const connections = createPeerConnections({
    connectionsMax: load.inFlight,
    keepAliveMs: 30_000,
    connectMs: 5_000,
    answerSizeMax: 64 * 1024,
  })
  const requests = await Promise.all(
    Array.from({ length: load.packets }, async () => toRequest(load, url, await makePacket(load))),
  )
  const times: number[] = []
  let fulfilled = 0
  let next = 0
  const lane = async () => {
    for (let request = requests[next++]; request; request = requests[next++]) {
      const startedMs = performance.now()
      const { body } = await connections.exchange(url.origin, request, 60_000)
      const reply = deserializeReply(body)
      times.push(performance.now() - startedMs)
      if (isFulfill(reply)) fulfilled++
    }
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: load.inFlight }, lane))
  const ms = performance.now() - startedMs
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0
  connections.close()
  return { fulfilled, ms, p50Ms: at(0.5), p99Ms: at(0.99) }
}
