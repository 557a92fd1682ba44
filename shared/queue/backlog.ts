import { type Logger, messageOf } from '../platform/index.ts'
import type { Broker } from './drivers/model.ts'
import type { QueueName } from './model.ts'

/**
 * While nobody takes messages, theirs is not the time to send more about the same jobs: not while so many wait at the broker, for each
 * job that is on its way and beyond.
 */
const WAITING_MAX = { perJob: 2, beyond: 1_000 }
/** The broker is asked how many wait at most so often. */
export const DEPTH_MS = 500

/** Knows when there are more messages at a broker than jobs explain. */
export interface Backlog {
  onTheirWay: Map<QueueName, number>
  isTooLong(): Promise<boolean>
}

export function watchBacklog(broker: Pick<Broker, 'depth'>, log: Logger): Backlog {
  const onTheirWay = new Map<QueueName, number>()
  let waiting = 0
  let askedAt = Number.NEGATIVE_INFINITY
  return {
    onTheirWay,
    async isTooLong() {
      if (performance.now() - askedAt > DEPTH_MS) {
        askedAt = performance.now()
        // Without an answer messages go on.
        waiting = await broker.depth().then(
          (depth) => depth.waiting,
          (error: unknown) => {
            log.debug({ reason: messageOf(error) }, 'the broker does not say how many messages wait')
            return 0
          },
        )
      }
      const explained = [...onTheirWay.values()].reduce((sum, count) => sum + count, 0)
      return waiting > WAITING_MAX.perJob * explained + WAITING_MAX.beyond
    },
  }
}
