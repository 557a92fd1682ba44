import type { QueueName, RelayWindow } from '../../shared/queue/index.ts'

/** Messages in one batch: the event source's batch size. */
const BATCH_MAX = 10
/** What ends within this time earns its tenant more, as with workers that poll. */
const PROMPT_MS = 1_000
/** Of all that can be worked on at the same time, for one tenant. */
const MOST = 0.75

/**
 * What may be in hand of a queue that invokes a function, in `batches` at the same time. One message that hangs holds its batch, and with
 * one message in each a tenant holds as many batches as it has jobs in hand: so of deliveries, which may hang for as long as a tenant's
 * time limit, its share is one of batches, and more is earned by answers that come soon. A payment's run is a slice that ends by itself.
 */
export const functionWindow = (queue: QueueName, batches: number): RelayWindow => ({
  own: 1,
  most: Math.max(Math.floor(batches * BATCH_MAX * MOST), 1),
  countsRunning: true,
  ...(queue === 'webhooks' ? { common: batches, promptMs: PROMPT_MS } : { common: batches * BATCH_MAX }),
})
