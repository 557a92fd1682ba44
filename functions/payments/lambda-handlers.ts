import { createWorkerHandlers, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import { type Environment, present } from '../../shared/platform/index.ts'
import { openPayments } from './wiring.ts'
import { paymentsBatchTerms, paymentsWork } from './worker.ts'

/** Sends outgoing payments and closes incoming ones that messages of SQS name, and does what comes by the clock. */
export const createPaymentsHandlers = (env: Environment) =>
  createWorkerHandlers(async () => {
    const { node, ctx, broker, tasks } = await openPayments(await withAwsSecrets(env), 'sandbox')
    const work = paymentsWork(ctx).map((queue) => ({ ...queue, ...paymentsBatchTerms }))
    return { ctx, work, tasks, invocation: node.invocation, ...present({ broker }) }
  })
