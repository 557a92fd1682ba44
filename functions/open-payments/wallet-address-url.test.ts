import assert from 'node:assert/strict'
import test from 'node:test'
import { fillRedirect, walletAddressTarget } from './wallet-address-url.ts'

const walletAddress = (url: string) => ({ url, document: 'wallet-address' as const })
const keys = (url: string) => ({ url, document: 'keys' as const })

test('a wallet address is https, in lower case, without query or trailing slash', () => {
  const cases: [string, string, ReturnType<typeof walletAddressTarget>][] = [
    ['bank.example', '/alice', walletAddress('https://bank.example/alice')],
    ['Bank.Example', '/Alice/', walletAddress('https://bank.example/alice')],
    ['localhost:3003', '/.well-known/pay', walletAddress('https://localhost:3003/.well-known/pay')],
    ['bank.example', '/alice?x=1', walletAddress('https://bank.example/alice')],
    ['bank.example', '/%61lice', walletAddress('https://bank.example/alice')],
    ['bank.example', '/a/b/c', walletAddress('https://bank.example/a/b/c')],
    ['bank.example', '/åsa', walletAddress('https://bank.example/%c3%a5sa')],
    ['bank.example', '/%C3%85sa', walletAddress('https://bank.example/%c3%a5sa')],
    ['bank.example', '/jwks.json', walletAddress('https://bank.example/jwks.json')],
    ['bank.example', '//jwks.json', walletAddress('https://bank.example//jwks.json')],
    ['bank.example', '/alice/did.json', walletAddress('https://bank.example/alice/did.json')],
    ['bank.example', '/alice/jwks.json', keys('https://bank.example/alice')],
    ['bank.example', '/Alice/JWKS.json', keys('https://bank.example/alice')],
    ['bank.example', '/alice//jwks.json', keys('https://bank.example/alice')],
    ['bank.example', '/alice/jwks.json/', keys('https://bank.example/alice')],
  ]
  for (const [host, target, expected] of cases)
    assert.deepEqual(walletAddressTarget(host, target), expected, target)
})

test('what would be another path after parsing is no wallet address', () => {
  for (const target of [
    '/',
    '//',
    '/%',
    '/%E0%A4%A',
    '/a/../b',
    '/a/%2e%2e/b',
    '/./a',
    '/a%3Fb',
    '/a%23b',
    '/a%5Cb',
    '/a%00b',
    'http://other.example/alice',
    '*',
  ])
    assert.equal(walletAddressTarget('bank.example', target), undefined, target)
  for (const host of ['', 'bank example', 'user@bank.example', 'bank.example/x', 'bank.example?', ':', '['])
    assert.equal(walletAddressTarget(host, '/alice'), undefined, host)
})

test('each placeholder is filled once', () => {
  const url = 'https://bank.example/alice'
  assert.equal(
    fillRedirect('https://site.example/?p=%ewp', url),
    'https://site.example/?p=bank.example%2Falice',
  )
  assert.equal(
    fillRedirect('https://site.example/%wp?u=%ewa&v=%wa&w=%wa', url),
    'https://site.example/bank.example/alice?u=https%3A%2F%2Fbank.example%2Falice&v=https://bank.example/alice&w=%wa',
  )
  assert.equal(fillRedirect('https://site.example/', url), 'https://site.example/')
  // What is filled in is not looked at again.
  assert.equal(fillRedirect('%wa', 'https://bank.example/%ewa'), 'https://bank.example/%ewa')
})

test('a path that is longer than any address is refused at once', () => {
  for (const path of [
    `/${'/'.repeat(15_000)}x`,
    `/a${'/'.repeat(15_000)}/jwks.json`,
    `/${'%2f'.repeat(5_000)}x`,
  ]) {
    const attempt = () => {
      const startedAt = performance.now()
      assert.equal(walletAddressTarget('bank.example', path), undefined)
      return performance.now() - startedAt
    }
    // The best of a few: other work on the machine is not what is measured.
    assert.ok(Math.min(attempt(), attempt(), attempt()) < 20, path.slice(0, 5))
  }
})
