import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHttpApp } from './http-app.ts'
import { silentLogger } from './log.ts'

const forwarded = {
  'x-forwarded-for': '203.0.113.1, 198.51.100.7',
  'x-forwarded-host': 'bank.example',
  'x-forwarded-proto': 'https',
}
const sees = async (trustProxy: boolean, headers: Record<string, string>) => {
  const app = await createHttpApp({ log: silentLogger, trustProxy })
  app.get('/', async ({ ip, host, protocol }) => ({ ip, host, protocol }))
  const answer = await app.inject({ url: '/', remoteAddress: '10.0.0.1', headers })
  await app.close()
  return answer.json() as { ip: string; host: string; protocol: string }
}

test('behind a proxy that is trusted, the source is who connected to the proxy, not who the client says it is', async () => {
  assert.deepEqual(await sees(true, forwarded), {
    ip: '198.51.100.7',
    host: 'bank.example',
    protocol: 'https',
  })
  for (const invented of ['203.0.113.9', '203.0.113.9, 203.0.113.10', '198.51.100.8, 203.0.113.9'])
    assert.equal(
      (await sees(true, { ...forwarded, 'x-forwarded-for': `${invented}, 198.51.100.7` })).ip,
      '198.51.100.7',
      invented,
    )
  assert.equal((await sees(true, {})).ip, '10.0.0.1')
})

test('otherwise nobody says anything for anybody', async () => {
  assert.deepEqual(await sees(false, { ...forwarded, host: 'localhost' }), {
    ip: '10.0.0.1',
    host: 'localhost',
    protocol: 'http',
  })
})

test('a path that cannot be decoded is a bad request, in words that do not say what made the server', async () => {
  const app = await createHttpApp({ log: silentLogger })
  const answer = await app.inject({ url: '/%zz' })
  await app.close()
  assert.deepEqual(answer.json(), { error: { code: '400', description: 'Bad Request' } })
  assert.equal(answer.statusCode, 400)
})
