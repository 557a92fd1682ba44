import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { parseHmacSignature, signHmac, verifyHmacDigest } from './hmac-signature.ts'

const secrets = [
  '',
  'short',
  'ünd so weiter ☃',
  'x'.repeat(65),
  ...Array.from({ length: 1200 }, (_, n) => `secret ${n}`),
]

test('each secret signs with its own text, however many there are and however often', () => {
  const body = { b: 1, a: ['x', null] }
  for (const secret of [...secrets, ...secrets]) {
    const expected = createHmac('sha256', secret).update('1789776045678.{"a":["x",null],"b":1}').digest('hex')
    const header = signHmac({ secret, version: 1, timestampMs: 1789776045678, body })
    assert.equal(header, `t=1789776045678, v1=${expected}`)
    const signature = parseHmacSignature(header)
    assert.ok(signature && verifyHmacDigest(signature, { secret, body }))
    assert.ok(!verifyHmacDigest(signature, { secret: `${secret}.`, body }))
    assert.ok(!verifyHmacDigest(signature, { secret, body: { ...body, b: 2 } }))
  }
})
