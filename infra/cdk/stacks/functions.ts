import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda'
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources'
import { Stack, type StackProps } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { LAMBDA_TIMEOUT_SECONDS } from '../../../localstack/queues.ts'
import { batchesAtOnce } from '../batches.ts'
import { reservedFor, type UpesiConfig } from '../config.ts'
import { environmentOf, type Surroundings } from '../environment.ts'
import { type LambdaFunction, lambdaFunctions } from '../roles.ts'
import { type ComputeContext, createFunction } from './compute.ts'
import { createPrivateFront, type PrivateFront } from './private-front.ts'
import { createPublicFront, type PublicFront } from './public-front.ts'
import type { QueuesStack } from './queues.ts'
import { createSchedules, type Schedules } from './schedules.ts'

const BATCH_SIZE = 10
const TASK_TIMEOUT_SECONDS = 120

/** Those that this installation has: workers may be containers, and auto-peering is for those who ask for it. */
export const functionsOf = (config: UpesiConfig): LambdaFunction[] =>
  lambdaFunctions.filter(({ role, trigger }) => {
    if (role === 'auto-peering') return config.urls.autoPeering !== undefined
    if (role === 'relay') return config.queue !== 'postgres'
    return trigger.kind !== 'queue' || config.workers === 'lambda'
  })

const timeoutOf = ({ trigger }: LambdaFunction): { timeoutSeconds?: number } =>
  trigger.kind === 'queue'
    ? { timeoutSeconds: LAMBDA_TIMEOUT_SECONDS }
    : trigger.kind === 'tasks'
      ? { timeoutSeconds: TASK_TIMEOUT_SECONDS }
      : {}

/** Of the authorization server a function has one listener, and builds no other. */
const listenerOf = ({ role, handler }: LambdaFunction): Record<string, string> =>
  role === 'auth' && handler !== 'task' ? { AUTH_LISTENERS: handler } : {}

/** Every function with what invokes it: HTTP APIs, the private load balancer, queues, schedules. */
export class FunctionsStack extends Stack {
  readonly functions: ReadonlyMap<string, Lambda>
  readonly publicFront: PublicFront
  readonly privateFront: PrivateFront
  readonly schedules: Schedules
  readonly #config: UpesiConfig

  constructor(
    scope: Construct,
    id: string,
    props: StackProps & ComputeContext & { around: Surroundings; queues?: QueuesStack },
  ) {
    super(scope, id, props)
    const { config, network, queues } = props
    this.#config = config
    this.privateFront = createPrivateFront(this, { config, network })
    const around = { ...props.around, privateHost: this.privateFront.host }
    const made = functionsOf(config).map((definition) => {
      const environment = environmentOf(definition.role, 'lambda', config, around)
      const fn = createFunction(this, props, {
        ...definition,
        ...timeoutOf(definition),
        environment: { ...environment, plain: { ...environment.plain, ...listenerOf(definition) } },
        group: network.groups[definition.role],
      })
      return { definition, fn }
    })
    for (const { definition, fn } of made) {
      const { trigger } = definition
      if (trigger.kind === 'private') this.privateFront.add(trigger.listener, fn)
      if (trigger.kind === 'queue' && queues) this.#consume(queues, trigger.queue, fn)
      if (definition.role === 'relay') queues?.allowPublishing(fn)
    }
    this.functions = new Map(made.map(({ definition, fn }) => [definition.id, fn]))
    const publicFunctions = made.flatMap(({ definition: { trigger }, fn }) =>
      trigger.kind === 'public' ? [{ listener: trigger.listener, fn }] : [],
    )
    this.publicFront = createPublicFront(this, config, publicFunctions)
    this.schedules = createSchedules(this, config, this.functions)
  }

  #consume(queues: QueuesStack, id: 'webhooks' | 'payments', fn: Lambda): void {
    const { queue, deadLetters } = queues.queues[id]
    fn.addEventSource(
      new SqsEventSource(queue, {
        batchSize: BATCH_SIZE,
        maxConcurrency: batchesAtOnce(this.#config, id),
        reportBatchItemFailures: true,
        // What a function that is stopped is handed would count as delivered in vain, until it is a dead letter.
        enabled: reservedFor(this.#config, id) !== 0,
      }),
    )
    // What no attempt would make readable goes there at once, with a reason.
    deadLetters.grantSendMessages(fn)
  }
}
