import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import {
  deserializePrepare,
  deserializeReply,
  type IlpReply,
  parseAmountTooLarge,
  parsePrepare,
  serializeFulfill,
  serializePrepare,
  serializeReject,
} from './index.ts'

type Json = Record<string, string>
interface Vector {
  type: 'prepare' | 'fulfill' | 'reject' | 'f08-data'
  json: Json
  hex: string
}

const readJson = (url: URL) => JSON.parse(readFileSync(url, 'utf8'))
const vectors: Vector[] = readJson(new URL('../fixtures/ilp-packets.json', import.meta.url)).vectors
const ofType = (type: Vector['type']) => vectors.filter((vector) => vector.type === type)

const toPrepare = (json: Json, encoding: BufferEncoding) => ({
  amount: BigInt(json.amount!),
  destination: json.destination!,
  executionCondition: Buffer.from(json.executionCondition!, encoding),
  expiresAt: new Date(json.expiresAt!),
  data: Buffer.from(json.data!, encoding),
})
const toFulfill = (json: Json, encoding: BufferEncoding) => ({
  fulfillment: Buffer.from(json.fulfillment!, encoding),
  data: Buffer.from(json.data!, encoding),
})
const toReject = (json: Json, encoding: BufferEncoding) => ({
  code: json.code!,
  triggeredBy: json.triggeredBy!,
  message: json.message!,
  data: Buffer.from(json.data!, encoding),
})

function checkPrepare(bytes: Buffer, json: Json, encoding: BufferEncoding): void {
  const expected = toPrepare(json, encoding)
  const { bytes: own, amountOffset, ...parsed } = parsePrepare(bytes)
  assert.deepEqual(parsed, expected)
  assert.equal(own, bytes)
  assert.equal(bytes.readBigUInt64BE(amountOffset), expected.amount)
  assert.deepEqual(deserializePrepare(bytes), expected)
  assert.deepEqual(serializePrepare(expected), bytes)
}

function checkReply(bytes: Buffer, reply: IlpReply, serialized: Buffer): void {
  assert.deepEqual(deserializeReply(bytes), reply)
  assert.deepEqual(serialized, bytes)
}

suite('vectors of ilp-packet 3.1.4-alpha.2', () => {
  test('every kind is there', () => {
    assert.equal(ofType('prepare').length, 42)
    assert.equal(ofType('fulfill').length, 9)
    assert.equal(ofType('reject').length, 63)
    assert.equal(ofType('f08-data').length, 1)
  })
  test('prepares', () => {
    for (const { hex, json } of ofType('prepare')) checkPrepare(Buffer.from(hex, 'hex'), json, 'hex')
  })
  test('fulfils', () => {
    for (const { hex, json } of ofType('fulfill')) {
      const fulfill = toFulfill(json, 'hex')
      checkReply(Buffer.from(hex, 'hex'), fulfill, serializeFulfill(fulfill))
    }
  })
  test('rejects', () => {
    for (const { hex, json } of ofType('reject')) {
      const reject = toReject(json, 'hex')
      checkReply(Buffer.from(hex, 'hex'), reject, serializeReject(reject))
    }
  })
  test('the data of an F08', () => {
    for (const { hex, json } of ofType('f08-data'))
      assert.deepEqual(parseAmountTooLarge(Buffer.from(hex, 'hex')), {
        receivedAmount: BigInt(json.received!),
        maximumAmount: BigInt(json.maximum!),
      })
  })
})

const published = new URL('../../../shared/vectors/ilp-packet/', import.meta.url)
const skip = existsSync(published) ? false : 'the published vectors are not beside the repository'

test('published examples', { skip }, () => {
  const files = readdirSync(published).filter((name) => name.endsWith('.json'))
  assert.equal(files.length, 3)
  for (const name of files) {
    const { binary, json } = readJson(new URL(name, published))
    const bytes = Buffer.from(binary, 'hex')
    if (name.startsWith('ilp_prepare')) checkPrepare(bytes, json, 'base64')
    else if (name.startsWith('ilp_fulfill'))
      checkReply(bytes, toFulfill(json, 'base64'), serializeFulfill(toFulfill(json, 'base64')))
    else checkReply(bytes, toReject(json, 'base64'), serializeReject(toReject(json, 'base64')))
  }
})
