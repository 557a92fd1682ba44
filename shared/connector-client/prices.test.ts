import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rate } from '../money/index.ts'
import { createTrustedHttp, Fault, systemClock } from '../platform/index.ts'
import { startTestHttpServer } from '../testing/index.ts'
import { createConnectorClient } from './client.ts'

const input = { tenantId: 'tenant-a', sourceAssetCode: 'USD', destinationAssetCode: 'EUR' }

test('who asks for one price in the same moment asks once; what was answered is not kept', async (t) => {
  let price = 9
  let status = 200
  const server = await startTestHttpServer(async () => {
    const body = JSON.stringify({ result: { numerator: String(price), denominator: '10' } })
    await new Promise((resolve) => setTimeout(resolve, 20))
    return { status, body: status === 200 ? body : '{"error":{"code":"internal_error","message":"away"}}' }
  })
  const http = createTrustedHttp()
  t.after(async () => {
    await http.close()
    await server.close()
  })
  const client = createConnectorClient({ url: server.url, secret: 'secret', http, clock: systemClock })

  const others = [
    { ...input, tenantId: 'tenant-b' },
    { ...input, destinationAssetCode: 'KES' },
    { ...input, sourceAssetCode: 'EUR', destinationAssetCode: 'USD' },
  ]
  const prices = await Promise.all([input, input, input, ...others].map(client.getPrice))
  assert.deepEqual(
    prices,
    prices.map(() => rate(9n, 10n)),
  )
  assert.equal(server.requests.length, 1 + others.length)

  price = 8
  assert.deepEqual(await client.getPrice(input), rate(8n, 10n))
  status = 500
  const isAway = (error: unknown) => error instanceof Fault && error.code === 'connector_unavailable'
  await Promise.all([1, 2].map(() => assert.rejects(client.getPrice(input), isAway)))
  status = 200
  assert.deepEqual(await client.getPrice(input), rate(8n, 10n))
  assert.equal(server.requests.length, 1 + others.length + 3)
})
