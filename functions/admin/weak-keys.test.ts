import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { jwkOf } from '../../shared/http-signatures/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, WEAK_KEYS } from '../../shared/testing/index.ts'
import { listWalletAddressKeys } from '../../shared/wallet-addresses/index.ts'
import { startTestAdmin, type TestAdmin } from './harness.ts'

describe('keys that a wallet registers', () => {
  let admin: TestAdmin
  let walletAddressId: string
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
    const { operator } = admin
    const made = async (name: string, fields: Record<string, unknown>, what: string) => {
      const answer = await admin.succeed(operator, name, { input: { idempotencyKey: uuidv7(), ...fields } })
      return (answer[what] as { id: string }).id
    }
    const assetId = await made('createAsset', { code: 'EUR', scale: 2 }, 'asset')
    const address = `${operator.prefix}/.well-known/pay/alice`
    walletAddressId = await made(
      'createWalletAddress',
      { assetId, address, additionalProperties: [] },
      'walletAddress',
    )
  })
  after(() => admin.close())

  const register = (jwk: object) =>
    admin.call(admin.operator, 'createWalletAddressKey', {
      input: { idempotencyKey: uuidv7(), walletAddressId, jwk },
    })
  const good = () => jwkOf(generateKeyPairSync('ed25519').publicKey, uuidv7())

  it('a weak key is not registered', async () => {
    for (const x of WEAK_KEYS) {
      const { data, errors } = await register({ ...good(), x })
      assert.equal(data?.answer ?? null, null, x)
      assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', x)
    }
    assert.deepEqual(await listWalletAddressKeys(admin.node, walletAddressId), [])
  })
  it('nor one of another kind, or one that says too much', async () => {
    for (const change of [
      { kty: 'RSA' },
      { crv: 'Ed448' },
      { alg: 'HS256' },
      { x: 'AAAA' },
      { d: 'AAAA' },
      { kid: '' },
    ])
      assert.ok((await register({ ...good(), ...change })).errors, JSON.stringify(change))
    assert.deepEqual(await listWalletAddressKeys(admin.node, walletAddressId), [])
  })
  it('a good one is', async () => {
    const jwk = good()
    assert.equal((await register(jwk)).errors, undefined)
    assert.deepEqual(
      (await listWalletAddressKeys(admin.node, walletAddressId)).map((key) => key.jwk),
      [jwk],
    )
  })
})
