import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { deserializeIldcpResponse } from 'ilp-protocol-ildcp'
import {
  ILDCP_DESTINATION,
  ildcpFulfill,
  isIldcpCondition,
  type PeerConfiguration,
  parsePrepare,
  serializeFulfill,
} from './index.ts'

interface Vector {
  type: 'request' | 'response'
  json: PeerConfiguration & { expiresAt: string }
  hex: string
}
const { vectors } = JSON.parse(readFileSync(new URL('../fixtures/ildcp.json', import.meta.url), 'utf8')) as {
  vectors: Vector[]
}

test('answers are those of ilp-protocol-ildcp 2.2.4-alpha.2, byte for byte', () => {
  const responses = vectors.filter(({ type }) => type === 'response')
  assert.equal(responses.length, 4)
  for (const { json, hex } of responses)
    assert.equal(serializeFulfill(ildcpFulfill(json)).toString('hex'), hex)
})

test('its question is recognised', () => {
  const [request] = vectors.filter(({ type }) => type === 'request')
  assert.ok(request)
  const prepare = parsePrepare(Buffer.from(request.hex, 'hex'))
  assert.equal(prepare.destination, ILDCP_DESTINATION)
  assert.equal(prepare.amount, 0n)
  assert.equal(prepare.expiresAt.toISOString(), request.json.expiresAt)
  assert.ok(isIldcpCondition(prepare.executionCondition))
  assert.ok(!isIldcpCondition(Buffer.alloc(32)))
})

test('addresses and codes of any length that there is are read as they are', () => {
  for (const length of [1, 127 - 5, 128 - 5, 255 - 5, 256 - 5, 1023 - 5])
    for (const assetCode of ['U', 'µ'.repeat(100), 'X'.repeat(255)]) {
      const configuration = { clientAddress: `test.${'a'.repeat(length)}`, assetScale: 255, assetCode }
      assert.deepEqual(deserializeIldcpResponse(serializeFulfill(ildcpFulfill(configuration))), configuration)
    }
})
