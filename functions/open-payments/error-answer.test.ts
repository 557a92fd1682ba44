import assert from 'node:assert/strict'
import test from 'node:test'
import { SignatureRefusal } from '../../shared/http-signatures/index.ts'
import { RequestInvalid, ResponseInvalid } from '../../shared/openapi/index.ts'
import { OutgoingPaymentRefusal } from '../../shared/outgoing-payments/index.ts'
import { AssertionFailed, Fault, Refusal } from '../../shared/platform/index.ts'
import { QuoteRefusal } from '../../shared/quotes/index.ts'
import { ReceiverRefusal } from '../../shared/receivers/index.ts'
import { toErrorAnswer } from './error-answer.ts'
import { AccessRefusal, RouteRefusal } from './errors.ts'

class StrangeRefusal extends Refusal<'strange'> {}

test('what is ours to repair says nothing of itself', () => {
  const internal = { status: 500, description: 'Internal Server Error' }
  for (const error of [
    new Error('select secret from table'),
    new AssertionFailed('a bug', { secret: 1 }),
    new Fault('database_unavailable', { retryable: true, message: 'host 10.0.0.1' }),
    new ResponseInvalid('body.id must be string'),
    new StrangeRefusal('strange', { message: 'secret' }),
    Object.assign(new Error('secret'), { statusCode: 503 }),
    'text',
    undefined,
  ])
    assert.deepEqual(toErrorAnswer(error), internal)
})

test('details that are for logs stay there', () => {
  const details = { token: 'secret' }
  assert.deepEqual(toErrorAnswer(new AccessRefusal('insufficient_grant', { details, message: 'secret' })), {
    status: 403,
    description: 'Insufficient Grant',
  })
  assert.deepEqual(toErrorAnswer(new SignatureRefusal('key_unknown', { details, message: 'no such key' })), {
    status: 401,
    description: 'Signature validation error: could not find key in list of client keys',
    details: { reason: 'key_unknown', message: 'no such key' },
  })
  assert.deepEqual(toErrorAnswer(new RouteRefusal('quote_not_found')), {
    status: 404,
    description: 'Quote does not exist',
  })
})

test('a bad request is answered as the validator says', () => {
  assert.deepEqual(toErrorAnswer(new RequestInvalid(415, 'Unsupported Content-Type text/plain')), {
    status: 415,
    description: 'Received error validating OpenAPI request: Unsupported Content-Type text/plain',
  })
})

test('a receiver that does not answer is a 400, as the contract has it, and says that it may pass', () => {
  const refusal = new QuoteRefusal('receiver_unreachable', { message: 'bank.example cannot be reached' })
  assert.deepEqual(toErrorAnswer(refusal), {
    status: 400,
    description: 'bank.example cannot be reached',
    details: { reason: 'receiver_unreachable', retryable: true },
  })
})

test('what the network here says of a receiver is not told, nor which names it knows', () => {
  const fault = (code: string, message: string, details = {}) =>
    new Fault(code, { retryable: true, message, details })
  const refused = fault('connection_failed', 'db.internal:443: connect ECONNREFUSED 10.1.2.3:443')
  const unknown = fault('connection_failed', 'nothing.internal: queryA ENOTFOUND nothing.internal')
  const inside = fault('egress_denied', 'db.internal is not at a public address', { addresses: ['10.1.2.3'] })
  const unreachable = (cause: Error) =>
    new Fault('receiver_unreachable', { retryable: true, message: cause.message, cause })
  for (const refusal of [
    ...[refused, unknown].map((cause) => {
      const { message } = cause
      return new QuoteRefusal('receiver_unreachable', { message, cause: unreachable(cause) })
    }),
    new OutgoingPaymentRefusal('receiver_unreachable', { message: 'x', cause: unreachable(refused) }),
    new QuoteRefusal('invalid_receiver', {
      message: inside.message,
      cause: new ReceiverRefusal('invalid_receiver_url', { message: inside.message, cause: inside }),
    }),
  ])
    assert.deepEqual(toErrorAnswer(refusal), {
      status: 400,
      description: "the receiver's node cannot be reached",
      details: { reason: 'receiver_unreachable', retryable: true },
    })
  // What the URL itself says is no secret.
  const literal = fault('egress_denied', '10.0.0.1 is not a public address')
  const named = new QuoteRefusal('invalid_receiver', { message: literal.message, cause: literal })
  assert.deepEqual(toErrorAnswer(named), { status: 400, description: '10.0.0.1 is not a public address' })
})

test('a quote too small says what would do', () => {
  const minSendAmount = { value: 7n, assetCode: 'USD', assetScale: 2 }
  const refusal = new QuoteRefusal('non_positive_receive_amount', { message: 'too little', minSendAmount })
  assert.deepEqual(toErrorAnswer(refusal), {
    status: 400,
    description: 'too little',
    details: { minSendAmount: { value: '7', assetCode: 'USD', assetScale: 2 } },
  })
})
