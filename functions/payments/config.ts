import {
  brokerVariables,
  nodeConfig,
  nodeConfigChecks,
  redisChecks,
  resourceVariables,
  sqsVariables,
} from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'
import { brokerProblems } from '../../shared/queue/index.ts'

/** The payments worker's variables: the node's, and its own. */
export const paymentsConfig = {
  ...nodeConfig,
  ...brokerVariables,
  sqsPaymentsQueueUrl: sqsVariables.sqsPaymentsQueueUrl,
  sqsPaymentsDeadLetterQueueUrl: sqsVariables.sqsPaymentsDeadLetterQueueUrl,
  outgoingPaymentWorkers: resourceVariables.outgoingPaymentWorkers,
  outgoingPaymentWorkerIdleMs: resourceVariables.outgoingPaymentWorkerIdleMs,
  incomingPaymentWorkers: resourceVariables.incomingPaymentWorkers,
  incomingPaymentWorkerIdleMs: resourceVariables.incomingPaymentWorkerIdleMs,
  unfundedPaymentTimeoutMs: resourceVariables.unfundedPaymentTimeoutMs,
  walletAddressWorkers: resourceVariables.walletAddressWorkers,
  walletAddressWorkerIdleMs: resourceVariables.walletAddressWorkerIdleMs,
  withdrawalThrottleDelayMs: resourceVariables.withdrawalThrottleDelayMs,
}

export type PaymentsConfig = ConfigOf<typeof paymentsConfig>

/** Throws `ConfigError` with every problem at once. */
export const loadPaymentsConfig = (env: Environment): PaymentsConfig =>
  loadConfig(paymentsConfig, env, (config) => [
    ...nodeConfigChecks(config),
    ...redisChecks(config),
    ...brokerProblems(config, ['payments']),
  ])
