/**
 * CPU per packet of both ends of STREAM, in one process and without transport: `node connector/stream/stream.bench.ts`. A
 * packet received is parsed, decrypted, decided, fulfilled and serialised; a packet sent is encrypted, hashed and serialised,
 * and its answer decrypted and checked.
 */
import { createCredentialReader, createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import { isFulfill, parsePrepare, serializePrepare, serializeReply } from '../packet/index.ts'
import { exchangePacket, openConnection } from './connection.ts'
import { receiveStreamPacket } from './receive-packet.ts'

const ROUNDS = 7
const PACKETS = 10_000
const streamSecret = Buffer.alloc(32, 1)
const ilpAddress = 'test.bank'
const paymentTag = '2f0c2a1e-6a0f-4e0b-9a53-0f7cb6a0a111'
const asset = { assetCode: 'USD', assetScale: 2 }
const credentials = createStreamCredentials({ streamSecret, ilpAddress, paymentTag, asset })
const reader = createCredentialReader({ streamSecret, ilpAddress })
const connection = openConnection({
  ilpAddress: credentials.ilpAddress,
  sharedSecret: credentials.sharedSecret.toString('base64url'),
})

/** Best of several rounds, in µs of CPU per call: the least disturbed one. */
async function measure(name: string, call: () => unknown): Promise<void> {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let index = 0; index < PACKETS; index++) {
      const result = call()
      if (result instanceof Promise) await result
    }
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / PACKETS)
  }
  console.log(`${name.padEnd(56)}${best.toFixed(1).padStart(7)} µs CPU`)
}

function receive(bytes: Buffer): Buffer {
  const decision = receiveStreamPacket({ reader, prepare: parsePrepare(bytes), rejects: 'F99' })
  if (decision.kind === 'reject') return serializeReply(decision.reject)
  return serializeReply(decision.kind === 'fulfill' ? decision.fulfill : decision.fulfill())
}

let sample = Buffer.alloc(0)
const exchange = (fulfillable: boolean) =>
  exchangePacket(
    connection,
    async (prepare) => {
      sample = Buffer.from(serializePrepare(prepare))
      const decision = receiveStreamPacket({ reader, prepare, rejects: 'F99' })
      if (decision.kind === 'reject') return decision.reject
      return decision.kind === 'fulfill' ? decision.fulfill : decision.fulfill()
    },
    {
      amount: 1000n,
      minimumAmount: 990n,
      expiresAt: new Date(Date.now() + 20_000),
      frames: [{ type: 'streamMoney', streamId: 1n, shares: 1n }],
      fulfillable,
    },
  )

const { reply } = await exchange(true)
if (!isFulfill(reply)) throw new Error(`the packet was rejected with ${reply.code}`)
const fulfillable = sample
await exchange(false)
const probe = sample

await measure('parse a Prepare', () => parsePrepare(fulfillable))
await measure('receive: parse, decide, fulfil, serialise', () => receive(fulfillable))
await measure('receive an unfulfillable packet', () => receive(probe))
await measure('receive the first packet of a connection', () => {
  const fresh = createCredentialReader({ streamSecret, ilpAddress })
  return fresh.read(credentials.ilpAddress) && receive(fulfillable)
})
await measure('send and receive, both ends', () => exchange(true))
await measure('create credentials', () =>
  createStreamCredentials({ streamSecret, ilpAddress, paymentTag, asset }),
)
