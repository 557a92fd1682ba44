import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { routes } from './app.ts'
import { send, startTestNode, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
})
after(async () => {
  await node.close()
  await database.drop()
})

interface Document {
  servers: { url: string; variables?: Record<string, { default: string }> }[]
  paths: Record<string, Record<string, unknown> & { servers?: { url: string }[] }>
  components: { schemas: Record<string, unknown> }
}

test('the specification is served with this node’s addresses, and has every route', async () => {
  const { status, headers, text } = await send(`${node.url}/openapi.json`)
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  assert.equal(headers.get('access-control-allow-origin'), '*')
  const document = JSON.parse(text) as Document
  assert.deepEqual(
    document.servers.map(({ url }) => url),
    [node.publicUrl, `${node.publicUrl}/{tenantId}`],
  )
  assert.equal(document.servers[1]?.variables?.tenantId?.default, node.tenantId)
  for (const { operation } of routes)
    assert.ok(document.paths[operation.path]?.[operation.method.toLowerCase()], operation.path)
  for (const path of ['/', '/jwks.json'])
    assert.equal(document.paths[path]?.servers?.[0]?.url, `${node.publicUrl}/{walletAddress}`)
  assert.equal(document.paths['/did.json'], undefined)
})

test('every reference of the document has its target', async () => {
  const document: unknown = JSON.parse((await send(`${node.url}/openapi.json`)).text)
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path)
  assert.ok(references.length > 50)
  for (const reference of new Set(references)) {
    let found = document as Record<string, unknown> | undefined
    for (const part of reference?.split('/') ?? [])
      found = found?.[part] as Record<string, unknown> | undefined
    assert.ok(found, reference)
  }
})

test('people read it as a page, which HEAD finds too', async () => {
  const { status, headers, text } = await send(`${node.url}/docs`)
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'text/html; charset=utf-8')
  assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/)
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  assert.ok(text.includes('<h1>Open Payments</h1>') && text.includes(node.publicUrl))
  assert.deepEqual((await send(`${node.url}/docs`)).text, text)
  assert.equal((await send(`${node.url}/docs`, { method: 'HEAD' })).status, 200)
  assert.equal((await send(`${node.url}/openapi.json`, { method: 'HEAD' })).status, 200)
  // What is reserved is exact: below it there may be wallet addresses.
  assert.equal((await send(`${node.url}/docs/alice`)).body.error?.description, 'Could not get wallet address')
})
