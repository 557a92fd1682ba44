import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { parse } from 'graphql'
import { Fault, Refusal, signHmac, silentLogger, systemClock, uuidv7 } from '../platform/index.ts'
import type { Caller } from './caller.ts'
import { buildGraphqlApp, type GraphqlAppOptions } from './graphql-app.ts'
import { InvalidInput } from './input.ts'
import { createErrorRenderer } from './render-error.ts'
import { buildServedSchema, type ResolverMap } from './schema.ts'
import { SignatureUsed, type UsedSignature, usingSignature } from './signature.ts'

const sdl = `
  type Node { id: ID! ${Array.from({ length: 200 }, (_, index) => `f${index}: String`).join(' ')} next: Node! echo(id: ID): String }
  type Query { sum(of: [Int!]!): Int! who: ID! operator: Boolean! node: Node! fail(how: String!): String }
  type Mutation { count: Int! own: Int! other: Int! }
`
const node: object = {
  id: 'n',
  get next() {
    return node
  },
}

class TestRefusal extends Refusal<'known' | 'unlisted'> {
  constructor(code: 'known' | 'unlisted') {
    super(code, { message: 'told to the caller', details: { secret: 'hidden' } })
  }
}
const failures: Record<string, () => Error> = {
  known: () => new TestRefusal('known'),
  unlisted: () => new TestRefusal('unlisted'),
  input: () => new InvalidInput('id must be a UUID'),
  fault: () => new Fault('db_away', { retryable: true, message: 'postgres://user:secret@host is away' }),
  bug: () => new TypeError('select * from secrets'),
}

interface Context {
  caller: Caller
  signature?: UsedSignature
}
/** Of mutations that use their signatures themselves. */
const usedBy = new Set<string>()
const uses = ({ signature }: Context): number => {
  const digest = signature?.digest.toString('hex')
  if (digest !== undefined && usedBy.size === usedBy.add(digest).size) throw new SignatureUsed()
  return ++counted
}

let counted = 0
const resolvers: ResolverMap<Context> = {
  Query: {
    who: (_source, _args, ctx) => ctx.caller.tenantId,
    operator: (_source, _args, ctx) => ctx.caller.isOperator,
    node: () => node,
    sum: (_source, { of }: { of: number[] }) => of.reduce((total, value) => total + value, 0),
    fail: (_source, { how }: { how: string }) => {
      throw failures[how]?.() ?? new Error(how)
    },
  },
  Mutation: {
    count: () => ++counted,
    own: usingSignature((_source: unknown, _args: never, ctx: Context) => uses(ctx)),
    other: usingSignature((_source: unknown, _args: never, ctx: Context) => uses(ctx)),
  },
}

const operator = { tenantId: uuidv7(), apiSecret: 'operator secret' }
const tenants = Array.from({ length: 20 }, (_, index) => ({
  tenantId: uuidv7(),
  apiSecret: `secret of tenant ${index}`,
}))
const secrets = new Map([operator, ...tenants].map(({ tenantId, apiSecret }) => [tenantId, apiSecret]))
type Party = typeof operator

const buildApp = (more: Partial<GraphqlAppOptions<Context>> = {}) => {
  const claimed = new Set<string>()
  return buildGraphqlApp<Context>({
    log: silentLogger,
    trustProxy: false,
    ready: async () => undefined,
    schema: buildServedSchema(parse(sdl), [resolvers]),
    introspection: false,
    signature: {
      clock: systemClock,
      operator,
      version: 1,
      ttlSeconds: 30,
      findApiSecrets: async (id) => {
        await delay(Math.random() * 3)
        return [secrets.get(id) ?? []].flat()
      },
      claim: async ({ digest }) => claimed.size < claimed.add(digest.toString('hex')).size,
    },
    renderError: createErrorRenderer({
      log: silentLogger,
      codes: { known: 'CONFLICT', invalid_input: 'BAD_USER_INPUT', invalid_page: 'BAD_USER_INPUT' },
      extensionsOf: (refusal) => (refusal.code === 'known' ? { details: { more: 1 } } : {}),
    }),
    contextOf: (caller, signature) => ({ caller, ...(signature && { signature }) }),
    ...more,
  })
}

let lastMs = 0
const headersFor = ({ tenantId, apiSecret }: Party, body: unknown) => {
  lastMs = Math.max(Date.now(), lastMs + 1)
  const signature = signHmac({ secret: apiSecret, version: 1, timestampMs: lastMs, body })
  return { 'content-type': 'application/json', 'tenant-id': tenantId, signature }
}
const post = (app: FastifyInstance, body: unknown, headers: Record<string, string>) =>
  app.inject({ method: 'POST', url: '/graphql', headers, payload: JSON.stringify(body) })
const send = (app: FastifyInstance, body: unknown, party: Party = operator) =>
  post(app, body, headersFor(party, body))
const ask = async (app: FastifyInstance, query: string, variables: Record<string, unknown> = {}) => {
  const answer = await send(app, { query, variables })
  return { status: answer.statusCode, json: answer.json() }
}
const codeOf = (json: { errors?: { extensions: { code: string } }[] }) => json.errors?.[0]?.extensions.code

describe('a GraphQL listener', () => {
  let app: FastifyInstance
  before(async () => {
    app = await buildApp()
  })
  after(() => app.close())

  it('answers whom it authenticated', async () => {
    const [tenant] = tenants
    assert.ok(tenant)
    assert.deepEqual((await send(app, { query: '{ who operator }' }, tenant)).json(), {
      data: { who: tenant.tenantId, operator: false },
    })
    assert.deepEqual((await ask(app, '{ who operator }')).json, {
      data: { who: operator.tenantId, operator: true },
    })
  })

  it('2,000 interleaved requests of 20 tenants: each answer belongs to its tenant', async () => {
    const order = Array.from({ length: 2_000 }, (_, index) => tenants[(index * 7) % tenants.length])
    const answers = await Promise.all(
      order.map(async (tenant) => {
        assert.ok(tenant)
        await delay(Math.random() * 200)
        const { data } = (await send(app, { query: '{ who operator }' }, tenant)).json()
        return { ...data, tenant: tenant.tenantId }
      }),
    )
    assert.equal(
      answers.filter(({ who, tenant, operator }) => who === tenant && operator === false).length,
      2_000,
    )
  })

  it('refuses unsigned requests in plain text, before it looks at what they ask', async () => {
    for (const body of [{ query: '{ who }' }, { query: '{' }, {}, [], 'text', null]) {
      const answer = await post(app, body, { 'content-type': 'application/json' })
      assert.deepEqual([answer.statusCode, answer.body], [401, 'Unauthorized'])
      assert.match(String(answer.headers['content-type']), /^text\/plain/)
    }
  })

  it('carries a mutation out once for a signature, whichever way it is repeated; a query again', async () => {
    const body = { query: 'mutation Count { count } query Who { who }', operationName: 'Count' }
    const headers = headersFor(operator, body)
    const before = counted
    const answers = await Promise.all(Array.from({ length: 100 }, () => post(app, body, headers)))
    assert.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
    assert.equal(
      answers.filter((answer) => answer.statusCode === 401 && answer.body === 'Unauthorized').length,
      99,
    )
    assert.equal(counted, before + 1)
    const reordered = { operationName: body.operationName, query: body.query }
    assert.equal((await post(app, reordered, headers)).statusCode, 401)
    assert.equal(counted, before + 1)

    const query = { ...body, operationName: 'Who' }
    const again = headersFor(operator, query)
    for (let time = 0; time < 3; time++) assert.equal((await post(app, query, again)).statusCode, 200)
  })

  it('leaves the signature to a mutation that uses it itself, where it is all that is asked for, and tells as ever that it was used', async () => {
    const replay = async (query: string) => {
      const headers = headersFor(operator, { query })
      const before = { counted, used: usedBy.size }
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(app, { query }, headers)))
      answers.push(await post(app, { query }, headers))
      const refused = answers.filter(({ statusCode, body }) => statusCode === 401 && body === 'Unauthorized')
      for (const { headers: told } of refused) assert.match(String(told['content-type']), /^text\/plain/)
      assert.equal(refused.length, 20, query)
      assert.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
      return { counted: counted - before.counted, used: usedBy.size - before.used }
    }
    assert.deepEqual(await replay('mutation { own }'), { counted: 1, used: 1 })
    assert.deepEqual(await replay('mutation { a: own }'), { counted: 1, used: 1 })
    // Otherwise it is used up before anything runs.
    for (const [query, count] of [
      ['mutation { own other }', 2],
      ['mutation { own count }', 2],
      ['mutation { a: own b: own }', 2],
      ['mutation { ... on Mutation { own } }', 1],
      ['mutation { ...Both } fragment Both on Mutation { own other }', 2],
    ] as const)
      assert.deepEqual(await replay(query), { counted: count, used: 0 }, query)
  })

  it('carries out nothing while signatures cannot be noted', async () => {
    const away = await buildApp({
      signature: {
        clock: systemClock,
        operator,
        version: 1,
        ttlSeconds: 30,
        findApiSecrets: async (id) => [secrets.get(id) ?? []].flat(),
        claim: async () => {
          throw new Fault('database_unavailable', { retryable: true })
        },
      },
    })
    try {
      const before = counted
      const answer = await send(away, { query: 'mutation { count }' })
      assert.equal(answer.statusCode, 500)
      assert.equal(counted, before)
      assert.equal((await send(away, { query: '{ who }' })).statusCode, 200)
    } finally {
      await away.close()
    }
  })
  it('a mutation that is not named is claimed too, and an operation that does not exist runs nothing', async () => {
    const body = { query: 'mutation { count }' }
    const headers = headersFor(operator, body)
    assert.equal((await post(app, body, headers)).statusCode, 200)
    assert.equal((await post(app, body, headers)).statusCode, 401)
    const before = counted
    for (const operationName of ['Other', '', 'toString'])
      assert.equal((await send(app, { query: 'mutation Count { count }', operationName })).statusCode, 400)
    assert.equal((await send(app, { query: 'mutation A { count } mutation B { count }' })).statusCode, 400)
    assert.equal(counted, before)
  })

  it('exists at one path, for POST only', async () => {
    for (const [method, url] of [
      ['GET', '/graphql?query={who}'],
      ['GET', '/graphql'],
      ['PUT', '/graphql'],
      ['OPTIONS', '/graphql'],
      ['POST', '/'],
      ['POST', '/graphql/more'],
    ] as const) {
      const body = { query: '{ who }' }
      const payload = method === 'GET' || method === 'OPTIONS' ? {} : { payload: JSON.stringify(body) }
      const answer = await app.inject({ method, url, headers: headersFor(operator, body), ...payload })
      assert.equal(answer.statusCode, 404, `${method} ${url}`)
      assert.ok(!answer.body.includes(operator.tenantId))
    }
    assert.equal((await app.inject({ url: '/healthz' })).statusCode, 200)
  })

  it('answers no origin unless it is told to', async () => {
    const headers = { ...headersFor(operator, { query: '{ who }' }), origin: 'https://evil.example' }
    assert.equal(
      (await post(app, { query: '{ who }' }, headers)).headers['access-control-allow-origin'],
      undefined,
    )
    const console = await buildApp({ corsOrigins: ['https://console.example'] })
    for (const [origin, allowed] of [
      ['https://console.example', 'https://console.example'],
      ['https://evil.example', undefined],
    ] as const) {
      const body = { query: '{ who }' }
      const answer = await post(console, body, { ...headersFor(operator, body), origin })
      assert.equal(answer.headers['access-control-allow-origin'], allowed)
    }
    await console.close()
  })

  it('refuses signed bodies that are not one request', async () => {
    for (const body of [[], [{ query: '{ who }' }], 'text', 5]) {
      const answer = await send(app, body)
      assert.equal(answer.statusCode, 400, JSON.stringify(body))
      assert.equal(codeOf(answer.json()), 'BAD_REQUEST')
    }
    for (const body of [
      {},
      { query: 5 },
      { query: '{ who }', variables: [] },
      { query: '{ who }', operationName: {} },
    ])
      assert.equal(codeOf((await send(app, body)).json()), 'BAD_REQUEST', JSON.stringify(body))
  })

  it('refuses what it cannot read: 400, or 413 beyond a megabyte', async () => {
    const raw = (payload: string, type = 'application/json') =>
      app.inject({
        method: 'POST',
        url: '/graphql',
        headers: { ...headersFor(operator, {}), 'content-type': type },
        payload,
      })
    for (const payload of ['{', '1e400', '{"variables":{"a":-1e309}}', '"\\ud800"', '['.repeat(1_000)])
      assert.equal((await raw(payload)).statusCode, 400, payload.slice(0, 20))
    assert.equal((await raw('a=b', 'application/x-www-form-urlencoded')).statusCode, 400)
    assert.equal((await raw(`"${'x'.repeat(1024 * 1024)}"`)).statusCode, 413)
  })

  it('refuses texts that no database takes, in documents as in variables', async () => {
    const asked = [
      await ask(app, '{ fail(how: "a\\u0000b") }'),
      await ask(app, '{ fail(how: "a\\u{0}b") }'),
      await ask(app, 'query Fail($how: String = "\\u0000") { fail(how: $how) }'),
      await ask(app, 'query Fail($how: String!) { fail(how: $how) }', { how: 'a\0b' }),
    ]
    for (const { status, json } of asked)
      assert.deepEqual([status, /no Unicode/.test(json.errors[0].message)], [400, true])
  })

  it('tells refusals by its table, and nothing of what was not expected', async () => {
    const told = async (how: string) => {
      const { status, json } = await ask(app, 'query Fail($how: String!) { fail(how: $how) }', { how })
      assert.equal(status, 200)
      assert.deepEqual(json.data, { fail: null })
      assert.ok(!/secret|select/.test(JSON.stringify(json)), JSON.stringify(json))
      return json.errors[0]
    }
    const known = await told('known')
    assert.equal(known.message, 'told to the caller')
    assert.deepEqual(known.extensions, { code: 'CONFLICT', reason: 'known', details: { more: 1 } })
    assert.deepEqual(known.path, ['fail'])
    assert.equal((await told('input')).extensions.code, 'BAD_USER_INPUT')
    assert.deepEqual((await told('unlisted')).extensions, { code: 'INTERNAL_SERVER_ERROR' })
    assert.equal((await told('fault')).extensions.retryable, true)
    assert.equal((await told('bug')).message, 'internal server error')
  })
})

describe('limits of an operation', () => {
  let app: FastifyInstance
  before(async () => {
    app = await buildApp()
  })
  after(() => app.close())

  const nested = (depth: number, leaf: string) =>
    `{ node ${'{ next '.repeat(depth - 2)}{ ${leaf} }${' }'.repeat(depth - 1)}`
  const refused = async (query: string, words: RegExp, code = 'GRAPHQL_VALIDATION_FAILED') => {
    const started = performance.now()
    const { status, json } = await ask(app, query)
    const tookMs = performance.now() - started
    assert.equal(status, 400, JSON.stringify(json).slice(0, 300))
    assert.equal(json.data, undefined)
    assert.equal(codeOf(json), code)
    assert.match(JSON.stringify(json.errors), words)
    assert.ok(tookMs < 5_000, `${tookMs} ms`)
  }
  const taken = async (query: string) => {
    const { status, json } = await ask(app, query)
    assert.deepEqual([status, json.errors], [200, undefined])
  }
  const repeat = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => text(index)).join(' ')

  it('10 levels', async () => {
    await taken(nested(10, 'id'))
    await refused(nested(11, 'id'), /depth limit of 10 exceeded, found 11/)
    await refused(`query { ...A } fragment A on Query ${nested(11, 'id')}`, /depth limit/)
    await refused(`query { ... on Query { ... on Query ${nested(11, 'id')} } }`, /depth limit/)
  })

  it('15 aliases, in all operations and fragments together', async () => {
    await taken(`{ ${repeat(15, (index) => `a${index}: who`)} }`)
    await refused(`{ ${repeat(16, (index) => `a${index}: who`)} }`, /Aliases limit of 15 exceeded/)
    await refused(
      `query A { ...F ...G } fragment F on Query { ${repeat(8, (i) => `a${i}: who`)} } fragment G on Query { ${repeat(8, (i) => `b${i}: who`)} }`,
      /Aliases limit/,
    )
    await refused(`{ ${repeat(10_000, (index) => `a${index}: who`)} }`, /token/i, 'GRAPHQL_PARSE_FAILED')
  })

  it('a cost of 5,000, which grows with depth', async () => {
    const fields = (count: number) => repeat(count, (index) => `f${index}`)
    await taken(`{ node { ${fields(200)} } }`)
    await taken(nested(10, fields(80)))
    await refused(nested(10, fields(140)), /Cost limit of 5000 exceeded/)
  })

  it('50 directives', async () => {
    const who = (count: number) => `{ ${repeat(count, () => 'who @skip(if: false)')} }`
    await taken(who(50))
    await refused(who(51), /Directives limit of 50 exceeded/)
  })

  it('1,000 tokens', async () => {
    // Nine tokens around the numbers.
    const sum = (count: number) => `{ sum(of: [${repeat(count, () => '1')}]) }`
    await taken(sum(991))
    await refused(sum(992), /token/i, 'GRAPHQL_PARSE_FAILED')
    await refused(sum(100_000), /token/i, 'GRAPHQL_PARSE_FAILED')
    await refused('{ node '.repeat(100_000), /token/i, 'GRAPHQL_PARSE_FAILED')
  })

  it('fragments that go in circles or double each time, at once', async () => {
    await refused('{ ...A } fragment A on Query { ...A }', /Cannot spread fragment/)
    await refused(
      '{ ...A } fragment A on Query { who ...B } fragment B on Query { ...C } fragment C on Query { ...A }',
      /Cannot spread fragment/,
    )
    const doubling = repeat(60, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)
    await refused(`{ ...F0 } ${doubling} fragment F60 on Query { who }`, /Cost limit/)
    const nesting = repeat(40, (i) => `fragment N${i} on Node { next { ...N${i + 1} } }`)
    await refused(`{ node { ...N0 } } ${nesting} fragment N40 on Node { id }`, /depth limit/)
  })

  it('a big query, a big name, a big value', async () => {
    const big = 'x'.repeat(900_000)
    await refused(`{ ${big} }`, /Cannot query field/)
    await refused(`# ${big}\n{ nobody }`, /Cannot query field/)
    await taken(`{ node { echo(id: "${big}") } }`)
  })

  it('says nothing about fields that one does not know', async () => {
    await refused('{ wo }', /Suggestion hidden/)
    const { json } = await ask(app, '{ wo }')
    assert.ok(!JSON.stringify(json).includes('who'))
  })

  it('introspection is on or off as the deployable says', async () => {
    const query = '{ __schema { queryType { name } } }'
    await refused(query, /introspection/i)
    await taken('{ __typename }')
    const open = await buildApp({ introspection: true })
    assert.equal((await ask(open, query)).json.data.__schema.queryType.name, 'Query')
    const nestedTypes = `{ __schema { types { fields { type { ${'ofType { '.repeat(7)} name ${'} '.repeat(7)} } } } } }`
    assert.equal((await ask(open, nestedTypes)).status, 200)
    const circle =
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }'
    assert.equal((await ask(open, circle)).status, 400)
    await open.close()
  })
})

describe('a served schema', () => {
  it('is complete, or is not built', () => {
    const query = parse('type Query { a: ID b: ID }')
    const whole: ResolverMap<unknown> = { Query: { a: () => 'a', b: () => 'b' } }
    buildServedSchema(query, [whole])
    assert.throws(
      () => buildServedSchema(query, [{ Query: { a: () => 'a' } }]),
      /without a resolver: Query.b/,
    )
    assert.throws(() => buildServedSchema(query, [whole, { Query: { c: () => 'c' } }]), /lacks: Query.c/)
    assert.throws(() => buildServedSchema(query, [whole, { Other: { c: () => 'c' } }]), /lacks: Other/)
    assert.throws(
      () => buildServedSchema(parse('scalar Money type Query { a: Money }'), [{ Query: { a: () => 1 } }]),
      /Money/,
    )
  })
})
