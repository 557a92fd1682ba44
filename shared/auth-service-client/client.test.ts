import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTrustedHttp, Fault, parseHmacSignature, uuidv7, verifyHmacDigest } from '../platform/index.ts'
import { startTestHttpServer, type TestAnswer } from '../testing/index.ts'
import { type AuthServiceClient, createAuthServiceClient } from './client.ts'
import { authServiceSecret } from './secret.ts'

const secret = authServiceSecret({ adminApiSecret: 'admin' })
const id = uuidv7()
const asOf = new Date('2030-01-02T03:04:05.678Z')

async function withServer<T>(
  answer: TestAnswer,
  run: (client: AuthServiceClient, server: Awaited<ReturnType<typeof startTestHttpServer>>) => Promise<T>,
  path = '',
): Promise<T> {
  const server = await startTestHttpServer(answer)
  const http = createTrustedHttp()
  try {
    return await run(createAuthServiceClient({ url: `${server.url}${path}`, secret, http }), server)
  } finally {
    await http.close()
    await server.close()
  }
}

const tenant = { id, apiSecret: 's', previousApiSecret: null, idpConsentUrl: null, idpSecret: 'i' }

test('calls are what the contract says, signed over method, path and body, with the time of what they say', async () => {
  for (const prefix of ['', '/inside/'])
    await withServer(
      () => ({ status: 204 }),
      async (client, server) => {
        const answers = [
          await client.putTenant(tenant, asOf),
          await client.patchTenant(id, { idpSecret: null }, asOf),
          await client.deleteTenant(id, new Date(0), asOf),
          await client.forgetTenant(id, asOf),
        ]
        assert.deepEqual(answers, [true, true, true, true])
        const base = prefix.replace(/\/$/, '')
        assert.deepEqual(
          server.requests.map(({ method, path, body }) => [method, path, JSON.parse(body)]),
          [
            ['POST', `${base}/tenant`, tenant],
            ['PATCH', `${base}/tenant/${id}`, { idpSecret: null }],
            ['DELETE', `${base}/tenant/${id}`, { deletedAt: '1970-01-01T00:00:00.000Z' }],
            ['DELETE', `${base}/tenant/${id}`, { deletedAt: asOf.toISOString(), forget: true }],
          ],
        )
        for (const { method, path, body, headers } of server.requests) {
          const signature = parseHmacSignature(headers.signature)
          assert.ok(signature)
          assert.equal(signature.timestampMs, asOf.getTime())
          assert.ok(verifyHmacDigest(signature, { secret, body: { method, path, body: JSON.parse(body) } }))
        }
      },
      prefix,
    )
})

test('404 is an answer; everything else that is not 204 is a fault, retryable only where the server is away', async () => {
  for (const [status, expected] of [
    [404, false],
    [500, { code: 'auth_unavailable', retryable: true }],
    [503, { code: 'auth_unavailable', retryable: true }],
    [429, { code: 'auth_unavailable', retryable: true }],
    [400, { code: 'auth_refused', retryable: false }],
    [401, { code: 'auth_refused', retryable: false }],
    [200, { code: 'auth_refused', retryable: false }],
  ] as const)
    await withServer(
      () => ({ status }),
      async (client) => {
        const call = client.putTenant(tenant, asOf)
        if (expected === false) assert.equal(await call, false)
        else
          await assert.rejects(call, (error) => {
            assert.ok(error instanceof Fault)
            assert.deepEqual({ code: error.code, retryable: error.retryable }, expected)
            assert.ok(!error.message.includes(tenant.apiSecret + tenant.idpSecret))
            return true
          })
      },
    )
  await withServer(
    () => Promise.reject(new Error('no answer')),
    (client) =>
      assert.rejects(client.putTenant(tenant, asOf), { code: 'connection_failed', retryable: true }),
  )
})

test('the secret of its own wins; the derived one does not give the other away', () => {
  assert.equal(authServiceSecret({ adminApiSecret: 'a', authServiceApiSecret: 'own' }), 'own')
  assert.match(secret, /^[0-9a-f]{64}$/)
  assert.notEqual(secret, authServiceSecret({ adminApiSecret: 'b' }))
})
