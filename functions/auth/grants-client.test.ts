import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { createGrantsClient } from '../../shared/grants-client/index.ts'
import {
  createDb,
  createGuardedHttp,
  createSecretBox,
  type DbPool,
  type HttpClient,
  silentLogger,
  sql,
  systemClock,
} from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { startTestAuth, type TestAuth } from './harness.ts'

// Our client at our server: what each is tested for alone, together and over sockets.
let databases: TestDatabase[]
let auth: TestAuth
let db: DbPool
let http: HttpClient
const tenantId = randomUUID()
const seen: string[] = []
const resource = createServer((request, response) => {
  const token = request.headers.authorization?.slice('GNAP '.length) ?? ''
  void auth
    .introspect({
      access_token: token,
      access: [{ type: 'incoming-payment', actions: ['read', 'complete'] }],
    })
    .then(({ json }) => {
      seen.push(token)
      const isAllowed = json.active && json.access.length > 0
      response.writeHead(isAllowed ? 200 : 403).end(JSON.stringify(json))
    })
})
let resourceUrl: string

before(async () => {
  databases = [await createTestDatabase('auth'), await createTestDatabase('resources')]
  auth = await startTestAuth(databases[0]?.connectionString ?? '', { ACCESS_TOKEN_EXPIRY_SECONDS: '12' })
  db = createDb({ connectionString: databases[1]?.connectionString ?? '' })
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'x')`)
  http = createGuardedHttp({ allow: ['localhost'], allowHttp: true })
  await new Promise<void>((resolve) => resource.listen(0, '127.0.0.1', resolve))
  const address = resource.address()
  resourceUrl = `https://localhost:${typeof address === 'object' && address?.port}/incoming-payments/1`
})
after(async () => {
  resource.closeAllConnections()
  resource.close()
  await http.close()
  await auth.close()
  await db.close()
  for (const database of databases) await database.drop()
})

test('grants, reuse, rotation and recovery at the real server', async () => {
  const node = auth.createClient()
  let aheadMs = 0
  const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs }
  const create = () =>
    createGrantsClient({
      db,
      http,
      clock,
      log: silentLogger,
      secretBox: createSecretBox('s'),
      key: () => ({ privateKey: node.privateKey, keyId: node.jwk.kid }),
      clientWalletAddress: node.walletAddress,
    })
  const client = create()
  const read = async (by = client) => {
    const response = await by.request({
      tenantId,
      authServer: `${auth.publicUrl}/${auth.tenantId}`,
      access: { type: 'incoming-payment', actions: ['read-all'] },
      method: 'GET',
      url: resourceUrl,
    })
    const body = JSON.parse(response.body.toString())
    assert.equal(response.status, 200, response.body.toString())
    assert.deepEqual(body.client, { walletAddress: node.walletAddress })
    return body.grant as string
  }

  const grants = await Promise.all(Array.from({ length: 12 }, () => read()))
  assert.equal(new Set(grants).size, 1)
  assert.equal(new Set(seen).size, 1)

  aheadMs = 3_000
  const rotated = await Promise.all(Array.from({ length: 8 }, () => read()))
  assert.deepEqual(new Set(rotated), new Set(grants), 'rotation keeps the grant')
  assert.equal(new Set(seen).size, 2)

  // Another process rotated behind our back: ours is refused, and recovers.
  aheadMs = 6_000
  await read(create())
  aheadMs = 3_000
  await read()
})
