import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReceiverRefusal } from './errors.ts'
import { isOwnUrl, parseReceiverUrl } from './url.ts'

const ID = '0190d5f2-8a53-7c11-9a63-5b1c2d3e4f50'
const TENANT = '5d1f3d1e-7b0a-4f0e-9c39-0a9a3b6f2c11'
const isOwn = (url: string, openPaymentsUrl = 'https://bank.example') =>
  isOwnUrl(parseReceiverUrl(url), openPaymentsUrl)

test('a receiver is the URL of an incoming payment, with or without its tenant', () => {
  assert.deepEqual(parseReceiverUrl(`https://bank.example/${TENANT}/incoming-payments/${ID}`), {
    url: `https://bank.example/${TENANT}/incoming-payments/${ID}`,
    id: ID,
    tenantId: TENANT,
    base: `https://bank.example/${TENANT}`,
    host: 'bank.example',
  })
  const plain = parseReceiverUrl(`https://bank.example/incoming-payments/${ID}`)
  assert.deepEqual([plain.tenantId, plain.base], [undefined, 'https://bank.example'])
  assert.equal(parseReceiverUrl(`https://bank.example/op/incoming-payments/${ID}`).tenantId, undefined)
  assert.equal(parseReceiverUrl(`https://bank.example/incoming-payments/${ID.toUpperCase()}`).id, ID)
})

test('anything else is refused', () => {
  for (const url of [
    '',
    'incoming-payments',
    ID,
    `https://bank.example/quotes/${ID}`,
    'https://bank.example/incoming-payments/',
    'https://bank.example/incoming-payments/not-an-id',
    `https://bank.example/incoming-payments/${ID}/complete`,
    `https://bank.example/incoming-payments/${ID}?x=1`,
    `https://bank.example/incoming-payments/${ID}#x`,
    `https://user:secret@bank.example/incoming-payments/${ID}`,
    `ftp://bank.example/incoming-payments/${ID}`,
    `javascript:alert(1)//incoming-payments/${ID}`,
  ])
    assert.throws(
      () => parseReceiverUrl(url),
      (error) => error instanceof ReceiverRefusal && error.code === 'invalid_receiver_url',
      url,
    )
})

test('ours is what has our host and our path; a foreign host with a local id is foreign', () => {
  assert.ok(isOwn(`https://bank.example/${TENANT}/incoming-payments/${ID}`))
  assert.ok(isOwn(`https://bank.example/incoming-payments/${ID}`))
  assert.ok(isOwn(`https://BANK.example/incoming-payments/${ID}`))
  assert.ok(isOwn(`https://bank.example:443/incoming-payments/${ID}`))
  // Ids are https also where the transport is http.
  assert.ok(isOwn(`https://localhost:4000/${TENANT}/incoming-payments/${ID}`, 'http://localhost:4000'))
  assert.ok(isOwn(`https://bank.example/op/${TENANT}/incoming-payments/${ID}`, 'https://bank.example/op/'))
  for (const [url, own] of [
    [`https://evil.example/${TENANT}/incoming-payments/${ID}`, 'https://bank.example'],
    [`https://bank.example.evil.example/incoming-payments/${ID}`, 'https://bank.example'],
    [`https://bank.example:8443/incoming-payments/${ID}`, 'https://bank.example'],
    [`https://bank.example/elsewhere/incoming-payments/${ID}`, 'https://bank.example'],
    [`https://bank.example/incoming-payments/${ID}`, 'https://bank.example/op'],
  ] as const)
    assert.ok(!isOwn(url, own), url)
})
