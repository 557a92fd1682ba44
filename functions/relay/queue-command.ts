import {
  ConfigError,
  createLogger,
  type Environment,
  messageOf,
  withEnvironmentFile,
} from '../../shared/platform/index.ts'
import { type Broker, type BrokerQueue, brokerQueues, openBroker } from '../../shared/queue/index.ts'
import { loadRelayConfig } from './config.ts'

const LIMIT = { default: 100, max: 10_000 }

export const QUEUE_USAGE =
  'usage: status | dead [webhooks|payments] [limit] | redrive [webhooks|payments] [limit]'

/** What an operator may ask of the broker's queues. */
export interface QueueOrder {
  verb: 'status' | 'dead' | 'redrive'
  queues: readonly BrokerQueue[]
  limit: number
}

/** `undefined` for what is no order. */
export function parseQueueOrder(args: readonly string[]): QueueOrder | undefined {
  const [verb, ...rest] = args
  if (verb !== 'status' && verb !== 'dead' && verb !== 'redrive') return undefined
  const named = brokerQueues.filter((queue) => queue === rest[0])
  const [limitText, ...more] = named.length > 0 ? rest.slice(1) : rest
  const limit = limitText === undefined ? LIMIT.default : Number(limitText)
  const isLimit = Number.isInteger(limit) && limit >= 1 && limit <= LIMIT.max
  if (more.length > 0 || !isLimit || (verb === 'status' && limitText !== undefined)) return undefined
  return { verb, queues: named.length > 0 ? named : brokerQueues, limit }
}

/** One line for each queue, or for each dead letter. */
async function* answers(order: QueueOrder, queue: BrokerQueue, broker: Broker): AsyncGenerator<object> {
  if (order.verb === 'status') yield { queue, ...(await broker.depth()) }
  else if (order.verb === 'redrive') yield { queue, redriven: await broker.redrive(order.limit) }
  else for (const letter of await broker.listDeadLetters(order.limit)) yield { queue, ...letter }
}

/**
 * The main of `queue.ts`: what is in the broker's queues, what it gave up, and once more with that. Prints JSON, a line each; exit code 1
 * when something failed. A message that is put back names its job, and changes nothing when the job has ended since.
 */
export async function runQueueCommand(
  env: Environment,
  args: readonly string[],
  print: (line: string) => void = console.log,
): Promise<void> {
  const order = parseQueueOrder(args)
  if (!order) {
    console.error(QUEUE_USAGE)
    process.exitCode = 1
    return
  }
  try {
    const config = loadRelayConfig(withEnvironmentFile(env))
    const log = createLogger({ level: config.logLevel, name: 'queue', destination: process.stderr })
    for (const queue of order.queues) {
      const broker = await openBroker({ log }, config, queue)
      if (!broker) throw new ConfigError(['QUEUE_DRIVER must be redis or sqs'])
      try {
        for await (const answer of answers(order, queue, broker)) print(JSON.stringify(answer))
      } finally {
        await broker.close()
      }
    }
  } catch (error) {
    console.error(error instanceof ConfigError ? error.message : messageOf(error))
    process.exitCode = 1
  }
}
