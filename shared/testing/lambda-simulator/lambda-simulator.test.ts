import assert from 'node:assert/strict'
import { request } from 'node:http'
import { afterEach, test } from 'node:test'
import {
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { ALBEvent, APIGatewayProxyEventV2, SQSEvent } from 'aws-lambda'
import { type FauxqsServer, startFauxqs } from 'fauxqs'
import { waitFor } from '../wait-for.ts'
import {
  type GatewayOptions,
  type LambdaHandler,
  startEventSourceMapping,
  startLambdaGateway,
} from './index.ts'

const toClose: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
})

async function gateway(handler: LambdaHandler, options: GatewayOptions) {
  const started = await startLambdaGateway(handler, options)
  toClose.push(started.close)
  return started
}

/** fetch would tidy up the path, and knows no repeated headers. */
const send = (url: string, path: string, headers: Record<string, string | string[]>, body?: Buffer) =>
  new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>(
    (resolve, reject) => {
      const { hostname, port } = new URL(url)
      const sent = request({ hostname, port, path, method: body ? 'POST' : 'GET', headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        )
      })
      sent.on('error', reject)
      sent.end(body)
    },
  )

test('an HTTP API: raw path and query, headers joined, cookies apart, the public host', async () => {
  const events: APIGatewayProxyEventV2[] = []
  const { url } = await gateway(
    async (event: APIGatewayProxyEventV2) => {
      events.push(event)
      return { statusCode: 201, headers: { 'x-one': '1' }, cookies: ['a=1; Path=/', 'b=2'], body: 'made' }
    },
    { front: 'httpApi', publicUrl: 'https://wallet.example' },
  )
  const answer = await send(url, '/a%2Fb//c?x=1&x=2&y=%20z', {
    'X-Twice': ['1', '2'],
    Cookie: 'k=v; l=w',
    'User-Agent': 'test',
  })
  const [event] = events
  assert.equal(event?.rawPath, '/a%2Fb//c')
  assert.equal(event?.rawQueryString, 'x=1&x=2&y=%20z')
  assert.deepEqual(event?.queryStringParameters, { x: '1,2', y: ' z' })
  assert.equal(event?.headers['x-twice'], '1,2')
  assert.deepEqual(event?.cookies, ['k=v', 'l=w'])
  assert.equal(event?.headers.cookie, undefined)
  assert.equal(event?.headers.host, 'wallet.example')
  assert.equal(event?.headers['x-forwarded-proto'], 'https')
  assert.equal(event?.requestContext.domainName, 'wallet.example')
  assert.equal(event?.requestContext.http.sourceIp, '127.0.0.1')
  assert.equal(event?.body, undefined)
  assert.equal(answer.status, 201)
  assert.equal(answer.headers['x-one'], '1')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1; Path=/', 'b=2'])
  assert.equal(answer.body.toString(), 'made')
})

test('bodies: JSON as text, other bytes as base64, both ways', async () => {
  const events: APIGatewayProxyEventV2[] = []
  const { url } = await gateway(
    async (event: APIGatewayProxyEventV2) => {
      events.push(event)
      return { statusCode: 200, body: event.body, isBase64Encoded: event.isBase64Encoded }
    },
    { front: 'httpApi' },
  )
  const json = Buffer.from('{"a":"ü"}')
  const bytes = Buffer.from([0, 255, 1, 254])
  const asJson = await send(url, '/', { 'Content-Type': 'application/json; charset=utf-8' }, json)
  const asBytes = await send(url, '/', { 'Content-Type': 'application/octet-stream' }, bytes)
  assert.deepEqual(
    events.map(({ isBase64Encoded }) => isBase64Encoded),
    [false, true],
  )
  assert.deepEqual(asJson.body, json)
  assert.deepEqual(asBytes.body, bytes)
})

test('a load balancer: every value of a header, queries as they are written', async () => {
  const events: ALBEvent[] = []
  const { url } = await gateway(
    async (event: ALBEvent) => {
      events.push(event)
      return { statusCode: 200, multiValueHeaders: { 'set-cookie': ['a=1', 'b=2'] }, body: '' }
    },
    { front: 'alb' },
  )
  const answer = await send(url, '/graphql?q=%7B1%7D&q=2', { 'X-Twice': ['1', '2'] })
  assert.equal(events[0]?.path, '/graphql')
  assert.deepEqual(events[0]?.multiValueQueryStringParameters, { q: ['%7B1%7D', '2'] })
  assert.deepEqual(events[0]?.multiValueHeaders?.['x-twice'], ['1', '2'])
  assert.ok(events[0]?.requestContext.elb.targetGroupArn)
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
})

for (const [front, failed, timedOut] of [
  ['httpApi', 500, 503],
  ['alb', 502, 502],
] as const)
  test(`${front}: what a function that throws, answers nonsense or takes too long looks like`, async () => {
    const { url } = await gateway(
      async (event: APIGatewayProxyEventV2 & ALBEvent) => {
        const path = event.rawPath ?? event.path
        if (path === '/throws') throw new Error('a secret of the function')
        return path === '/hangs' ? new Promise(() => undefined) : { status: 200 }
      },
      { front, timeoutMs: 50 },
    )
    const throwing = await send(url, '/throws', {})
    assert.equal(throwing.status, failed)
    assert.doesNotMatch(throwing.body.toString(), /secret/)
    assert.equal((await send(url, '/nonsense', {})).status, failed)
    assert.equal((await send(url, '/hangs', {})).status, timedOut)
  })

async function queue(visibilitySeconds: number) {
  const server: FauxqsServer = await startFauxqs({ port: 0, logger: false })
  const client = new SQSClient({
    endpoint: server.address,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  const { queueUrl } = server.createQueue('work', {
    attributes: { VisibilityTimeout: String(visibilitySeconds) },
  })
  toClose.push(async () => {
    client.destroy()
    await server.stop()
  })
  const left = () => {
    const messages = server.inspectQueue('work')?.messages
    return (messages?.ready.length ?? 0) + (messages?.inflight.length ?? 0)
  }
  return { client, queueUrl, left }
}

test('a queue: what did not fail is deleted, what failed comes again when its visibility timeout is over', async () => {
  const { client, queueUrl, left } = await queue(1)
  const seen: [body: string, count: string | undefined][] = []
  await client.send(
    new SendMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: ['good', 'bad', 'good too'].map((text, index) => ({
        Id: String(index),
        MessageBody: text,
        MessageAttributes: { trace: { DataType: 'String', StringValue: `of ${text}` } },
      })),
    }),
  )
  const mapping = startEventSourceMapping(
    async ({ Records }: SQSEvent) => {
      for (const { body, attributes, messageAttributes } of Records) {
        assert.equal(messageAttributes.trace?.stringValue, `of ${body}`)
        seen.push([body, attributes.ApproximateReceiveCount])
      }
      return {
        batchItemFailures: Records.filter(
          ({ body, attributes }) => body === 'bad' && attributes.ApproximateReceiveCount === '1',
        ).map(({ messageId }) => ({ itemIdentifier: messageId })),
      }
    },
    { client, queueUrl },
  )
  toClose.push(mapping.close)
  await waitFor(() => seen.length === 4 && left() === 0)
  assert.deepEqual(
    seen.filter(([body]) => body === 'bad'),
    [
      ['bad', '1'],
      ['bad', '2'],
    ],
  )
})

for (const [name, handler] of [
  ['throws', async () => Promise.reject(new Error('away'))],
  ['names what was not in the batch', async () => ({ batchItemFailures: [{ itemIdentifier: 'other' }] })],
  ['runs out of time', () => new Promise(() => undefined)],
] as const)
  test(`a queue: a function that ${name} has failed all of the batch`, async () => {
    const { client, queueUrl, left } = await queue(60)
    const batches: number[] = []
    await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: 'x' }))
    const mapping = startEventSourceMapping(handler, {
      client,
      queueUrl,
      timeoutMs: 100,
      onBatch: ({ failedIds }) => batches.push(failedIds.length),
    })
    await waitFor(() => batches.length === 1)
    await mapping.close()
    assert.deepEqual(batches, [1])
    assert.equal(left(), 1)
    const again = await client.send(new ReceiveMessageCommand({ QueueUrl: queueUrl }))
    assert.equal(again.Messages, undefined, 'and it is not to be seen before its time')
  })
