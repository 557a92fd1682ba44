import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Context } from 'aws-lambda'
import { signHmac } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { toAlbEvent } from '../../shared/testing/lambda-simulator/http-events.ts'
import { newSecret, startTestAdmin, type TestAdmin } from './harness.ts'
import { createAdminHandlers } from './lambda-handlers.ts'

// The Admin API as a function behind an internal load balancer.
let admin: TestAdmin
let handler: ReturnType<typeof createAdminHandlers>['handler']
before(async () => {
  admin = await startTestAdmin(await createTestDatabase('resources'))
  handler = createAdminHandlers({ ...admin.environment, DATABASE_POOL_SIZE: '1' }).handler
})
after(() => admin.close())

let lastMs = 0
/** No two requests are signed at the same time. */
const nextMs = () => {
  lastMs = Math.max(Date.now(), lastMs + 1)
  return lastMs
}
async function ask(
  query: string,
  variables: object = {},
  change: Record<string, string> = {},
  base64 = false,
) {
  const body = { query, variables }
  const { tenantId, apiSecret } = admin.operator
  const headers = {
    'content-type': 'application/json',
    'tenant-id': tenantId,
    signature: signHmac({ secret: apiSecret, version: 1, timestampMs: nextMs(), body }),
    ...change,
  }
  const event = toAlbEvent({
    method: 'POST',
    target: '/graphql',
    rawHeaders: Object.entries(headers).flat(),
    body: Buffer.from(JSON.stringify(body)),
    sourceIp: '10.0.0.7',
    publicUrl: new URL('https://admin.internal'),
  })
  if (base64)
    Object.assign(event, { body: Buffer.from(event.body ?? '').toString('base64'), isBase64Encoded: true })
  const answer = (await handler(event, {} as Context)) as { statusCode: number; body: string }
  return {
    signature: headers.signature,
    status: answer.statusCode,
    json: answer.body.startsWith('{') ? JSON.parse(answer.body) : undefined,
  }
}

const createAsset =
  'mutation ($input: CreateAssetInput!) { createAsset(input: $input) { asset { code scale } } }'

test('signed queries and mutations are answered, as text or as base64, and each signature once', async () => {
  const created = await ask(createAsset, { input: { code: 'KES', scale: 2 } })
  assert.deepEqual([created.status, created.json?.data.createAsset.asset], [200, { code: 'KES', scale: 2 }])
  const { signature } = created
  const again = await ask(createAsset, { input: { code: 'KES', scale: 2 } }, { signature })
  assert.equal(again.status, 401)
  const listed = await ask('{ assets { edges { node { code } } } }', {}, {}, true)
  assert.ok(JSON.stringify(listed.json).includes('KES'))
  const unsigned = await ask('{ assets { edges { node { code } } } }', {}, { signature: 't=1, v1=00' })
  assert.equal(unsigned.status, 401)
})

test('what another process changed is seen within a second', async () => {
  const party = await admin.newTenant('other')
  const body = { query: '{ whoami { id } }', variables: {} }
  const headers = (secret: string) => ({
    'tenant-id': party.tenantId,
    signature: signHmac({ secret, version: 1, timestampMs: nextMs(), body }),
  })
  assert.equal((await ask(body.query, {}, headers(party.apiSecret))).status, 200)
  const apiSecret = newSecret()
  const update = await admin.call(party, 'updateTenant', {
    input: { id: party.tenantId, apiSecret },
  })
  assert.deepEqual([update.status, update.errors], [200, undefined])
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  assert.equal((await ask(body.query, {}, headers(apiSecret))).status, 200)
  assert.equal((await ask(body.query, {}, headers(party.apiSecret))).status, 401)
})
