import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ALBResult, Context } from 'aws-lambda'
import type { FastifyInstance } from 'fastify'
import { createHttpApp, silentLogger } from '../platform/index.ts'
import { toSentPath } from './http-event.ts'
import { createHttpHandler } from './http-handler.ts'

const context = { awsRequestId: 'aws' } as unknown as Context

/** Answers what a request looks like from inside. */
async function buildMirror(options: { trustProxy?: boolean } = {}): Promise<FastifyInstance> {
  const app = await createHttpApp({ log: silentLogger, takesAnyMediaType: true, ...options })
  app.all('/*', async (request, reply) =>
    reply.header('x-one', '1').send({
      target: request.raw.url,
      host: request.host,
      protocol: request.protocol,
      ip: request.ip,
      query: request.query,
      forwarded: Object.keys(request.headers).filter((name) => /forwarded|real-ip/.test(name)),
      requestId: request.requestId,
      body: request.rawBody?.toString('hex') ?? null,
      cookie: request.headers.cookie ?? null,
    }),
  )
  app.get('/cookies', async (_request, reply) =>
    reply.header('set-cookie', ['a=1; HttpOnly', 'b=2']).header('vary', 'Accept').send('ok'),
  )
  return app
}

const invocation = { begin: async () => undefined, end: async () => undefined }
const handlerOf = (
  app: Promise<FastifyInstance>,
  events: readonly ('httpApi' | 'loadBalancer')[] = ['httpApi', 'loadBalancer'],
) => createHttpHandler(async () => ({ app: await app, invocation }), { events })

/** As an HTTP API sends it, payload format 2.0. */
const httpApiEvent = (more: Record<string, unknown> = {}, http: Record<string, unknown> = {}) => ({
  version: '2.0',
  routeKey: '$default',
  rawPath: '/path',
  rawQueryString: '',
  headers: {
    accept: '*/*',
    host: 'op.example',
    'user-agent': 'curl/8',
    'x-amzn-trace-id': 'Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e',
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
  },
  requestContext: {
    accountId: '123456789012',
    apiId: 'r3pmxmplak',
    domainName: 'op.example',
    domainPrefix: 'op',
    http: {
      method: 'GET',
      path: '/path',
      protocol: 'HTTP/1.1',
      sourceIp: '203.0.113.7',
      userAgent: 'curl/8',
      ...http,
    },
    requestId: 'JKJaXmPLvHcESHA=',
    routeKey: '$default',
    stage: '$default',
    time: '10/Mar/2020:05:16:23 +0000',
    timeEpoch: 1583817383220,
  },
  isBase64Encoded: false,
  ...more,
})

const seen = async (handler: ReturnType<typeof handlerOf>, event: unknown) => {
  const answer = await handler(event, context)
  assert.equal(answer.statusCode, 200, String(answer.body))
  return JSON.parse(answer.body ?? '') as Record<string, unknown>
}

describe('a request through an HTTP API', () => {
  const handler = handlerOf(buildMirror({ trustProxy: true }))

  test('its target is what the client wrote, whatever a URL parser would make of it', async () => {
    const targets = [
      '/a/../b/./c',
      '/a//b/',
      '/%7Euser/%2e%2E/x%2fy',
      '/a?b=c+d&b=e%20f&c=&d&e=1,2&=x&f=%C3%A9&b=%2B',
      '//evil.example/x',
      '/[::1]|x',
      '/a?url=https://x.example/?y=z#',
    ]
    for (const target of targets) {
      const [path = '', query = ''] = target.split(/\?(.*)/s)
      const parameters = Object.fromEntries(new URLSearchParams(query))
      const event = httpApiEvent({ rawPath: path, rawQueryString: query, queryStringParameters: parameters })
      assert.equal((await seen(handler, event)).target, target)
    }
  })

  test('a path that the gateway decoded is escaped again', () => {
    assert.equal(toSentPath('/é a"#?%/%zz%41{}'), '/%C3%A9%20a%22%23%3F%25/%25zz%41%7B%7D')
    assert.equal(toSentPath("/-._~!$&'()*+,;=:@/%2F%2f"), "/-._~!$&'()*+,;=:@/%2F%2f")
  })

  test('host, scheme, source and id are the word of the gateway, not of the client', async () => {
    const event = httpApiEvent()
    const headers = {
      ...event.headers,
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      'x-forwarded-for': '192.0.2.1, 198.51.100.9',
      'x-real-ip': '192.0.2.1',
      forwarded: 'host=evil.example',
      'x-request-id': 'mine',
    }
    const { host, protocol, ip, forwarded, requestId } = await seen(handler, { ...event, headers })
    assert.deepEqual(
      { host, protocol, ip, forwarded, requestId },
      {
        host: 'op.example',
        protocol: 'https',
        ip: '203.0.113.7',
        forwarded: [],
        requestId: 'JKJaXmPLvHcESHA=',
      },
    )
  })

  test('two Host headers are refused, as over a socket', async () => {
    const event = httpApiEvent()
    const answer = await handler(
      { ...event, headers: { ...event.headers, host: 'op.example,evil.example' } },
      context,
    )
    assert.equal(answer.statusCode, 400)
  })

  test('a body arrives as its bytes, text or base64', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x7b, 0x80])
    const base64 = httpApiEvent({ body: bytes.toString('base64'), isBase64Encoded: true }, { method: 'POST' })
    assert.equal((await seen(handler, base64)).body, bytes.toString('hex'))
    const text = httpApiEvent(
      { body: '{"é": 1}', headers: { 'content-type': 'application/json' } },
      { method: 'POST' },
    )
    assert.equal((await seen(handler, text)).body, Buffer.from('{"é": 1}').toString('hex'))
  })

  test('cookies come in and go out apart from headers', async () => {
    assert.equal((await seen(handler, httpApiEvent({ cookies: ['a=1', 'b=2'] }))).cookie, 'a=1;b=2')
    const answer = await handler(httpApiEvent({ rawPath: '/cookies' }), context)
    assert.deepEqual('cookies' in answer && answer.cookies, ['a=1; HttpOnly', 'b=2'])
    assert.ok(!Object.keys(answer.headers ?? {}).includes('set-cookie'))
    assert.equal(answer.headers?.vary, 'Accept')
  })

  test('what is no such event is refused, and what is none for this function', async () => {
    const publicOnly = handlerOf(buildMirror(), ['httpApi'])
    for (const event of [{}, null, { Records: [] }, loadBalancerEvent()])
      await assert.rejects(publicOnly(event, context), { name: 'EventRefused' })
  })
})

const loadBalancerEvent = (more: Record<string, unknown> = {}) => ({
  requestContext: {
    elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/1' },
  },
  httpMethod: 'GET',
  path: '/path',
  queryStringParameters: {} as Record<string, string>,
  headers: {
    host: 'admin.internal',
    'x-amzn-trace-id': 'Root=1',
    'x-forwarded-for': '192.0.2.1, 10.0.0.7',
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
  } as Record<string, string>,
  body: '',
  isBase64Encoded: false,
  ...more,
})

describe('a request through a load balancer', () => {
  const handler = handlerOf(buildMirror({ trustProxy: true }))

  test('what the balancer itself saw counts, and the query stays as it was sent', async () => {
    const event = loadBalancerEvent({ queryStringParameters: { a: 'b%20c', d: '1,2', e: '%2B+' } })
    const { target, host, protocol, ip, forwarded } = await seen(handler, event)
    assert.deepEqual(
      { target, host, protocol, ip, forwarded },
      {
        target: '/path?a=b%20c&d=1,2&e=%2B+',
        host: 'admin.internal',
        protocol: 'https',
        ip: '10.0.0.7',
        forwarded: [],
      },
    )
  })

  test('lists of values come in and go out', async () => {
    const {
      headers: _none,
      queryStringParameters: _neither,
      ...event
    } = loadBalancerEvent({ path: '/cookies' })
    const multiValueHeaders = { host: ['admin.internal'], 'x-forwarded-for': ['192.0.2.1', '10.0.0.7'] }
    const answer = (await handler(
      { ...event, multiValueHeaders, multiValueQueryStringParameters: {} },
      context,
    )) as ALBResult
    assert.deepEqual(answer.multiValueHeaders?.['set-cookie'], ['a=1; HttpOnly', 'b=2'])
    assert.deepEqual(answer.multiValueHeaders?.vary, ['Accept'])
    const query = { a: ['1', '2'], b: [''] }
    const mirrored = await handler(
      { ...event, path: '/p', multiValueHeaders, multiValueQueryStringParameters: query },
      context,
    )
    assert.equal(JSON.parse(mirrored.body ?? '').target, '/p?a=1&a=2&b=')
    const twoHosts = { ...multiValueHeaders, host: ['admin.internal', 'evil.example'] }
    assert.equal((await handler({ ...event, multiValueHeaders: twoHosts }, context)).statusCode, 400)
  })
})

describe('a sandbox', () => {
  test('opens once, before its first invocation; what failed is tried again by the next', async () => {
    let opened = 0
    const handler = createHttpHandler(
      async () => {
        opened++
        if (opened < 3) throw new Error(`no database ${opened}`)
        return { app: await buildMirror(), invocation }
      },
      { events: ['httpApi'] },
    )
    assert.equal(opened, 1)
    await new Promise(setImmediate)
    await assert.rejects(handler(httpApiEvent(), context), /no database 2/)
    const answers = await Promise.all([handler(httpApiEvent(), context), handler(httpApiEvent(), context)])
    assert.deepEqual([opened, ...answers.map(({ statusCode }) => statusCode)], [3, 200, 200])
  })

  test('catches up before the work and ends after it, whatever becomes of the work', async () => {
    const steps: string[] = []
    const app = await createHttpApp({ log: silentLogger })
    app.get('/path', async () => {
      steps.push('work')
      return 'ok'
    })
    const step = (name: string) => async () => {
      await new Promise(setImmediate)
      steps.push(name)
    }
    const handler = createHttpHandler(
      async () => ({ app, invocation: { begin: step('begin'), end: step('end') } }),
      { events: ['httpApi'] },
    )
    await handler(httpApiEvent(), context)
    await assert.rejects(handler({}, context))
    assert.deepEqual(steps, ['begin', 'work', 'end', 'begin', 'end'])
  })
})
