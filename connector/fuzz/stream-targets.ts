import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { createCredentialReader, createStreamCredentials } from '../../shared/stream-credentials/index.ts'
import { type IlpPrepare, packetType } from '../packet/index.ts'
import { conditionOf, fulfillmentOf, openStreamPacket, sealStreamPacket } from '../stream/encryption.ts'
import { InvalidStreamPacket } from '../stream/errors.ts'
import { decodeStreamPacket, encodeStreamPacket, type Frame, type StreamPacket } from '../stream/frames.ts'
import { receiveStreamPacket } from '../stream/index.ts'
import type { FuzzTarget } from './target.ts'

interface TheirPacket {
  sequence: { toString(): string }
  ilpPacketType: { valueOf(): number }
  prepareAmount: { toString(): string }
  frames: { type: number }[]
}
const { Packet } = createRequire(import.meta.url)('ilp-protocol-stream/dist/src/packet.js') as {
  Packet: { _deserializeUnencrypted(bytes: Buffer): TheirPacket }
}

/** They take no number of frames that is written in more than seven bytes, leading zeros included, which OER allows: then as we write it. */
function readAsThey(bytes: Buffer, packet: StreamPacket): TheirPacket {
  try {
    return Packet._deserializeUnencrypted(bytes)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('Value does not fit a JS number'))) throw error
    return Packet._deserializeUnencrypted(encodeStreamPacket(packet))
  }
}

const everyFrame: readonly Frame[] = [
  { type: 'connectionClose', errorCode: 1, errorMessage: 'the end' },
  { type: 'connectionNewAddress', sourceAccount: 'test.sender.abc' },
  { type: 'connectionMaxData', maxOffset: 65536n },
  { type: 'connectionDataBlocked', maxOffset: 1n },
  { type: 'connectionMaxStreamId', maxStreamId: 20n },
  { type: 'connectionStreamIdBlocked', maxStreamId: 2n ** 40n },
  { type: 'connectionAssetDetails', assetCode: 'EUR', assetScale: 2 },
  { type: 'streamClose', streamId: 1n, errorCode: 2, errorMessage: '' },
  { type: 'streamMoney', streamId: 1n, shares: 2n ** 64n - 1n },
  { type: 'streamMaxMoney', streamId: 1n, receiveMax: 500n, totalReceived: 0n },
  { type: 'streamMoneyBlocked', streamId: 1n, sendMax: 500n, totalSent: 3n },
  { type: 'streamData', streamId: 1n, offset: 0n, data: Buffer.from('words') },
  { type: 'streamMaxData', streamId: 1n, maxOffset: 300n },
  { type: 'streamDataBlocked', streamId: 1n, maxOffset: 300n },
  { type: 'streamReceipt', streamId: 1n, receipt: Buffer.alloc(58, 4) },
]
const packetOf = (frames: Frame[], amount = 107n): StreamPacket => ({
  type: packetType.prepare,
  sequence: 3n,
  amount,
  frames,
})
const streamPackets: readonly StreamPacket[] = [
  packetOf([]),
  packetOf([...everyFrame], 2n ** 64n - 1n),
  ...everyFrame.map((frame) => packetOf([frame])),
  packetOf([...everyFrame.slice(8, 11), ...everyFrame.slice(8, 11)]),
]

/** Refuses or reads, and what it reads means the same when it is written anew, and to ilp-protocol-stream. */
const frameTarget: FuzzTarget = {
  name: 'stream frames',
  corpus: streamPackets.map(encodeStreamPacket),
  check(bytes) {
    let packet: StreamPacket
    try {
      packet = decodeStreamPacket(bytes)
    } catch (error) {
      if (error instanceof InvalidStreamPacket) return 'refused'
      throw error
    }
    assert.ok(packet.frames.length <= bytes.length, 'a frame takes bytes')
    assert.deepEqual(decodeStreamPacket(encodeStreamPacket(packet)), packet)
    const theirs = readAsThey(bytes, packet)
    assert.equal(theirs.sequence.toString(), packet.sequence.toString())
    assert.equal(theirs.prepareAmount.toString(), packet.amount.toString())
    assert.equal(theirs.ilpPacketType.valueOf(), packet.type)
    return 'accepted'
  },
}

const streamSecret = Buffer.alloc(32, 5)
const ilpAddress = 'test.bank-b'
const reader = createCredentialReader({ streamSecret, ilpAddress })
const issued = [
  { paymentTag: '0190a1b2-0000-7000-8000-000000000001' },
  { asset: { assetCode: 'EUR', assetScale: 2 } },
].map((contents) => createStreamCredentials({ streamSecret, ilpAddress, ...contents }))

/** What a sender made: a destination, and data under the keys that belong to it. */
interface Sent {
  destination: string
  data: Buffer
  keys: NonNullable<ReturnType<typeof reader.read>>['connectionKeys']
}
const sent: readonly Sent[] = issued.flatMap(({ ilpAddress: destination }) => {
  const keys = reader.read(destination)?.connectionKeys
  assert.ok(keys, 'an address that was given out is read')
  return streamPackets.map((packet) => ({
    destination,
    keys,
    data: sealStreamPacket(keys.encryption, packet),
  }))
})
const genuine = new Set(sent.map(({ data }) => data.toString('latin1')))

/** Nothing opens but what was sealed, whatever single bit differs. */
const sealedTarget: FuzzTarget = {
  name: 'sealed stream packet',
  corpus: sent.map(({ data }) => data),
  check(bytes) {
    for (const { keys } of [sent[0], sent.at(-1)] as Sent[]) {
      const opened = openStreamPacket(keys.encryption, bytes)
      if (!opened) continue
      assert.ok(genuine.has(bytes.toString('latin1')), 'opened what nobody sealed')
      return 'accepted'
    }
    return 'refused'
  },
}

const SEPARATOR = 0
/** Destination and data of one packet as one input, so that both are damaged. */
const join = (destination: string, data: Buffer) =>
  Buffer.concat([Buffer.from(destination, 'latin1'), Buffer.of(SEPARATOR), data])

/** Always a decision, and money is taken for a genuine packet only. */
const receiverTarget: FuzzTarget = {
  name: 'stream receiver',
  corpus: sent.map(({ destination, data }) => join(destination, data)),
  check(bytes) {
    const end = bytes.indexOf(SEPARATOR)
    const destination = bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
    const data = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 1)
    const keys = (sent.find((known) => known.destination === destination) ?? (sent[0] as Sent)).keys
    const prepare: IlpPrepare = {
      destination,
      data,
      amount: 2n ** 64n - 1n,
      expiresAt: new Date(0),
      executionCondition: conditionOf(fulfillmentOf(keys.fulfillment, data)),
    }
    const decision = receiveStreamPacket({ reader, prepare, rejects: 'F99' })
    if (decision.kind === 'reject') {
      assert.match(decision.reject.code, /^F(00|02|06|99)$/)
      return 'refused'
    }
    assert.ok(genuine.has(data.toString('latin1')), 'took a packet that nobody sealed')
    return 'accepted'
  },
}

export const streamTargets: readonly FuzzTarget[] = [frameTarget, sealedTarget, receiverTarget]
