import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { WalletAddressRefusal } from './errors.ts'
import { parseJwk, propertiesOf } from './model.ts'

const refusal = (code: string) => (error: unknown) =>
  error instanceof WalletAddressRefusal && error.code === code

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
