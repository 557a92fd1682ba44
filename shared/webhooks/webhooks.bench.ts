// Webhooks delivered per second to an endpoint that answers at once, and to one that takes its time.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createDb,
  createListener,
  createSecretBox,
  createTrustedHttp,
  deriveId,
  silentLogger,
  sql,
  systemClock,
} from '../platform/index.ts'
import { consumeJobs } from '../queue/index.ts'
import { createTestDatabase, startTestHttpServer, waitFor } from '../testing/index.ts'
import { deliverWebhook, loadDelivery, recordEvent } from './index.ts'

const EVENTS = 5_000
const IN_FLIGHT = 16

const database = await createTestDatabase('resources')
const { connectionString } = database
const db = createDb({ connectionString })
const listener = createListener({ connectionString, log: silentLogger })
const http = createTrustedHttp()
const tenantId = deriveId('tenant')
await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)

async function measure(answerMs: number, events: number): Promise<void> {
  const endpoint = await startTestHttpServer(() => (answerMs > 0 ? sleep(answerMs) : undefined))
  const recipient = { url: endpoint.url, secret: 'secret', signatureVersion: 1, timeoutMs: 2_000 }
  const recordedAt = performance.now()
  await db.tx(async (tx) => {
    for (let index = 0; index < events; index++)
      await recordEvent(tx, { tenantId, type: 'wallet_address.not_found', data: { walletAddressUrl: 'x' } })
  })
  const startedAt = performance.now()
  const secretBox = createSecretBox('a secret')
  const recipients = async () => recipient
  const ctx = {
    db,
    clock: systemClock,
    trustedHttp: http,
    guardedHttp: http,
    log: silentLogger,
    secretBox,
    recipients,
  }
  const consumer = consumeJobs(
    { db, listener, clock: systemClock, log: silentLogger },
    {
      queue: 'webhooks',
      load: loadDelivery,
      handler: (job) => deliverWebhook(ctx, job),
      concurrency: 256,
      shares: { own: 0, most: IN_FLIGHT, common: 256 },
      idleMs: 200,
      leaseSeconds: 10,
    },
  )
  await waitFor(() => endpoint.requests.length >= events, 120_000)
  const seconds = (performance.now() - startedAt) / 1000
  await consumer.close()
  await endpoint.close()
  console.log(
    `answers after ${answerMs} ms: ${Math.round(events / seconds)} deliveries/s, ${IN_FLIGHT} in flight; recorded at ${Math.round((events / (startedAt - recordedAt)) * 1000)}/s`,
  )
}

await measure(0, EVENTS)
await measure(20, EVENTS / 5)
await http.close()
await listener.close()
await db.close()
await database.drop()
