import { createWorkerHandlers, withAwsSecrets } from '../../shared/aws-lambda/index.ts'
import { type Environment, present } from '../../shared/platform/index.ts'
import { openWebhooks } from './wiring.ts'
import { webhooksBatchTerms, webhooksWork } from './worker.ts'

/** Delivers webhooks that messages of SQS name, and does what comes by the clock. */
export const createWebhooksHandlers = (env: Environment) =>
  createWorkerHandlers(async () => {
    const { node, ctx, broker, tasks } = await openWebhooks(await withAwsSecrets(env), 'sandbox')
    const work = [{ ...webhooksWork(ctx), ...webhooksBatchTerms }]
    return { ctx, work, tasks, invocation: node.invocation, ...present({ broker }) }
  })
