import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  amountTooLargeReject,
  createReject,
  DATA_LENGTH_MAX,
  deserializeReply,
  InvalidPacket,
  isIlpAddress,
  parseAmountTooLarge,
  parsePrepare,
  patchPrepare,
  serializeFulfill,
  serializePrepare,
  serializeReject,
} from './index.ts'

const prepare = {
  amount: 1234n,
  destination: 'test.bank.alice',
  executionCondition: Buffer.alloc(32, 7),
  expiresAt: new Date('2026-02-28T23:59:59.987Z'),
  data: Buffer.from('hello'),
}
const refused = (parse: () => unknown) => assert.throws(parse, InvalidPacket)
/** The valid packet with `change` made to its bytes; 2 bytes of envelope precede its contents. */
const changed = (change: (bytes: Buffer) => void) => {
  const bytes = serializePrepare(prepare)
  change(bytes)
  return bytes
}
const contentsOffset = 2

suite('a Prepare that is not one is refused', () => {
  test('other types, nothing, and cut or lengthened packets', () => {
    refused(() => parsePrepare(Buffer.alloc(0)))
    refused(() => parsePrepare(Buffer.from([12])))
    refused(() => parsePrepare(serializeFulfill({ fulfillment: Buffer.alloc(32), data: Buffer.alloc(0) })))
    const bytes = serializePrepare(prepare)
    for (let length = 0; length < bytes.length; length++)
      refused(() => parsePrepare(bytes.subarray(0, length)))
    refused(() => parsePrepare(Buffer.concat([bytes, Buffer.of(0)])))
  })
  test('lengths that are not in their shortest form', () => {
    const contents = serializePrepare(prepare).subarray(contentsOffset)
    refused(() => parsePrepare(Buffer.concat([Buffer.of(12, 0x81, contents.length), contents])))
    refused(() => parsePrepare(Buffer.concat([Buffer.of(12, 0x80), contents])))
    refused(() => parsePrepare(Buffer.concat([Buffer.of(12, 0xff), contents])))
    refused(() => parsePrepare(Buffer.concat([Buffer.of(12, 0x84, 0, 0, 0, contents.length), contents])))
  })
  test('expiries that do not exist', () => {
    for (const expiry of [
      '20260230000000000',
      '20270229000000000',
      '21000229000000000',
      '20260431000000000',
      '20260100000000000',
      '20260028000000000',
      '20261301000000000',
      '20260228240000000',
      '20260228236000000',
      '20260228235960000',
      '2026022823595998 ',
      '2026-228235959987',
      '00990228235959987',
    ])
      refused(() => parsePrepare(changed((bytes) => bytes.write(expiry, contentsOffset + 8, 'latin1'))))
  })
  test('expiries that do exist', () => {
    for (const expiry of ['20240229000000000', '20000229235959999', '20261231235959999', '01000101000000000'])
      assert.equal(
        parsePrepare(changed((bytes) => bytes.write(expiry, contentsOffset + 8, 'latin1')))
          .expiresAt.toISOString()
          .replace(/[-:.TZ]/g, ''),
        expiry,
      )
  })
  test('addresses outside the grammar, also with the high bit set', () => {
    const addressOffset = contentsOffset + 8 + 17 + 32 + 1
    for (const address of ['tast.bank.alice', 'test.bank.alic ', 'test..ank.alice', 'test.bank.alic\0'])
      refused(() => parsePrepare(changed((bytes) => bytes.write(address, addressOffset, 'latin1'))))
    refused(() =>
      parsePrepare(
        changed((bytes) => {
          bytes[addressOffset] = 't'.charCodeAt(0) | 0x80
        }),
      ),
    )
  })
  test('more data than a packet may carry', () => {
    const most = { ...prepare, data: Buffer.alloc(DATA_LENGTH_MAX) }
    assert.equal(parsePrepare(serializePrepare(most)).data.length, DATA_LENGTH_MAX)
    const tooMuch = { ...prepare, data: Buffer.alloc(DATA_LENGTH_MAX + 1) }
    assert.throws(() => serializePrepare(tooMuch), { name: 'AssertionFailed' })
  })
})

test('bytes after the known fields, inside the envelope, are left for a later version of the protocol', () => {
  const contents = Buffer.concat([serializePrepare(prepare).subarray(contentsOffset), Buffer.of(1, 2, 3)])
  const extended = Buffer.concat([Buffer.of(12, contents.length), contents])
  assert.deepEqual(parsePrepare(extended).data, prepare.data)
})

test('a patched Prepare is the packet that the codec would have written', () => {
  const packet = parsePrepare(serializePrepare(prepare))
  const change = { amount: 2n ** 64n - 1n, expiresAt: new Date('2031-01-02T03:04:05.006Z') }
  const next = patchPrepare(packet, change)
  assert.deepEqual(next.bytes, serializePrepare({ ...prepare, ...change }))
  assert.equal(next.amount, change.amount)
  assert.deepEqual(next.expiresAt, change.expiresAt)
  assert.equal(packet.amount, prepare.amount, 'what arrived stays known')
  assert.throws(() => patchPrepare(packet, { ...change, amount: 2n ** 64n }), { name: 'AssertionFailed' })
  assert.throws(() => patchPrepare(packet, { ...change, amount: -1n }), { name: 'AssertionFailed' })
})

suite('replies', () => {
  const fulfill = serializeFulfill({ fulfillment: Buffer.alloc(32, 1), data: Buffer.from('x') })
  const reject = serializeReject(createReject('T00', { triggeredBy: 'test.bank' }))
  test('what is not a reply is refused', () => {
    refused(() => deserializeReply(Buffer.alloc(0)))
    refused(() => deserializeReply(serializePrepare(prepare)))
    refused(() => deserializeReply(Buffer.from('<html>bad gateway</html>')))
    for (const bytes of [fulfill, reject]) {
      for (let length = 0; length < bytes.length; length++)
        refused(() => deserializeReply(bytes.subarray(0, length)))
      refused(() => deserializeReply(Buffer.concat([bytes, Buffer.of(0)])))
    }
    refused(() => deserializeReply(serializeReject({ ...createReject('T00', { triggeredBy: 'nowhere' }) })))
  })
  test('a reject says what its code means unless told otherwise', () => {
    assert.deepEqual(deserializeReply(reject), {
      code: 'T00',
      triggeredBy: 'test.bank',
      message: 'internal error',
      data: Buffer.alloc(0),
    })
    const told = createReject('T04', {
      triggeredBy: '',
      message: 'InsufficientLiquidity',
      data: Buffer.of(1),
    })
    assert.deepEqual(deserializeReply(serializeReject(told)), told)
  })
  test('an F08 carries both amounts', () => {
    const tooLarge = amountTooLargeReject({
      triggeredBy: 'test.bank',
      receivedAmount: 100001n,
      maximumAmount: 100000n,
    })
    assert.equal(tooLarge.code, 'F08')
    assert.equal(tooLarge.message, 'packet size too large. maxAmount=100000 actualAmount=100001')
    assert.equal(tooLarge.data.toString('hex'), '00000000000186a100000000000186a0')
    assert.deepEqual(parseAmountTooLarge(tooLarge.data), { receivedAmount: 100001n, maximumAmount: 100000n })
  })
  test('amounts of an F08 that explain nothing are not used', () => {
    assert.equal(parseAmountTooLarge(Buffer.alloc(0)), undefined)
    assert.equal(parseAmountTooLarge(Buffer.alloc(15)), undefined)
    assert.equal(parseAmountTooLarge(Buffer.alloc(16)), undefined)
    assert.equal(parseAmountTooLarge(Buffer.from('0000000000000005000000000000000a', 'hex')), undefined)
  })
})

test('addresses', () => {
  for (const address of ['g.us', 'test.a', 'test1.a', 'private.a_b~c-D.9', `g.${'a'.repeat(1021)}`])
    assert.ok(isIlpAddress(address), address)
  for (const address of ['', 'g', 'g.', '.a', 'test4.a', 'g.a.', 'g.a b', 'g.ä', `g.${'a'.repeat(1022)}`, 7])
    assert.ok(!isIlpAddress(address), String(address))
})
