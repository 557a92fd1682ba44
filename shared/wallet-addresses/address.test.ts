import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressBelow, normaliseAddress } from './address.ts'
import { WalletAddressRefusal } from './errors.ts'

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
    ['https://w.example', '%61lice', 'https://w.example/alice'],
    ['https://w.example', 'Åsa', 'https://w.example/%c3%a5sa'],
    ['https://w.example', '%C3%85sa', 'https://w.example/%c3%a5sa'],
    ['https://w.example', 'ΑΣ', 'https://w.example/%ce%b1%cf%82'],
    ['https://w.example', 'İ', 'https://w.example/i%cc%87'],
    // The sign of kelvin is a letter k to whoever looks it up.
    ['https://w.example', '\u212a', 'https://w.example/k'],
    ['https://w.example', 'a%2Fb', 'https://w.example/a/b'],
    ['https://w.example', 'a b%20', 'https://w.example/a%20b%20'],
    ['https://w.example/%C3%85', 'b', 'https://w.example/%c3%a5/b'],
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
    ['https://w.example', '%68ealthz'],
    ['https://w.example', 'alice/jwks%2Ejson'],
    ['https://w.example', 'incoming%2Dpayments'],
    ['https://w.example', 'a%2F%71uotes'],
    ['https://w.example', 'a%2F%2Fb'],
    ['https://w.example/a', 'https://w.example/a%2F..%2Fb'],
    ['https://w.example', 'a%00'],
    ['https://w.example', 'a%0D%0Ab'],
    ['https://w.example', 'a%3Fb'],
    ['https://w.example', 'a%23b'],
    ['https://w.example', 'a%5Cb'],
    ['https://w.example', 'a%2561'],
    ['https://w.example', 'a%2'],
    ['https://w.example', '%ff'],
  ] as const)
    assert.throws(() => addressBelow(prefix, input), refusal('invalid_wallet_address'), `${prefix} ${input}`)
})

test('lookups see through case, slashes and queries, and nothing else', () => {
  assert.equal(normaliseAddress('https://W.example/Alice/?x=1#y'), 'https://w.example/alice')
  assert.equal(normaliseAddress('http://w.example/alice'), undefined)
  assert.equal(normaliseAddress('alice'), undefined)
  assert.equal(normaliseAddress(`https://w.example/${'a'.repeat(3000)}`), undefined)
})
