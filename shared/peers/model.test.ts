import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerRefusal } from './errors.ts'
import { checkEndpoint, checkIlpAddress, checkLimits, checkToken, hashToken, routesOf } from './model.ts'

const refusal = (code: string) => (error: unknown) => error instanceof PeerRefusal && error.code === code

test('ILP addresses', () => {
  for (const good of ['g.bank', 'test.bank-a', 'private.x', 'test2.a.b~c']) checkIlpAddress(good)
  for (const bad of ['', 'g', 'bank', 'g..bank', 'g.bank.', 'g.b ank', `g.${'a'.repeat(1022)}`])
    assert.throws(() => checkIlpAddress(bad), refusal('invalid_ilp_address'), bad)
})

test('the static address is always the first route, each route once', () => {
  assert.deepEqual(routesOf('g.bank'), ['g.bank'])
  assert.deepEqual(routesOf('g.bank', ['g.other', 'g.bank', 'g', 'g.other']), ['g.bank', 'g.other', 'g'])
  for (const bad of ['', 'bank', 'g.', 'g..a'])
    assert.throws(() => routesOf('g.bank', [bad]), refusal('invalid_ilp_address'), bad)
})

test('endpoints are http or https URLs without credentials or empty labels', () => {
  for (const good of [
    'http://peer:3002',
    'https://ilp.peer.example/x',
    'http://127.0.0.1:1',
    'http://[::1]:3002/',
  ])
    checkEndpoint(good)
  for (const bad of [
    '',
    'peer',
    'ftp://peer',
    'http://',
    'https://a..b',
    'https://peer.',
    'https://u:p@peer',
    'javascript:alert(1)',
  ])
    assert.throws(() => checkEndpoint(bad), refusal('invalid_endpoint'), bad)
})

test('tokens fit into a header; hashes are of the whole token', () => {
  checkToken('a'.repeat(4096))
  for (const bad of ['', 'a b', 'ä', 'a\n', 'a'.repeat(4097)])
    assert.throws(() => checkToken(bad), refusal('invalid_token'))
  // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
  assert.equal(
    hashToken('abc').toString('hex'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
})

test('limits are amounts', () => {
  checkLimits({ packetsPerMinute: 2 ** 31 - 1, amountLimit: { amount: 2n ** 64n - 1n, seconds: 86_400 } })
  checkLimits({ maxPacketAmount: null, packetsPerMinute: null, amountLimit: null })
  checkLimits({ maxPacketAmount: 1n, liquidityThreshold: 0n, initialLiquidity: 2n ** 64n - 1n })
  for (const bad of [
    { maxPacketAmount: 0n },
    { maxPacketAmount: 2n ** 64n },
    { liquidityThreshold: -1n },
    { initialLiquidity: 0n },
    { initialLiquidity: 2n ** 64n },
    { packetsPerMinute: 0 },
    { packetsPerMinute: 1.5 },
    { packetsPerMinute: 2 ** 31 },
    { amountLimit: { amount: 0n, seconds: 1 } },
    { amountLimit: { amount: 2n ** 64n, seconds: 1 } },
    { amountLimit: { amount: 1n, seconds: 0 } },
    { amountLimit: { amount: 1n, seconds: 86_401 } },
  ])
    assert.throws(() => checkLimits(bad), refusal('invalid_peer'))
})
