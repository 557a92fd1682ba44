import { createNodeContext } from '../../shared/node-context/index.ts'
import { present, type StartDeployable } from '../../shared/platform/index.ts'
import { loadPaymentsConfig } from './config.ts'
import { observePayments } from './observe-payments.ts'
import { consumePayments } from './worker.ts'

/** Starts the worker that sends outgoing payments, closes incoming ones and announces what wallet addresses got. It listens on METRICS_PORT only. */
export const startPayments: StartDeployable = async (env) => {
  const config = loadPaymentsConfig(env)
  const node = await createNodeContext(config, { name: 'payments', environment: env })
  const ports = await node.telemetry.listen(node.ready)
  const worker = consumePayments(
    { ...node, onPaymentEnded: observePayments(node) },
    {
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
    },
  )
  return {
    name: 'payments',
    ports,
    async close() {
      await worker.close()
      await node.close()
    },
  }
}
