import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { withAwsSecrets } from './secrets.ts'

const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:upesi-AbCdEf'
const secrets: Record<string, string> = {
  [ARN]: JSON.stringify({ password: 'p#1', port: 5432, nested: {} }),
  [`${ARN}-plain`]: 'plain text',
}

// What answers GetSecretValue in these tests; the SDK is the real one.
let stub: Server
let url: string
const asked: string[] = []
let failures = 0
before(async () => {
  stub = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { SecretId: id } = JSON.parse(Buffer.concat(chunks).toString()) as { SecretId: string }
      asked.push(id)
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      if (failures > 0) {
        failures--
        response.writeHead(500).end(JSON.stringify({ __type: 'InternalServiceError' }))
        return
      }
      const found = secrets[id]
      if (found === undefined || request.headers['x-amz-target'] !== 'secretsmanager.GetSecretValue')
        response
          .writeHead(400)
          .end(JSON.stringify({ __type: 'ResourceNotFoundException', message: 'who asked' }))
      else response.end(JSON.stringify({ ARN: id, SecretString: found }))
    })
  })
  await new Promise<void>((resolve) => stub.listen(0, '127.0.0.1', resolve))
  const address = stub.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
})
after(() => {
  stub.close()
  stub.closeAllConnections()
})

const read = (places: unknown, more: Record<string, string> = {}) => {
  asked.length = 0
  return withAwsSecrets({
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'key',
    AWS_SECRETS: typeof places === 'string' ? places : JSON.stringify(places),
    ...more,
  })
}

describe('AWS_SECRETS', () => {
  test('variables get the text of a secret or a member of it, and each secret is read once', async () => {
    const env = await read({ PASSWORD: `${ARN}#password`, PORT: `${ARN}#port`, TEXT: `${ARN}-plain` })
    assert.deepEqual([env.PASSWORD, env.PORT, env.TEXT], ['p#1', '5432', 'plain text'])
    assert.deepEqual(asked.sort(), [ARN, `${ARN}-plain`])
    assert.equal(env.AWS_REGION, 'eu-west-1')
  })

  test('what is set already wins and is not asked for', async () => {
    const env = await read({ PASSWORD: `${ARN}#password` }, { PASSWORD: 'set' })
    assert.equal(env.PASSWORD, 'set')
    assert.deepEqual(asked, [])
    const none = { A: 'b' }
    assert.equal(await withAwsSecrets(none), none)
  })

  test('a server that fails for a moment is asked again', async () => {
    failures = 1
    assert.equal((await read({ TEXT: `${ARN}-plain` })).TEXT, 'plain text')
    assert.equal(asked.length, 2)
  })

  test('everything that cannot be read is said at once, and no value with it', async () => {
    await assert.rejects(
      read({ A: `${ARN}#nobody`, B: `${ARN}#nested`, C: `${ARN}-gone`, D: `${ARN}-plain#x` }),
      (error) => {
        assert.ok(error instanceof Error)
        assert.match(error.message, /A: the secret \S+ has no member "nobody"/)
        assert.match(error.message, /B: .*"nested"/)
        assert.match(error.message, /C: .*cannot be read \(ResourceNotFoundException\)/)
        assert.match(error.message, /D: .*"x"/)
        assert.doesNotMatch(error.message, /p#1|plain text|who asked/)
        return true
      },
    )
  })

  test('malformed ones are refused before anything is asked', async () => {
    const wrong = ['{', '[]', '"x"', '{"A-B":"arn"}', '{"A":1}', '{"A":""}', '{"A":"arn#"}', '{"A":"#x"}']
    for (const text of wrong) await assert.rejects(read(text), { name: 'ConfigError' }, text)
    assert.deepEqual(asked, [])
  })
})
