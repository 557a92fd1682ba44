import { createNodeContext, type NodeContext } from '../../shared/node-context/index.ts'
import { type OpenDeployable, orClose, present, type StartDeployable } from '../../shared/platform/index.ts'
import { type Broker, openBroker } from '../../shared/queue/index.ts'
import { type OpenTasksOf, startTasks, type Task } from '../../shared/schedule/index.ts'
import { loadPaymentsConfig, type PaymentsConfig } from './config.ts'
import { observePayments } from './observe-payments.ts'
import { paymentsTasks } from './tasks.ts'
import { consumePayments, type PaymentsContext, type PaymentsOptions } from './worker.ts'

/** The worker's context. Nothing works on jobs yet. */
export interface OpenPayments {
  config: PaymentsConfig
  node: NodeContext
  /** What {@link paymentsWork} needs. */
  ctx: PaymentsContext
  options: PaymentsOptions
  /** What carries the work here; absent: it is taken from the database itself. */
  broker?: Broker
  /** By the clock. */
  tasks: readonly Task[]
  close(): Promise<void>
}

export const openPayments: OpenDeployable<OpenPayments> = async (env, host) => {
  const config = loadPaymentsConfig(env)
  const node = await createNodeContext(config, { name: 'payments', environment: env, host, keepsPlans: true })
  const ctx = { ...node, onPaymentEnded: observePayments(node) }
  const options = {
    outgoingWorkers: config.outgoingPaymentWorkers,
    outgoingIdleMs: config.outgoingPaymentWorkerIdleMs,
    incomingWorkers: config.incomingPaymentWorkers,
    incomingIdleMs: config.incomingPaymentWorkerIdleMs,
    walletAddressWorkers: config.walletAddressWorkers,
    walletAddressIdleMs: config.walletAddressWorkerIdleMs,
    ...present({
      unfundedPaymentTimeoutMs: config.unfundedPaymentTimeoutMs,
      withdrawalThrottleDelayMs: config.withdrawalThrottleDelayMs,
    }),
  }
  const broker = await orClose(openBroker(node, config, 'payments'), node.close)
  return {
    config,
    node,
    ctx,
    options,
    ...present({ broker }),
    tasks: paymentsTasks(ctx, options),
    async close() {
      await broker?.close()
      await node.close()
    },
  }
}

/** For whoever drives them from outside. */
export const openPaymentsTasks: OpenTasksOf = async (env, host) => {
  const { node, tasks, close } = await openPayments(env, host)
  return { ctx: node, tasks, close }
}

/** Starts the worker that sends outgoing payments, closes incoming ones and announces what wallet addresses got. It listens on METRICS_PORT only. */
export const startPayments: StartDeployable = async (env) => {
  const { node, ctx, options, broker, tasks, close: closeAll } = await openPayments(env, 'server')
  const ports = await orClose(node.telemetry.listen(node.ready), closeAll)
  const worker = consumePayments({ ...ctx, ...present({ broker }) }, options)
  const schedule = startTasks(node, tasks)
  return {
    name: 'payments',
    ports,
    async close() {
      await Promise.all([worker.close(), schedule.close()])
      await closeAll()
    },
  }
}
