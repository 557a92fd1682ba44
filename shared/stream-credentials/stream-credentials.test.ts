import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { StreamServer as OlderServer } from '@interledger/stream-receiver'
import { StreamServer as NewerServer } from 'stream-receiver-alpha'
import {
  createCredentialReader,
  createStreamCredentials,
  InvalidStreamCredentials,
  type StreamCredentialsInput,
} from './index.ts'

const { serverAddress, serverSecret, credentials } = JSON.parse(
  readFileSync(new URL('./fixtures/stream-credentials.json', import.meta.url), 'utf8'),
) as {
  serverAddress: string
  serverSecret: string
  credentials: {
    options: {
      paymentTag?: string
      receiptNonce?: string
      receiptSecret?: string
      asset?: { code: string; scale: number }
    }
    ilpAddress: string
    sharedSecret: string
    encryptionKey: string
    fulfillmentKey: string
  }[]
}
const streamSecret = Buffer.from(serverSecret, 'hex')
const reader = createCredentialReader({ streamSecret, ilpAddress: serverAddress })
const own = (input: Partial<StreamCredentialsInput> = {}) =>
  createStreamCredentials({ streamSecret, ilpAddress: serverAddress, ...input })

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()
/** What an address says, with its keys as bytes. */
function readAll(ilpAddress: string) {
  const found = reader.read(ilpAddress)
  if (!found) return undefined
  const { connectionKeys, ...contents } = found
  return {
    contents,
    encryptionKey: connectionKeys.encryption.export().toString('hex'),
    fulfillmentKey: connectionKeys.fulfillment.export().toString('hex'),
  }
}

const receipt = { nonce: Buffer.alloc(16, 3), secret: Buffer.alloc(32, 4) }
const variants: Partial<StreamCredentialsInput>[] = [
  {},
  { paymentTag: '2f0c2a1e-6a0f-4e0b-9a53-0f7cb6a0a111' },
  { asset: { assetCode: 'EURX', assetScale: 4 } },
  { asset: { assetCode: '€', assetScale: 255 } },
  { receipt },
  { paymentTag: 'tag', asset: { assetCode: 'USD', assetScale: 2 }, receipt },
]

test('credentials of stream-receiver alpha.4 say what was put into them', () => {
  assert.equal(credentials.length, 12)
  for (const { options, ilpAddress, encryptionKey, fulfillmentKey } of credentials) {
    const { paymentTag, receiptNonce, receiptSecret, asset } = options
    assert.deepEqual(readAll(ilpAddress), {
      contents: {
        ...(paymentTag && { paymentTag }),
        ...(receiptNonce &&
          receiptSecret && {
            receipt: { nonce: Buffer.from(receiptNonce, 'hex'), secret: Buffer.from(receiptSecret, 'hex') },
          }),
        ...(asset && { asset: { assetCode: asset.code, assetScale: asset.scale } }),
      },
      encryptionKey,
      fulfillmentKey,
    })
  }
})

suite('what we write is what we read', () => {
  for (const input of variants)
    test(JSON.stringify(Object.keys(input)), () => {
      const { ilpAddress, sharedSecret } = own(input)
      assert.deepEqual(readAll(ilpAddress), {
        contents: input,
        encryptionKey: hmac(sharedSecret, 'ilp_stream_encryption').toString('hex'),
        fulfillmentKey: hmac(sharedSecret, 'ilp_stream_fulfillment').toString('hex'),
      })
    })
})

for (const [name, Server] of [
  ['0.2.2', OlderServer],
  ['0.3.3-alpha.4', NewerServer],
] as const)
  suite(`with stream-receiver ${name}`, () => {
    const server = new Server({ serverAddress, serverSecret: streamSecret })
    for (const input of variants)
      test(`${JSON.stringify(Object.keys(input))}, both ways`, () => {
        const { paymentTag, asset } = input
        const theirs = server.generateCredentials({
          ...(paymentTag && { paymentTag }),
          ...(input.receipt && { receiptSetup: input.receipt }),
          ...(asset && { asset: { code: asset.assetCode, scale: asset.assetScale } }),
        })
        const read = readAll(theirs.ilpAddress)
        assert.deepEqual(read?.contents, input)
        assert.equal(read?.encryptionKey, hmac(theirs.sharedSecret, 'ilp_stream_encryption').toString('hex'))

        const ours = own(input)
        assert.equal(server.decodePaymentTag(ours.ilpAddress), paymentTag)
        const opened = (server as unknown as { decryptToken(token: Buffer): unknown }).decryptToken(
          Buffer.from(ours.ilpAddress.slice(serverAddress.length + 1), 'base64url'),
        )
        assert.deepEqual(opened, {
          ...(paymentTag && { paymentTag }),
          ...(input.receipt && { receiptSetup: input.receipt }),
          ...(asset && { asset: { code: asset.assetCode, scale: asset.assetScale } }),
        })
      })
  })

suite('addresses that this node did not give out', () => {
  const { ilpAddress } = own({ paymentTag: 'tag' })
  const token = ilpAddress.slice(serverAddress.length + 1)
  test('other nodes, no token, and tokens of another secret', () => {
    assert.equal(reader.read(serverAddress), undefined)
    assert.equal(reader.read(`${serverAddress}.`), undefined)
    assert.equal(reader.read(`${serverAddress}x.${token}`), undefined)
    assert.equal(reader.read(`test.other.${token}`), undefined)
    assert.equal(reader.read(`${serverAddress}.alice`), undefined)
    const foreign = createStreamCredentials({ streamSecret: Buffer.alloc(32), ilpAddress: serverAddress })
    assert.equal(reader.read(foreign.ilpAddress), undefined)
  })
  test('a changed or cut token, and another spelling of a good one', () => {
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      assert.equal(reader.open(`${token.slice(0, at)}${other}${token.slice(at + 1)}`), undefined)
      assert.equal(reader.open(token.slice(0, at)), undefined)
    }
    assert.equal(reader.open(`${token}~`), undefined)
    assert.equal(reader.open(`~${token}`), undefined)
    assert.ok(reader.open(token))
  })
  test('segments after the token belong to the sender', () => {
    assert.equal(reader.read(`${ilpAddress}.anything.else`)?.paymentTag, 'tag')
  })
  test("another tenant's address is read under that address only", () => {
    const tenant = own({ ilpAddress: 'test.tenant', paymentTag: 'theirs' })
    assert.equal(reader.read(tenant.ilpAddress), undefined)
    assert.equal(reader.read(tenant.ilpAddress, 'test.tenant')?.paymentTag, 'theirs')
    assert.equal(reader.read(ilpAddress, 'test.tenant'), undefined)
  })
})

test('each reading of a payment gives other credentials, and all of them are good', () => {
  const first = own({ paymentTag: 'tag' })
  const second = own({ paymentTag: 'tag' })
  assert.notEqual(first.ilpAddress, second.ilpAddress)
  assert.notDeepEqual(first.sharedSecret, second.sharedSecret)
  for (const { ilpAddress } of [first, second]) assert.equal(reader.read(ilpAddress)?.paymentTag, 'tag')
})

test('the reader remembers the credentials used last, and no more than it may', () => {
  const small = createCredentialReader({ streamSecret, ilpAddress: serverAddress, credentialsMax: 2 })
  const [a, b, c] = [own(), own(), own()].map(({ ilpAddress }) => ilpAddress) as [string, string, string]
  const firstA = small.read(a)
  const firstB = small.read(b)
  assert.equal(small.read(a), firstA)
  small.read(c)
  assert.equal(small.read(a), firstA, 'used more recently than b')
  assert.notEqual(small.read(b), firstB, 'b made room for c and is derived again')
  assert.equal(small.read(b)?.connectionKeys.encryption.equals(firstB!.connectionKeys.encryption), true)
})

test('no two tokens share an initialisation vector, and earlier ones stay as they were', () => {
  const made = Array.from({ length: 1000 }, (_, index) => own({ paymentTag: `tag-${index}` }))
  const ivs = made.map(({ ilpAddress }) =>
    Buffer.from(ilpAddress.slice(serverAddress.length + 1), 'base64url').toString('hex', 0, 12),
  )
  assert.equal(new Set(ivs).size, made.length)
  for (const [index, { ilpAddress }] of made.entries())
    assert.equal(reader.read(ilpAddress)?.paymentTag, `tag-${index}`)
})

test('what cannot be credentials is refused', () => {
  const refused = (input: Partial<StreamCredentialsInput>) =>
    assert.throws(() => own(input), InvalidStreamCredentials)
  refused({ paymentTag: '' })
  refused({ paymentTag: 'ümlaut' })
  refused({ paymentTag: 'x'.repeat(128) })
  refused({ asset: { assetCode: 'USD', assetScale: 256 } })
  refused({ asset: { assetCode: 'USD', assetScale: -1 } })
  refused({ asset: { assetCode: 'USD', assetScale: 1.5 } })
  refused({ receipt: { nonce: Buffer.alloc(15), secret: Buffer.alloc(32) } })
  refused({ receipt: { nonce: Buffer.alloc(16), secret: Buffer.alloc(31) } })
  refused({ ilpAddress: `test.${'a'.repeat(990)}` })
  refused({ ilpAddress: 'nowhere.bank' })
  assert.throws(() => own({ streamSecret: Buffer.alloc(31) }), { name: 'AssertionFailed' })
})
