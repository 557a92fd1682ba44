import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testClock } from '../testing/index.ts'
import { createAttemptLimiter } from './authenticate-request.ts'
import { SignatureRefusal } from './errors.ts'
import { networkOf } from './source-network.ts'

for (const [source, network] of [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:0DB8:0001:0002::6', '2001:db8:1:2'],
  ['2001:db8::6', '2001:db8:0:0'],
  ['2001:db8::3:4:5:6', '2001:db8:0:0'],
  ['2001:db8::2:3:4:5:6', '2001:db8:0:2'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['64:ff9b::c000:201', '64:ff9b::c000:201'],
  ['64:ff9b::192.0.2.1', '64:ff9b::192.0.2.1'],
  ['64:ff9b:0:0:0:1:c000:201', '64:ff9b:0:0'],
  ['no address', 'no address'],
] as const)
  test(`the network of ${source} is ${network}`, () => {
    assert.equal(networkOf(source), network)
  })

test('whoever has an IPv6 network is one source, whatever addresses of it it calls from', () => {
  const limiter = createAttemptLimiter({ clock: testClock(), burst: 3 })
  for (let call = 1; call <= 3; call++) limiter.take(`2001:db8:1:2::${call}`)
  assert.throws(() => limiter.take('2001:db8:1:2:ffff::9'), SignatureRefusal)
  limiter.take('2001:db8:1:3::1')
})
