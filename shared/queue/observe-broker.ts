import type { Telemetry } from '../telemetry/index.ts'
import type { Broker, BrokerDepth } from './drivers/model.ts'
import type { BrokerQueue } from './model.ts'

/** However many look, the broker is asked this often at most. */
const KEPT_MS = 5_000

/** Shows what is in a broker's queue, dead letters too, wherever somebody uses it. */
export function observeBroker(telemetry: Telemetry, broker: Pick<Broker, 'depth'>, queue: BrokerQueue): void {
  let read: { depth: Promise<BrokerDepth>; atMs: number } | undefined
  telemetry.instruments.observe('upesi_queue_messages', async () => {
    const nowMs = performance.now()
    if (!read || nowMs - read.atMs > KEPT_MS) read = { depth: broker.depth(), atMs: nowMs }
    const { waiting, inFlight, dead } = await read.depth.catch((error: unknown) => {
      read = undefined
      throw error
    })
    return Object.entries({ waiting, in_flight: inFlight, dead }).map(([state, value]) => ({
      value,
      labels: { queue, state },
    }))
  })
}
