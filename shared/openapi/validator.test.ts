import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { before, describe, test } from 'node:test'
import { createOpenApiValidator, type Operation, RequestInvalid, ResponseInvalid } from './index.ts'

const resource = createOpenApiValidator({ spec: 'resource-server' })
const auth = createOpenApiValidator({ spec: 'auth-server' })
const PREFIX = 'Received error validating OpenAPI request: '

const signed = { signature: 'sig1=:AA==:', 'signature-input': 'sig1=();keyid="k"' }
const json = { 'content-type': 'application/json', ...signed }
const createIncoming: Operation = { method: 'POST', path: '/incoming-payments' }
const listIncoming: Operation = { method: 'GET', path: '/incoming-payments' }
const createQuote: Operation = { method: 'POST', path: '/quotes' }
const createOutgoing: Operation = { method: 'POST', path: '/outgoing-payments' }
const requestGrant: Operation = { method: 'POST', path: '/' }
const continueGrant: Operation = { method: 'POST', path: '/continue/{id}' }

const wallet = 'https://bank.example/alice'
const receiver = 'https://bank.example/t/incoming-payments/08394f02-7b7b-45e2-b645-51d04e7c330c'
const usd = (value: unknown) => ({ value, assetCode: 'USD', assetScale: 2 })
const incoming = (extra: object) => ({ walletAddress: wallet, ...extra })
const quote = (extra: object) => ({ walletAddress: wallet, receiver, method: 'ilp', ...extra })
const grant = (access: object[], extra: object = {}) => ({
  client: wallet,
  access_token: { access },
  ...extra,
})
const incomingAccess = { type: 'incoming-payment', actions: ['create'] }

interface Case {
  name: string
  operation: Operation
  body?: unknown
  query?: Record<string, unknown>
  headers?: Record<string, string>
  refused?: [status: number, tail: string]
}

const cases: Case[] = [
  {
    name: 'text/html only',
    operation: createIncoming,
    headers: { ...json, accept: 'text/html' },
    refused: [406, 'Must accept application/json'],
  },
  {
    name: 'json refused by q=0',
    operation: createIncoming,
    headers: { ...json, accept: 'application/json;q=0' },
    body: incoming({}),
    refused: [406, 'Must accept application/json'],
  },
  {
    name: 'anything acceptable',
    operation: createIncoming,
    headers: { ...json, accept: 'text/html, */*;q=0.1' },
    body: incoming({}),
  },
  {
    name: 'no content type',
    operation: createIncoming,
    headers: signed,
    refused: [400, 'body media type is not specified'],
  },
  {
    name: 'text body',
    operation: createIncoming,
    headers: { ...signed, 'content-type': 'text/plain' },
    refused: [415, 'Unsupported Content-Type text/plain'],
  },
  {
    name: 'content type with charset',
    operation: createIncoming,
    headers: { ...signed, 'content-type': 'application/json; charset=utf-8' },
    body: incoming({}),
  },
  {
    name: 'empty object',
    operation: createIncoming,
    body: {},
    refused: [400, "body must have required property 'walletAddress'"],
  },
  {
    name: 'no body at all',
    operation: createIncoming,
    refused: [400, "body must have required property 'walletAddress'"],
  },
  {
    name: 'no signature input',
    operation: createIncoming,
    headers: { 'content-type': 'application/json', signature: 's' },
    body: incoming({}),
    refused: [400, "must have required property 'signature-input'"],
  },
  {
    name: 'unknown member',
    operation: createIncoming,
    body: incoming({ foo: 1 }),
    refused: [400, 'body must NOT have additional properties: foo'],
  },
  {
    name: 'wallet address not a URI',
    operation: createIncoming,
    body: { walletAddress: 'alice' },
    refused: [400, 'body.walletAddress must match format "uri"'],
  },
  ...['-1', '1.5', '1e3', '', ' 5 ', '0x10', '18446744073709551616', '9'.repeat(5000)].map((value) => ({
    name: `amount ${JSON.stringify(value.slice(0, 24))}`,
    operation: createIncoming,
    body: incoming({ incomingAmount: usd(value) }),
    refused: [400, 'body.incomingAmount.value must match format "uint64"'] as [number, string],
  })),
  {
    name: 'largest amount',
    operation: createIncoming,
    body: incoming({ incomingAmount: usd('18446744073709551615') }),
  },
  {
    name: 'amount as number',
    operation: createIncoming,
    body: incoming({ incomingAmount: usd(5) }),
    refused: [400, 'body.incomingAmount.value must be string'],
  },
  {
    name: 'asset scale 256',
    operation: createIncoming,
    body: incoming({ incomingAmount: { ...usd('5'), assetScale: 256 } }),
    refused: [400, 'body.incomingAmount.assetScale must be <= 255'],
  },
  {
    name: 'expiresAt year only',
    operation: createIncoming,
    body: incoming({ expiresAt: '2020' }),
    refused: [400, 'body.expiresAt must match format "date-time"'],
  },
  {
    name: 'metadata null',
    operation: createIncoming,
    body: incoming({ metadata: null }),
    refused: [400, 'body.metadata must be object'],
  },
  {
    name: 'quote method',
    operation: createQuote,
    body: quote({ method: 'card' }),
    refused: [400, 'body.method must be equal to one of the allowed values'],
  },
  {
    name: 'quote with both amounts',
    operation: createQuote,
    body: quote({ debitAmount: usd('1'), receiveAmount: usd('1') }),
    refused: [400, 'body must NOT have additional properties: debitAmount'],
  },
  {
    name: 'quote for a receiver elsewhere',
    operation: createQuote,
    body: quote({ receiver: 'https://bank.example/x' }),
    refused: [400, 'body.receiver must match pattern "^(https|http)://(.+)/incoming-payments/(.+)$"'],
  },
  { name: 'quote', operation: createQuote, body: quote({}) },
  { name: 'fixed-send quote', operation: createQuote, body: quote({ debitAmount: usd('1') }) },
  {
    name: 'outgoing without a variant',
    operation: createOutgoing,
    body: { walletAddress: wallet },
    refused: [400, "body must have required property 'quoteId'"],
  },
  {
    name: 'outgoing with both variants',
    operation: createOutgoing,
    body: { walletAddress: wallet, quoteId: receiver, incomingPayment: receiver, debitAmount: usd('1') },
    refused: [400, 'body must NOT have additional properties: incomingPayment'],
  },
  {
    name: 'list without wallet address',
    operation: listIncoming,
    headers: signed,
    refused: [400, "must have required property 'wallet-address'"],
  },
  {
    name: 'list',
    operation: listIncoming,
    headers: signed,
    query: { 'wallet-address': wallet, first: '10', other: 'x' },
  },
  {
    name: 'first=0',
    operation: listIncoming,
    headers: signed,
    query: { 'wallet-address': wallet, first: '0' },
    refused: [400, 'first must be >= 1'],
  },
  {
    name: 'first=101',
    operation: listIncoming,
    headers: signed,
    query: { 'wallet-address': wallet, first: '101' },
    refused: [400, 'first must be <= 100'],
  },
  {
    name: 'first=abc',
    operation: listIncoming,
    headers: signed,
    query: { 'wallet-address': wallet, first: 'abc' },
    refused: [400, 'first must be integer'],
  },
  {
    name: 'empty cursor',
    operation: listIncoming,
    headers: signed,
    query: { 'wallet-address': wallet, cursor: '' },
    refused: [400, 'cursor must NOT have fewer than 1 characters'],
  },
  {
    name: 'grant {}',
    operation: requestGrant,
    body: {},
    refused: [400, "body must have required property 'client'"],
  },
  {
    name: 'grant client bad object',
    operation: requestGrant,
    body: grant([incomingAccess], { client: { nobody: 1 } }),
    refused: [400, 'body.client must be string'],
  },
  {
    name: 'grant unknown type',
    operation: requestGrant,
    body: grant([{ type: 'savings', actions: [] }]),
    refused: [400, 'body.access_token.access.0.type must be equal to one of the allowed values'],
  },
  {
    name: 'grant outgoing without identifier',
    operation: requestGrant,
    body: grant([{ type: 'outgoing-payment', actions: ['create'] }]),
    refused: [400, 'body.access_token.access.0.type must be equal to one of the allowed values'],
  },
  {
    name: 'grant duplicate items',
    operation: requestGrant,
    body: grant([incomingAccess, incomingAccess]),
    refused: [400, 'body.access_token.access must NOT have duplicate items (items ## 0 and 1 are identical)'],
  },
  {
    name: 'grant push finish',
    operation: requestGrant,
    body: grant([incomingAccess], {
      interact: { start: ['redirect'], finish: { method: 'push', uri: wallet, nonce: 'n' } },
    }),
    refused: [400, 'body.interact.finish.method must be equal to one of the allowed values'],
  },
  {
    name: 'grant with unknown members',
    operation: requestGrant,
    body: grant([{ ...incomingAccess, colour: 'red' }], { extra: true }),
  },
  {
    name: 'grant by wallet address object',
    operation: requestGrant,
    body: grant([incomingAccess], { client: { walletAddress: wallet } }),
  },
  { name: 'grant with empty access', operation: requestGrant, body: grant([]) },
  { name: 'continue without body', operation: continueGrant, headers: {} },
  { name: 'continue with reference', operation: continueGrant, body: { interact_ref: 'x' } },
  {
    name: 'continue with a number',
    operation: continueGrant,
    body: { interact_ref: 5 },
    refused: [400, 'body.interact_ref must be string'],
  },
]

const validatorOf = (operation: Operation) =>
  operation.path === '/' || operation.path.startsWith('/continue') ? auth : resource

const outcomeOf = (item: Case): { status: number; text: string } | undefined => {
  try {
    validatorOf(item.operation).validateRequest(item.operation, {
      headers: item.headers ?? json,
      query: item.query ?? {},
      body: item.body,
    })
    return undefined
  } catch (error) {
    assert.ok(error instanceof RequestInvalid, String(error))
    return { status: error.status, text: error.message }
  }
}

describe('request validation in the words of the contract', () => {
  for (const item of cases) {
    test(`${item.operation.method} ${item.operation.path}: ${item.name}`, () => {
      const expected = item.refused && { status: item.refused[0], text: PREFIX + item.refused[1] }
      assert.deepEqual(outcomeOf(item), expected)
    })
  }
})

test('integers of the query arrive as numbers', () => {
  const checked = resource.validateRequest(listIncoming, {
    headers: signed,
    query: { 'wallet-address': wallet, first: '7' },
  })
  assert.equal(checked.query.first, 7)
})

test('a receiver made to stall a regular expression is refused at once', () => {
  const evil = `http://a${'/incoming-payments/a'.repeat(45_000)}\n`
  const before = process.threadCpuUsage()
  assert.throws(
    () => resource.validateRequest(createQuote, { headers: json, body: quote({ receiver: evil }) }),
    /must NOT have more than 8192 characters/,
  )
  assert.ok(process.threadCpuUsage(before).user < 250_000)
})

test('a huge list of actions costs linear time', () => {
  const actions = Array.from({ length: 60_000 }, (_, index) => `action-${index}`)
  const before = process.threadCpuUsage()
  assert.throws(() =>
    auth.validateRequest(requestGrant, { headers: json, body: grant([{ type: 'quote', actions }]) }),
  )
  assert.ok(process.threadCpuUsage(before).user < 500_000)
})

describe('against the validator of the field', () => {
  // The library that existing servers run, found through the client that depends on it.
  const fromClient = createRequire(createRequire(import.meta.url).resolve('@interledger/open-payments'))
  type Library = {
    createOpenAPI(spec: unknown): Promise<{
      createRequestValidator(operation: object): (request: object) => void
    }>
  }
  const field = new Map<string, Awaited<ReturnType<Library['createOpenAPI']>>>()
  before(async () => {
    const library = fromClient('@interledger/openapi') as Library
    for (const name of ['resource-server', 'auth-server']) {
      const file = fromClient.resolve(`@interledger/open-payments/dist/openapi/specs/${name}.yaml`)
      field.set(name, await library.createOpenAPI(file))
    }
  })
  // Where strictness is a decision, not an accident (routes.md §9): amounts are decimal u64. The Accept header is checked elsewhere there.
  const decided = (item: Case) => item.refused?.[0] === 406 || item.refused?.[1].includes('uint64')

  for (const item of cases.filter((candidate) => !decided(candidate))) {
    test(`${item.operation.method} ${item.operation.path}: ${item.name}`, () => {
      const name = validatorOf(item.operation) === auth ? 'auth-server' : 'resource-server'
      const validate = field.get(name)?.createRequestValidator({
        path: item.operation.path,
        method: item.operation.method.toLowerCase(),
      })
      assert.ok(validate)
      let theirs: { status: number; text: string } | undefined
      try {
        validate({
          headers: item.headers ?? json,
          query: { ...item.query },
          params: { id: 'x' },
          body: item.body ?? {},
        })
      } catch (error) {
        const { status, errors } = error as { status: number; errors: { message: string }[] }
        theirs = { status, text: PREFIX + errors[0]?.message }
      }
      const ours = outcomeOf(item)
      // Theirs turns every slash of the message into a dot, patterns included.
      assert.deepEqual(
        ours && { ...ours, text: ours.text.replaceAll('/', '.') },
        theirs && { ...theirs, text: theirs.text.replaceAll('/', '.') },
      )
    })
  }
})

describe('response validation', () => {
  const payment = {
    id: receiver,
    walletAddress: wallet,
    completed: false,
    receivedAmount: usd('0'),
    createdAt: '2026-01-01T00:00:00Z',
  }
  test('accepts what the specification allows', () => {
    resource.validateResponse(createIncoming, { status: 201, body: { ...payment, methods: [] } })
    resource.validateResponse(listIncoming, {
      status: 200,
      body: { pagination: { hasNextPage: false, hasPreviousPage: false }, result: [payment] },
    })
  })
  test('refuses undeclared statuses, closed objects with extras, null', () => {
    const refuse = (operation: Operation, status: number, body: unknown) =>
      assert.throws(() => resource.validateResponse(operation, { status, body }), ResponseInvalid)
    refuse(createIncoming, 200, payment)
    refuse(createIncoming, 201, payment)
    refuse(createIncoming, 201, { ...payment, methods: [], metadata: null })
    refuse(listIncoming, 200, {
      pagination: { hasNextPage: false, hasPreviousPage: false },
      result: [{ ...payment, methods: [] }],
    })
  })
  test('a grant answer has exactly one of token and interaction', () => {
    const proceed = { access_token: { value: 'c' }, uri: wallet }
    const token = { value: 't', manage: wallet, access: [incomingAccess] }
    auth.validateResponse(requestGrant, { status: 200, body: { access_token: token, continue: proceed } })
    assert.throws(
      () => auth.validateResponse(requestGrant, { status: 200, body: { access_token: token } }),
      ResponseInvalid,
    )
  })
})
