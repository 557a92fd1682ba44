import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { authServerDocument } from './api-document.ts'
import { routes } from './app.ts'
import { startTestAuth, type TestAuth } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
})
after(async () => {
  await auth.close()
  await database.drop()
})

const get = (path: string) => auth.send({ method: 'GET', url: `${auth.url}${path}` })

test('the specification is served with this server’s address, and has every route', async () => {
  const { status, headers, json } = await get('/openapi.json')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(headers['access-control-allow-origin'], '*')
  assert.deepEqual(json.servers, [{ url: auth.publicUrl }])
  for (const { operation, url } of routes) {
    const path = url.replace(/:(\w+)/g, '{$1}')
    assert.ok(json.paths[path]?.[operation.method.toLowerCase()], `${operation.method} ${path}`)
  }
  assert.deepEqual(
    json.paths['/{tenantId}'].parameters.map(({ name }: { name: string }) => name),
    ['tenantId'],
  )
})

test('people read it as a page', async () => {
  const { status, headers, text } = await get('/docs')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/)
  assert.ok(text.includes('<h1>Open Payments Authorization Server</h1>'))
  assert.ok(text.includes('<code>/{tenantId}</code>'))
})

test('where grants are asked for elsewhere, the document says so', () => {
  const document = authServerDocument({
    authServerUrl: 'https://auth.example',
    grantUrl: 'https://grants.example',
  })
  assert.deepEqual(document.paths['/{tenantId}']?.servers, [{ url: 'https://grants.example' }])
  assert.equal(document.paths['/continue/{id}']?.servers, undefined)
})
