import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import type { Context } from 'aws-lambda'
import { signRequest } from '../../shared/http-signatures/index.ts'
import { signHmac } from '../../shared/platform/index.ts'
import { createTestDatabase, startDatabaseProxy, type TestDatabase } from '../../shared/testing/index.ts'
import { toAlbEvent, toHttpApiEvent } from '../../shared/testing/lambda-simulator/http-events.ts'
import { outgoing, withFinish } from './consent-harness.ts'
import {
  ADMIN_SECRET,
  IDP_SECRET,
  SERVICE_SECRET,
  startTestAuth,
  type TestAuth,
  testEnvironment,
} from './harness.ts'
import { createAuthHandlers } from './lambda-handlers.ts'
import { openAuth } from './wiring.ts'

// The five listeners as functions of Lambda: clients and browsers through an HTTP API, everybody else through a load balancer.
let database: TestDatabase
let auth: TestAuth
let handlers: ReturnType<typeof createAuthHandlers>
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  const port = Number(new URL(auth.publicUrl).port)
  handlers = createAuthHandlers({
    ...testEnvironment(database.connectionString, port, auth.tenantId),
    AUTH_LISTENERS: 'auth',
    DATABASE_POOL_SIZE: '1',
  })
})
after(async () => {
  await auth.close()
  await database.drop()
})

interface Answer {
  status: number | undefined
  headers: Record<string, unknown>
  cookies: readonly string[]
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers that they assert about.
  json: any
  text: string
}

interface Sent {
  listener: keyof ReturnType<typeof createAuthHandlers>
  front?: 'httpApi' | 'alb'
  method?: string
  target: string
  headers?: Record<string, string>
  body?: string
  publicUrl?: string
}

async function invoke(sent: Sent): Promise<Answer> {
  const request = {
    method: sent.method ?? 'GET',
    target: sent.target,
    rawHeaders: Object.entries(sent.headers ?? {}).flat(),
    body: Buffer.from(sent.body ?? ''),
    sourceIp: '203.0.113.7',
    publicUrl: new URL(sent.publicUrl ?? (sent.front === 'alb' ? 'https://auth.internal' : auth.publicUrl)),
  }
  const event = sent.front === 'alb' ? toAlbEvent(request) : toHttpApiEvent(request)
  const answer = (await handlers[sent.listener](event as never, {} as Context)) as {
    statusCode?: number
    headers?: Record<string, unknown>
    multiValueHeaders?: Record<string, unknown[]>
    cookies?: string[]
    body?: string
  }
  const text = answer.body ?? ''
  return {
    status: answer.statusCode,
    headers: answer.headers ?? answer.multiValueHeaders ?? {},
    cookies: answer.cookies ?? [],
    text,
    json: text.startsWith('{') ? JSON.parse(text) : undefined,
  }
}

const json = { 'content-type': 'application/json' }
const client = () => auth.createClient()

const signed = (
  by: ReturnType<typeof client>,
  target: string,
  options: { method?: string; token?: string; body?: object; url?: string } = {},
): Sent => {
  const { method = 'POST', token } = options
  const body = options.body && JSON.stringify(options.body)
  const headers = signRequest({
    method,
    url: options.url ?? `${auth.publicUrl}${target}`,
    headers: token === undefined ? {} : { Authorization: `GNAP ${token}` },
    ...(body !== undefined && { body }),
    privateKey: by.privateKey,
    keyId: by.jwk.kid,
  })
  return { listener: 'auth', method, target, headers, ...(body !== undefined && { body }) }
}

const pathOf = (url: string) => {
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

describe('a grant, all its way through functions', () => {
  test('request, consent in a browser with cookies, continuation, introspection, revocation', async () => {
    const by = client()
    const body = { access_token: { access: [outgoing] }, client: by.walletAddress, interact: withFinish }
    const requested = await invoke(signed(by, `/${auth.tenantId}`, { body }))
    assert.equal(requested.status, 200, requested.text)
    const { interact, continue: next } = requested.json
    const [, , id = '', nonce = ''] = new URL(interact.redirect).pathname.split('/')

    const started = await invoke({ listener: 'auth', target: pathOf(interact.redirect) })
    assert.equal(started.status, 302, started.text)
    assert.equal(started.cookies.length, 1)
    assert.match(started.cookies[0] ?? '', /; HttpOnly; Secure; SameSite=Lax/)
    assert.ok(!('set-cookie' in started.headers))

    const asIdp = { 'x-idp-secret': IDP_SECRET }
    const shown = await invoke({
      listener: 'interaction',
      front: 'alb',
      target: `/grant/${id}/${nonce}`,
      headers: asIdp,
    })
    assert.equal(shown.status, 200, shown.text)
    const chosen = await invoke({
      listener: 'interaction',
      front: 'alb',
      method: 'POST',
      target: `/grant/${id}/${nonce}/accept`,
      headers: asIdp,
    })
    assert.equal(chosen.status, 202, chosen.text)

    const finish = `/interact/${id}/${nonce}/finish`
    assert.equal((await invoke({ listener: 'auth', target: finish })).status, 401, 'another browser')
    const cookie = started.cookies[0]?.split(';')[0] ?? ''
    const finished = await invoke({ listener: 'auth', target: finish, headers: { cookie } })
    assert.equal(finished.status, 302, finished.text)
    const back = new URL(String(finished.headers.location))
    const reference = back.searchParams.get('interact_ref')

    const continued = await invoke(
      signed(by, pathOf(next.uri), { token: next.access_token.value, body: { interact_ref: reference } }),
    )
    assert.equal(continued.status, 200, continued.text)
    const { value, manage } = continued.json.access_token

    const asked = {
      listener: 'introspection',
      front: 'alb',
      method: 'POST',
      target: '/',
      headers: json,
      body: JSON.stringify({
        access_token: value,
        access: [{ type: 'outgoing-payment', actions: ['read'] }],
      }),
    } satisfies Sent
    assert.equal((await invoke(asked)).json.active, true)
    const revoked = await invoke(signed(by, pathOf(manage), { method: 'DELETE', token: value }))
    assert.equal(revoked.status, 204, revoked.text)
    assert.equal((await invoke(asked)).json.active, false)
  })

  test('a signature for another host or path is refused', async () => {
    const by = client()
    const body = {
      access_token: { access: [{ type: 'incoming-payment', actions: ['read'] }] },
      client: by.walletAddress,
    }
    const target = `/${auth.tenantId}`
    assert.equal((await invoke(signed(by, target, { body }))).status, 200)
    const elsewhere = signed(by, target, { body, url: `https://evil.example${target}` })
    assert.equal((await invoke(elsewhere)).status, 401)
    assert.equal((await invoke({ ...elsewhere, publicUrl: 'https://evil.example' })).status, 401)
    const slashed = signed(by, target, { body })
    assert.equal((await invoke({ ...slashed, target: `${target}/` })).status, 401)
    assert.equal((await invoke(signed(by, `${target}/?a=b+c&d=%2f`, { body }))).status, 200)
  })
})

describe('listeners of the private network', () => {
  test('the service API takes a call of the node, signed over its path, once', async () => {
    const id = crypto.randomUUID()
    const body = { id, apiSecret: 'the secret of a tenant' }
    const call = (target: string): Sent => ({
      listener: 'service',
      front: 'alb',
      method: 'POST',
      target,
      headers: {
        ...json,
        signature: signHmac({
          secret: SERVICE_SECRET,
          version: 1,
          timestampMs: Date.now(),
          body: { method: 'POST', path: '/tenant', body },
        }),
      },
      body: JSON.stringify(body),
    })
    const sent = call('/tenant')
    assert.equal((await invoke(sent)).status, 204)
    assert.equal((await invoke(sent)).status, 401, 'a second time')
    assert.equal((await invoke(call('/tenant?x=1'))).status, 401, 'another target')
  })

  test('the Admin API takes a signed query', async () => {
    const body = { query: '{ grants { edges { node { id } } } }', variables: {} }
    const answer = await invoke({
      listener: 'admin',
      front: 'alb',
      method: 'POST',
      target: '/graphql',
      headers: {
        ...json,
        'tenant-id': auth.tenantId,
        signature: signHmac({ secret: ADMIN_SECRET, version: 1, timestampMs: Date.now(), body }),
      },
      body: JSON.stringify(body),
    })
    assert.equal(answer.status, 200, answer.text)
    assert.ok(Array.isArray(answer.json.data.grants.edges))
  })

  test('clients do not come through a load balancer', async () => {
    await assert.rejects(invoke({ listener: 'auth', front: 'alb', target: '/discovery' }), {
      name: 'EventRefused',
    })
  })
})

test('a sandbox that was frozen for long uses none of the connections that were forgotten meanwhile', async () => {
  const proxy = await startDatabaseProxy(database.connectionString)
  const variables = testEnvironment(
    proxy.connectionString,
    Number(new URL(auth.publicUrl).port),
    auth.tenantId,
  )
  const opened = await openAuth({ ...variables, DATABASE_POOL_SIZE: '1' }, 'sandbox')
  try {
    await opened.ctx.ready()
    await opened.invocation.end()
    proxy.forget()
    const laterMs = Date.now() + 60_000
    const later = mock.method(Date, 'now', () => laterMs)
    try {
      await opened.invocation.begin()
      await opened.ctx.ready()
    } finally {
      later.mock.restore()
    }
  } finally {
    await opened.close()
    await proxy.close()
  }
})
