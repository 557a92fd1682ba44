import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { decrypt, encrypt, openStreamPacket, sealStreamPacket } from './encryption.ts'
import { InvalidStreamPacket } from './errors.ts'
import { decodeStreamPacket, encodeStreamPacket, type Frame, type StreamPacket } from './frames.ts'
import { createReceipt } from './receipt.ts'

const readJson = (url: URL) => JSON.parse(readFileSync(url, 'utf8'))
const published = new URL('../../../shared/vectors/ilp-protocol-stream/packets.json', import.meta.url)
const skip = existsSync(published) ? false : 'the published vectors are not beside the repository'

/** A published frame in our words: names begin small, two fields are called otherwise, integers and bytes are text there. */
function toFrame({ type: _, name, ...fields }: Record<string, string | number>): Frame {
  const type = `${String(name).charAt(0).toLowerCase()}${String(name).slice(1)}`
  const entries = Object.entries(fields).map(([field, value]) => {
    if (field === 'sourceAssetCode') return ['assetCode', value]
    if (field === 'sourceAssetScale') return ['assetScale', value]
    if (field === 'data' || field === 'receipt') return [field, Buffer.from(String(value), 'base64')]
    if (typeof value === 'number' || field === 'errorMessage' || field === 'sourceAccount')
      return [field, value]
    return [field, BigInt(value)]
  })
  return { type, ...Object.fromEntries(entries) } as Frame
}

test('published packets of ilp-protocol-stream', { skip }, () => {
  const fixtures = Object.values(readJson(published)) as {
    packet: {
      sequence: string
      packetType: number
      amount: string
      frames: Record<string, string>[]
    }
    buffer: string
    decode_only?: boolean
  }[]
  assert.equal(fixtures.length, 53)
  let encoded = 0
  for (const { packet, buffer, decode_only } of fixtures) {
    const expected: StreamPacket = {
      type: packet.packetType,
      sequence: BigInt(packet.sequence),
      amount: BigInt(packet.amount),
      frames: packet.frames.map(toFrame),
    }
    const bytes = Buffer.from(buffer, 'base64')
    assert.deepEqual(decodeStreamPacket(bytes), expected)
    if (decode_only) continue
    assert.deepEqual(encodeStreamPacket(expected), bytes)
    encoded++
  }
  assert.equal(encoded, 51)
})

const packet: StreamPacket = {
  type: 12,
  sequence: 7n,
  amount: 300n,
  frames: [{ type: 'streamMoney', streamId: 1n, shares: 1n }],
}
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const refused = (text: string) => assert.throws(() => decodeStreamPacket(hex(text)), InvalidStreamPacket)

suite('a packet as bytes', () => {
  test('as written by hand', () => {
    assert.equal(
      encodeStreamPacket(packet).toString('hex'),
      '010c' + '0107' + '02012c' + '0101' + '110401010101',
    )
  })
  test('frames of unknown types are skipped, and padding after the frames is ignored', () => {
    assert.deepEqual(decodeStreamPacket(hex('010c 0107 02012c 0102 7f03aabbcc 110401010101 0000')), packet)
  })
  test('bytes after the known fields of a frame are ignored', () => {
    assert.deepEqual(decodeStreamPacket(hex('010c 0107 02012c 0101 11050101010100')), packet)
  })
  test('integers with leading zeros are read, those above 64 bits only where they saturate', () => {
    assert.equal(decodeStreamPacket(hex('010c 0107 080000000000000005 0100')).amount, 5n)
    assert.equal(decodeStreamPacket(hex('010c 0107 07ff000000000005 0100')).amount, 0xff000000000005n)
    refused('010c 0107 09000000000000000005 0100')
    const [frame] = decodeStreamPacket(hex('010c 0100 0100 0101 120e 0101 09010000000000000000 0100')).frames
    assert.deepEqual(frame, {
      type: 'streamMaxMoney',
      streamId: 1n,
      receiveMax: 2n ** 64n - 1n,
      totalReceived: 0n,
    })
  })
  test('what is not a packet is refused', () => {
    refused('')
    refused('020c 0107 0100 0100')
    refused('010c 0107 0100 0101')
    refused('010c 00 0100 0100')
    refused('010c 0107 0100 0101 1104010101')
    refused('010c 0107 0100 0101 11030101')
    refused('010c 0107 0100 08ffffffffffffffff')
    refused('010c 8101ff 0100 0100')
    refused('010c 0107 0100 0101 01 8106 01 0466616 96c')
    refused('010c 0107 0100 0101 01 80')
    refused('010c 0107 0100 0101 01 ff')
  })
})

suite('encryption', () => {
  const key = createSecretKey(randomBytes(32))
  test('only the key opens it, and only unchanged', () => {
    const sealed = sealStreamPacket(key, packet)
    assert.deepEqual(openStreamPacket(key, sealed), packet)
    assert.equal(openStreamPacket(createSecretKey(randomBytes(32)), sealed), undefined)
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.equal(openStreamPacket(key, changed), undefined)
      assert.equal(openStreamPacket(key, sealed.subarray(0, at)), undefined)
    }
  })
  test('authentic bytes that are no packet are not one', () => {
    assert.equal(openStreamPacket(key, encrypt(key, Buffer.from('hello'))), undefined)
    assert.equal(openStreamPacket(key, encrypt(key, Buffer.alloc(0))), undefined)
    assert.deepEqual(decrypt(key, encrypt(key, Buffer.alloc(0))), Buffer.alloc(0))
  })
  test('an iv is never used twice, also beyond one refill of the pool', () => {
    const ivs = new Set<string>()
    for (let count = 0; count < 3000; count++) ivs.add(encrypt(key, Buffer.alloc(0)).toString('hex', 0, 12))
    assert.equal(ivs.size, 3000)
  })
})

test('receipts of ilp-protocol-stream', () => {
  const { vectors } = readJson(new URL('../fixtures/stream-receipts.json', import.meta.url)) as {
    vectors: {
      json: { nonce: string; secret: string; streamId: number; totalReceived: string }
      hex: string
    }[]
  }
  assert.equal(vectors.length, 15)
  for (const { json, hex: expected } of vectors) {
    const receipt = createReceipt({
      nonce: Buffer.from(json.nonce, 'hex'),
      secret: Buffer.from(json.secret, 'hex'),
      streamId: json.streamId,
      totalReceived: BigInt(json.totalReceived),
    })
    assert.equal(receipt.toString('hex'), expected)
  }
})
