import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { WalletAddressRefusal } from './errors.ts'
import { addressBelow, normaliseAddress, parseJwk, propertiesOf } from './model.ts'

const refusal = (code: string) => (error: unknown) =>
  error instanceof WalletAddressRefusal && error.code === code

test('addresses below the prefix are stored in one form', () => {
  for (const [prefix, input, stored] of [
    ['https://w.example', 'https://w.example/alice', 'https://w.example/alice'],
    ['https://w.example', 'https://W.example/Alice/', 'https://w.example/alice'],
    ['https://w.example/', '/alice', 'https://w.example/alice'],
    ['https://w.example', 'alice', 'https://w.example/alice'],
    ['https://w.example/a', 'alice', 'https://w.example/a/alice'],
    ['https://w.example/a', 'https://w.example/a/b/c', 'https://w.example/a/b/c'],
    ['https://w.example/a', 'https://w.example/a', 'https://w.example/a'],
    ['https://localhost:3003', 'https://localhost:3003/alice', 'https://localhost:3003/alice'],
    ['https://w.example:443', 'https://w.example/alice', 'https://w.example/alice'],
    ['https://w.example', 'https://w.example/.well-known/pay', 'https://w.example/.well-known/pay'],
    ['https://w.example', 'https://w.example/healthz/alice', 'https://w.example/healthz/alice'],
    ['https://w.example', 'https://w.example/my-quotes', 'https://w.example/my-quotes'],
  ] as const)
    assert.equal(addressBelow(prefix, input), stored, input)
})

test('addresses outside the prefix, without a path, in plain http or on reserved paths are refused', () => {
  for (const [prefix, input] of [
    ['https://w.example', 'http://w.example/alice'],
    ['https://w.example', 'ftp://w.example/alice'],
    ['https://w.example', 'https://w.example'],
    ['https://w.example', 'https://w.example/'],
    ['https://w.example', '/'],
    ['https://w.example', 'https://other.example/alice'],
    ['https://w.example', 'https://w.example.evil/alice'],
    ['https://w.example', 'https://w.example:8443/alice'],
    ['https://w.example/a', 'https://w.example/ab'],
    ['https://w.example/a', 'https://w.example/b'],
    ['https://w.example/a', 'https://w.example/a/../b'],
    ['https://w.example', 'https://user:pass@w.example/alice'],
    ['https://w.example', 'https://w.example/alice?x=1'],
    ['https://w.example', 'https://w.example/alice#x'],
    ['https://w.example', 'https://w.example/a//b'],
    ['https://w.example', 'https://w.example/incoming-payments'],
    ['https://w.example', 'https://w.example/a/Quotes/b'],
    ['https://w.example', 'https://w.example/outgoing-payments/x'],
    ['https://w.example', 'https://w.example/outgoing-payment-grant'],
    ['https://w.example', 'https://w.example/healthz'],
    ['https://w.example', 'https://w.example/openapi.json'],
    ['https://w.example', 'https://w.example/docs/'],
    ['https://w.example', 'https://w.example/alice/jwks.json'],
    ['https://w.example', 'https://w.example/alice/did.json'],
    ['https://w.example', ''],
  ] as const)
    assert.throws(() => addressBelow(prefix, input), refusal('invalid_wallet_address'), `${prefix} ${input}`)
})

test('lookups see through case, slashes and queries, and nothing else', () => {
  assert.equal(normaliseAddress('https://W.example/Alice/?x=1#y'), 'https://w.example/alice')
  assert.equal(normaliseAddress('http://w.example/alice'), undefined)
  assert.equal(normaliseAddress('alice'), undefined)
  assert.equal(normaliseAddress(`https://w.example/${'a'.repeat(3000)}`), undefined)
})

test('blank properties are dropped and later ones win', () => {
  const shown = { visibleInOpenPayments: true }
  assert.deepEqual(
    propertiesOf([
      { key: ' a ', value: 'one', ...shown },
      { key: '', value: 'x', ...shown },
      { key: 'b', value: '  ', ...shown },
      { key: 'a', value: ' two ', visibleInOpenPayments: false },
    ]),
    [{ key: 'a', value: 'two', visibleInOpenPayments: false }],
  )
  assert.throws(
    () => propertiesOf([{ key: 'k'.repeat(256), value: 'v', ...shown }]),
    refusal('invalid_property'),
  )
})

test('keys are public Ed25519 keys with a kid, and nothing else', () => {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  const good = { kid: 'k1', x, alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519' }
  assert.deepEqual(parseJwk(good), good)
  for (const bad of [
    undefined,
    'text',
    { ...good, kid: '' },
    { ...good, alg: 'ES256' },
    { ...good, kty: 'EC' },
    { ...good, crv: 'X25519' },
    { ...good, x: `${x}=` },
    { ...good, x: 'AAAA' },
    { ...good, d: 'secret' },
    // The neutral point: every signature under it verifies.
    { ...good, x: Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64url') },
  ])
    assert.throws(() => parseJwk(bad), refusal('invalid_key'), JSON.stringify(bad))
})
