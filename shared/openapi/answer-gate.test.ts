import assert from 'node:assert/strict'
import test from 'node:test'
import { createAnswerGate, type Exchange, ResponseInvalid } from './index.ts'

const amount = { value: '1', assetCode: 'USD', assetScale: 2 }
const publicPayment = { receivedAmount: amount, authServer: 'https://auth.example' }
const error = { error: { code: '409', description: 'no' } }

const newGate = () =>
  createAnswerGate({
    spec: 'resource-server',
    unlisted: [
      { operation: 'POST /incoming-payments/{id}/complete', status: 409, reason: 'it has ended' },
      { operation: '*', status: 403, code: null, reason: 'a test' },
    ],
    errorSchema: {
      type: 'object',
      required: ['error'],
      properties: { error: { type: 'object', required: ['description'] } },
    },
  })
const exchange = (method: string, path: string, status: number, body: unknown): Exchange => ({
  method,
  path,
  status,
  contentType: 'application/json; charset=utf-8',
  text: JSON.stringify(body),
})

test('answers of the specification pass and are counted, however the path is written', () => {
  const gate = newGate()
  for (const path of ['/incoming-payments/1', '/Incoming-Payments/1/', '/incoming%2Dpayments/1'])
    gate.check(exchange('GET', path, 200, publicPayment))
  gate.check(exchange('GET', '/incoming-payments/1', 404, error))
  assert.deepEqual([...gate.succeeded], ['GET /incoming-payments/{id}'])
})

test('what the specification does not have is refused unless the table has it', () => {
  const gate = newGate()
  const refused: Exchange[] = [
    exchange('GET', '/incoming-payments/1', 200, { receivedAmount: amount }),
    exchange('GET', '/incoming-payments/1', 201, publicPayment),
    exchange('GET', '/incoming-payments/1', 409, error),
    exchange('GET', '/incoming-payments/1', 401, { error: 'short' }),
    exchange('POST', '/incoming-payments/1/complete', 409, { problem: 'none of ours' }),
    exchange('POST', '/quotes', 200, {}),
    { ...exchange('GET', '/incoming-payments/1', 200, publicPayment), contentType: 'application/json' },
    { ...exchange('GET', '/incoming-payments/1', 401, error), contentType: 'text/plain', text: 'no' },
  ]
  for (const item of refused)
    assert.throws(() => gate.check(item), ResponseInvalid, `${item.method} ${item.path} ${item.status}`)
  gate.check(exchange('POST', '/incoming-payments/1/complete', 409, error))
  assert.deepEqual([...gate.succeeded], [])
})

test('an entry for errors without a code is for those only', () => {
  const gate = newGate()
  gate.check(exchange('GET', '/quotes/1', 403, { error: { description: 'no code' } }))
  gate.check(exchange('GET', '/quotes/1', 403, error))
  assert.throws(() => gate.check(exchange('GET', '/quotes/1', 403, { error: {} })), ResponseInvalid)
})

test('paths of no operation are nobody’s business', () => {
  newGate().check({ method: 'GET', path: '/docs', status: 418, contentType: undefined, text: '' })
})
