import { assert, type Logger, present } from '../platform/index.ts'
import { silentTelemetry, type Telemetry } from '../telemetry/index.ts'
import type { Broker } from './drivers/model.ts'
import type { BrokerQueue } from './model.ts'
import { observeBroker } from './observe-broker.ts'

/** What carries the work. The names are those of the variables' places in a deployable's configuration. */
export interface BrokerSettings {
  queueDriver: 'postgres' | 'redis' | 'sqs'
  redisUrl: string
  redisCaFile: string | undefined
  redisKeyFile: string | undefined
  redisCertFile: string | undefined
  /** Of each queue that the deployable uses. */
  sqsWebhooksQueueUrl?: string | undefined
  sqsPaymentsQueueUrl?: string | undefined
  sqsWebhooksDeadLetterQueueUrl?: string | undefined
  sqsPaymentsDeadLetterQueueUrl?: string | undefined
  awsRegion: string | undefined
  awsEndpointUrl: string | undefined
}

const streamOf = (queue: BrokerQueue) => `upesi:queue:${queue}`

const sqsUrlsOf = (queue: BrokerQueue, settings: BrokerSettings) =>
  queue === 'webhooks'
    ? { url: settings.sqsWebhooksQueueUrl, dead: settings.sqsWebhooksDeadLetterQueueUrl }
    : { url: settings.sqsPaymentsQueueUrl, dead: settings.sqsPaymentsDeadLetterQueueUrl }

/** Of the queue's URL: SQS's own names it. */
export const regionOf = (url: string): string | undefined =>
  /^https:\/\/(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?\//
    .exec(url)
    ?.slice(1)
    .find((region) => region !== undefined)

/** The broker's queue that is configured, or `undefined`: work is taken from the table itself. The caller closes it. */
export async function openBroker(
  ctx: { log: Logger; telemetry?: Telemetry },
  settings: BrokerSettings,
  queue: BrokerQueue,
): Promise<Broker | undefined> {
  const { log, telemetry = silentTelemetry } = ctx
  const broker = await connect(settings, queue, log)
  if (broker) observeBroker(telemetry, broker, queue)
  return broker
}

async function connect(
  settings: BrokerSettings,
  queue: BrokerQueue,
  log: Logger,
): Promise<Broker | undefined> {
  if (settings.queueDriver === 'postgres') return undefined
  if (settings.queueDriver === 'redis') {
    const { redisCaFile: caFile, redisKeyFile: keyFile, redisCertFile: certFile } = settings
    assert(settings.redisUrl !== 'none', 'the configuration was checked')
    // Loaded when it is needed, as the client that it is made of.
    const { createRedisBroker } = await import('./drivers/redis/index.ts')
    return await createRedisBroker({
      url: settings.redisUrl,
      stream: streamOf(queue),
      ...present({ caFile, keyFile, certFile }),
      log,
    })
  }
  const { url, dead } = sqsUrlsOf(queue, settings)
  const region = settings.awsRegion ?? regionOf(url ?? '')
  assert(url !== undefined && region !== undefined, 'the configuration was checked')
  const { createSqsBroker } = await import('./drivers/sqs/index.ts')
  return await createSqsBroker({
    queueUrl: url,
    region,
    ...present({ deadLetterQueueUrl: dead, endpoint: settings.awsEndpointUrl }),
    log,
  })
}

const isHttpUrl = (text: string): boolean => /^https?:\/\//.test(text) && URL.canParse(text)

/** What is wrong with the settings of the queues that a deployable uses. */
export function brokerProblems(settings: BrokerSettings, queues: readonly BrokerQueue[]): string[] {
  const problems: string[] = []
  if (settings.queueDriver === 'redis' && settings.redisUrl === 'none')
    problems.push('QUEUE_DRIVER=redis needs REDIS_URL: it is none')
  if (settings.queueDriver !== 'sqs') return problems
  if (settings.awsEndpointUrl !== undefined && !isHttpUrl(settings.awsEndpointUrl))
    problems.push('AWS_ENDPOINT_URL: must be a URL')
  for (const queue of queues) {
    const { url, dead } = sqsUrlsOf(queue, settings)
    const name = `SQS_${queue.toUpperCase()}`
    if (url === undefined) problems.push(`QUEUE_DRIVER=sqs needs ${name}_QUEUE_URL`)
    else if (!isHttpUrl(url)) problems.push(`${name}_QUEUE_URL: must be a URL`)
    else if (settings.awsRegion === undefined && regionOf(url) === undefined)
      problems.push(`${name}_QUEUE_URL names no region: AWS_REGION must`)
    if (dead !== undefined && !isHttpUrl(dead)) problems.push(`${name}_DEAD_LETTER_QUEUE_URL: must be a URL`)
  }
  return problems
}
