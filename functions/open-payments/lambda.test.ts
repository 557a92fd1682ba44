import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Context } from 'aws-lambda'
import { signRequest } from '../../shared/http-signatures/index.ts'
import { createTenant, setTenantSettings } from '../../shared/tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { type HttpRequest, toHttpApiEvent } from '../../shared/testing/lambda-simulator/http-events.ts'
import { startTestNode, type TestClient, type TestNode } from './harness.ts'
import { createOpenPaymentsHandlers } from './lambda-handlers.ts'

// The same resource server as a function of Lambda: events as an HTTP API makes them, signatures as clients make them.
let database: TestDatabase
let bank: TestNode
let client: TestClient
let handler: ReturnType<typeof createOpenPaymentsHandlers>['handler']
before(async () => {
  database = await createTestDatabase('resources')
  bank = await startTestNode(database.connectionString)
  client = await bank.createClient('/client')
  const { handler: opened } = createOpenPaymentsHandlers({ ...bank.environment, DATABASE_POOL_SIZE: '1' })
  handler = opened
})
after(async () => {
  await bank.close()
  await database.drop()
})

const context = {} as Context

interface Sent {
  method?: string
  /** Path and query. */
  target: string
  headers?: Record<string, string>
  body?: Buffer | string
  /** As which the gateway was called; default: the node's own. */
  publicUrl?: string
  sourceIp?: string
}

const invoke = async (
  sent: Sent,
  change: (event: ReturnType<typeof toHttpApiEvent>) => void = () => undefined,
) => {
  const request: HttpRequest = {
    method: sent.method ?? 'GET',
    target: sent.target,
    rawHeaders: Object.entries(sent.headers ?? {}).flat(),
    body: Buffer.from(sent.body ?? ''),
    sourceIp: sent.sourceIp ?? '203.0.113.7',
    publicUrl: new URL(sent.publicUrl ?? bank.publicUrl),
  }
  const event = toHttpApiEvent(request)
  change(event)
  const { statusCode, body, headers } = await handler(event, context)
  const text = body ?? ''
  return { status: statusCode, text, headers, body: text.startsWith('{') ? JSON.parse(text) : undefined }
}

const read = { type: 'incoming-payment' as const, actions: ['create', 'read', 'list'] as string[] }
const signedGet = (target: string, more: { url?: string; token?: string } = {}): Sent => {
  const token = more.token ?? bank.grant(client, [read as never])
  const headers = signRequest({
    method: 'GET',
    url: more.url ?? `${bank.publicUrl}${target}`,
    headers: { Authorization: `GNAP ${token}`, Accept: 'application/json' },
    privateKey: client.privateKey,
    keyId: client.keyId,
  })
  return { target, headers }
}

const listTarget = (more = '') =>
  `/incoming-payments?wallet-address=${encodeURIComponent(client.walletAddress)}${more}`

describe('signed requests through an HTTP API', () => {
  test('a payment is created by a signed body, which may come as base64, and read', async () => {
    const token = bank.grant(client, [read as never])
    const text = JSON.stringify({ walletAddress: client.walletAddress, metadata: { é: 'a+b %20' } })
    const headers = signRequest({
      method: 'POST',
      url: `${bank.publicUrl}/incoming-payments`,
      headers: { Authorization: `GNAP ${token}` },
      body: text,
      privateKey: client.privateKey,
      keyId: client.keyId,
    })
    const sent: Sent = { method: 'POST', target: '/incoming-payments', headers, body: text }
    const created = await invoke(sent)
    assert.equal(created.status, 201, created.text)
    const base64 = await invoke(sent, (event) => {
      event.body = Buffer.from(text).toString('base64')
      event.isBase64Encoded = true
    })
    assert.equal(base64.status, 201, base64.text)
    const altered = await invoke({ ...sent, body: text.replace('a+b', 'a b') })
    assert.equal(altered.status, 401)

    const { pathname } = new URL((created.body as { id: string }).id)
    assert.equal((await invoke(signedGet(pathname, { token }))).status, 200)
  })

  test('the signature covers path and query as they were sent', async () => {
    const targets = [
      listTarget(),
      listTarget('&first=10'),
      listTarget('&x=a+b&x=c%20d&y=&z=1,2&%7Ew=%2f%2F&=v&q'),
      listTarget().replace('?', '/?'),
      listTarget().replace('/incoming', '/INCOMING'),
      listTarget().replace(/%3A/g, ':').replace(/%2F/g, '/'),
      listTarget().replace(/%3A/g, '%3a'),
    ]
    for (const target of targets) {
      const answer = await invoke(signedGet(target))
      assert.equal(answer.status, 200, `${target}: ${answer.text}`)
    }
  })

  test('another query or path than was signed is refused, even one that means the same', async () => {
    const target = listTarget('&first=1&x=a+b')
    const others = [
      listTarget('&x=a+b&first=1'),
      listTarget('&first=1&x=a%20b'),
      listTarget('&first=1&x=a+b&y='),
      target.replace('?', '/?'),
    ]
    for (const other of others) {
      const answer = await invoke({ ...signedGet(target), target: other })
      assert.equal(answer.status, 401, other)
    }
  })

  test('a signature for another host is worth nothing, whoever says that this is the host', async () => {
    const evil = 'https://evil.example'
    const target = listTarget()
    const signedForEvil = signedGet(target, { url: `${evil}${target}` })
    // The gateway was called by that name: it is none of ours.
    const called = await invoke({ ...signedForEvil, publicUrl: evil })
    assert.equal(called.status, 401)
    for (const name of ['host', 'x-forwarded-host']) {
      const answer = await invoke(signedForEvil, (event) => {
        event.headers[name] = 'evil.example'
      })
      assert.equal(answer.status, 401, name)
    }
    const unsecured = signedGet(target, { url: `${bank.url}${target}` })
    const answer = await invoke(unsecured, (event) => {
      event.headers['x-forwarded-proto'] = 'http'
    })
    assert.equal(answer.status, 401)
  })

  test('attempts that fail are counted by the source that the gateway saw', async () => {
    const wrong = (sourceIp: string, forwarded: string): Promise<{ status: number | undefined }> =>
      invoke({ ...signedGet(listTarget()), target: listTarget('&x=1'), sourceIp }, (event) => {
        event.headers['x-forwarded-for'] = forwarded
      })
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, index) => wrong('198.51.100.1', `192.0.2.${index % 250}`)),
    )
    assert.ok(
      answers.some(({ status }) => status === 429),
      'the limit is reached',
    )
    assert.equal((await wrong('198.51.100.2', '198.51.100.1')).status, 401)
  })
})

describe('what needs no signature', () => {
  test('a wallet address is found by the host that the gateway was called by', async () => {
    const found = await invoke({ target: '/client', headers: { accept: 'application/json' } })
    assert.deepEqual([found.status, (found.body as { id: string }).id], [200, client.walletAddress])
    const elsewhere = await invoke({ target: '/client', publicUrl: 'https://other.example' }, (event) => {
      event.headers.host = new URL(bank.publicUrl).host
    })
    assert.equal(elsewhere.status, 404)
    assert.equal((await invoke({ target: '/readyz' })).text, 'OK')
  })
})

describe('a sandbox hears no notification', () => {
  test('and sees within a second what another process changed', async () => {
    const wallet = () => invoke({ target: '/client', headers: { accept: 'application/json' } })
    assert.equal((await wallet()).status, 200)
    const tenant = await createTenant(bank.node, { apiSecret: randomBytes(32).toString('base64') })
    // Signed for a host that only this tenant's wallet addresses have, from the next moment on.
    const token = bank.grant(client, [read as never], { tenant: tenant.id })
    const target = `/${tenant.id}${listTarget()}`
    const ask = () => {
      const sent = signedGet(target, { url: `https://new.example${target}`, token })
      return invoke({ ...sent, publicUrl: 'https://new.example' })
    }
    assert.equal((await ask()).status, 401, 'nobody has that host yet')
    await setTenantSettings(bank.node, tenant.id, [
      { key: 'WALLET_ADDRESS_URL', value: 'https://new.example' },
    ])
    await new Promise((resolve) => setTimeout(resolve, 1_050))
    assert.notEqual((await ask()).status, 401)
  })
})
