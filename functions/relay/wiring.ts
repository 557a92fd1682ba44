import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { assert, type OpenDeployable, orClose, type StartDeployable } from '../../shared/platform/index.ts'
import {
  type Broker,
  brokerQueues,
  carriedBy,
  openBroker,
  publishDueJobs,
  type RelayOptions,
  relayJobs,
} from '../../shared/queue/index.ts'
import type { OpenTasksOf, Task } from '../../shared/schedule/index.ts'
import { loadRelayConfig } from './config.ts'
import { functionWindow } from './windows.ts'

/** Jobs are announced, and times known: this finds what an announcement missed. */
const IDLE_MS = 1_000

const maxConcurrencyOf = {
  webhooks: 'sqsWebhooksMaxConcurrency',
  payments: 'sqsPaymentsMaxConcurrency',
} as const

export interface OpenRelay {
  node: NodeContext
  options: RelayOptions
  /** By the clock, where no process runs all the time. */
  tasks: readonly Task[]
  close(): Promise<void>
}

export const openRelay: OpenDeployable<OpenRelay> = async (env, host) => {
  const config = loadRelayConfig(env)
  const node = await createNodeContext(config, { name: 'relay', environment: env, host })
  const brokers: Broker[] = []
  const close = async () => {
    for (const broker of brokers) await broker.close()
    await node.close()
  }
  try {
    const routes: RelayOptions['routes'][number][] = []
    for (const name of brokerQueues) {
      const broker = await openBroker(node, config, name)
      assert(broker, 'the configuration was checked')
      brokers.push(broker)
      const batches = config[maxConcurrencyOf[name]]
      for (const queue of carriedBy[name])
        routes.push({
          queue,
          broker,
          ...(config.queueDriver === 'sqs' &&
            batches !== undefined && { window: functionWindow(queue, batches) }),
        })
    }
    const options = { routes, idleMs: IDLE_MS }
    const publish: Task = {
      name: 'publish',
      everyMs: IDLE_MS,
      run: async () => {
        await publishDueJobs(node, options)
        return false
      },
    }
    return { node, options, tasks: [publish], close }
  } catch (error) {
    await close()
    throw error
  }
}

/** For whoever drives it from outside. */
export const openRelayTasks: OpenTasksOf = async (env, host) => {
  const { node, tasks, close } = await openRelay(env, host)
  return { ctx: node, tasks, close }
}

/** Starts the relay, which carries due jobs to the broker. It listens on METRICS_PORT only. */
export const startRelayProcess: StartDeployable = async (env) => {
  const { node, options, close } = await openRelay(env, 'server')
  const ports = await orClose(node.telemetry.listen(node.ready), close)
  const relay = relayJobs(node, options)
  return {
    name: 'relay',
    ports,
    async close() {
      await relay.close()
      await close()
    },
  }
}
