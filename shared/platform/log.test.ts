import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from './errors.ts'
import { createLogger, isWorthALine } from './log.ts'

const secret = 'a-secret-that-nobody-may-read'
const logged = (value: object): string => {
  const lines: string[] = []
  const log = createLogger({
    level: 'trace',
    name: 'test',
    destination: { write: (text) => void lines.push(text) },
  })
  log.info(value, 'something happened')
  return lines.join('')
}

test('fields that hold secrets are struck out, three levels down', () => {
  for (const name of [
    'authorization',
    'signature',
    'cookie',
    'x-idp-secret',
    'access_token',
    'continueToken',
    'interact_ref',
    'apiSecret',
    'idpSecret',
    'sharedSecret',
    'privateKey',
    'connectionString',
  ])
    for (const value of [
      { [name]: secret },
      { headers: { [name]: secret } },
      { request: { headers: { [name]: secret } } },
      { a: { request: { headers: { [name]: secret } } } },
    ]) {
      const line = logged(value)
      assert.ok(!line.includes(secret), line)
      assert.match(line, /something happened/)
    }
})

test('also where an error carries them', () => {
  const fault = new Fault('request_failed', {
    retryable: false,
    details: { headers: { authorization: secret }, token: secret },
  })
  assert.ok(!logged({ err: fault }).includes(secret))
  assert.match(logged({ err: fault }), /request_failed/)
})

test('what is no secret is there', () => {
  assert.match(logged({ walletAddress: 'https://bank.example/alice' }), /bank\.example/)
})

test('F19: a row of failures is told of ever more rarely: an hour of one a second in a dozen lines', () => {
  const told = Array.from({ length: 3_600 }, (_, index) => index + 1).filter(isWorthALine)
  assert.deepEqual(told.slice(0, 5), [1, 2, 4, 8, 16])
  assert.equal(told.length, 12)
})
