import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressBelow, normaliseAddress, normalisePath } from './address.ts'
import { WalletAddressRefusal } from './errors.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

test('whatever is stored is found again, by the form that is stored and by any other spelling', () => {
  const spelling = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom(
      'a',
      'A',
      '/',
      '%2f',
      '%41',
      '%',
      '%25',
      ' ',
      '.',
      '..',
      '%2e',
      'İ',
      'Σ',
      '\u212a',
      'jwks.json',
    ),
  )
  let stored = 0
  fc.assert(
    fc.property(fc.array(spelling, { maxLength: 6 }), (parts) => {
      const input = parts.join('')
      let address: string
      try {
        address = addressBelow('https://w.example', `https://w.example/${input}`)
      } catch (error) {
        assert.ok(error instanceof WalletAddressRefusal, input)
        return
      }
      stored++
      assert.equal(normaliseAddress(address), address, input)
      const { pathname } = new URL(address)
      assert.equal(`https://w.example${normalisePath(pathname)}`, address, input)
      const everyByte = Buffer.from(decodeURIComponent(pathname))
        .toString('hex')
        .replace(/../g, (byte) => `%${byte}`)
      assert.equal(`https://w.example${normalisePath(`/${everyByte.slice(3)}`)}`, address, input)
    }),
    { seed, numRuns: 2_000 },
  )
  assert.ok(stored > 200, `${stored} of them could be stored`)
})
