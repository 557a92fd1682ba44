// Which stacks an installation has, and what each is told of the others.
import { App, type AppProps, type Stack, Tags, Validations } from 'aws-cdk-lib/core'
import { AwsSolutionsChecks } from 'cdk-nag'
import cdkJson from './cdk.json' with { type: 'json' }
import { hasReplicas, type UpesiConfig } from './config.ts'
import type { Surroundings } from './environment.ts'
import { ContainersStack, connectorRpcUrl } from './stacks/containers.ts'
import { DataStack } from './stacks/data.ts'
import { FunctionsStack } from './stacks/functions.ts'
import { MigrationsStack } from './stacks/migrations.ts'
import { NetworkStack } from './stacks/network.ts'
import { ObservabilityStack } from './stacks/observability.ts'
import { type BrokerQueue, QueuesStack } from './stacks/queues.ts'
import { TigerBeetleStack } from './stacks/tigerbeetle.ts'

export interface Installation {
  app: App
  stacks: Stack[]
}

const urlsOf = (queues: readonly BrokerQueue[]): Record<string, string> =>
  Object.fromEntries(
    queues.flatMap(({ definition, queue, deadLetters }) => [
      [definition.urlVariable, queue.queueUrl],
      [definition.deadLetter.urlVariable, deadLetters.queueUrl],
    ]),
  )

/** The stacks know neither account nor region, so that nothing is looked up and synthesis needs no network. */
export function createInstallation(config: UpesiConfig, dist: string, appProps: AppProps = {}): Installation {
  const app = new App({ ...appProps, context: { ...cdkJson.context, ...appProps.context } })
  // CloudFormation knows no tags of that type, whatever the library thinks.
  Tags.of(app).add('upesi', config.name, { excludeResourceTypes: ['AWS::RDS::DBProxyTargetGroup'] })
  const named = (part: string) => `${config.name}-${part}`
  const network = new NetworkStack(app, named('Network'), { config })
  const data = new DataStack(app, named('Data'), {
    config,
    network,
    terminationProtection: config.database.deletionProtection,
  })
  const queues = config.queue === 'sqs' ? new QueuesStack(app, named('Queues'), { config }) : undefined
  const tigerbeetle = hasReplicas(config)
    ? new TigerBeetleStack(app, named('TigerBeetle'), { config, network, key: data.key })
    : undefined
  const around: Surroundings = {
    resources: data.resources,
    auth: data.auth,
    secrets: data.secrets,
    keyArn: data.key.keyArn,
    queueUrls: queues ? urlsOf(Object.values(queues.queues)) : {},
    connectorRpcUrl: connectorRpcUrl(config),
    redisUrl: data.cacheEndpoint === undefined ? 'none' : `rediss://${data.cacheEndpoint}:6379`,
    ...(tigerbeetle && { tigerbeetleAddresses: tigerbeetle.addresses }),
  }
  const common = { config, network, dist, around, ...(queues && { queues }) }
  const migrations = new MigrationsStack(app, named('Migrations'), common)
  const containers = new ContainersStack(app, named('Containers'), common)
  const functions = new FunctionsStack(app, named('Functions'), common)
  functions.addStackDependency(migrations)
  // The connector is replaced last (docs/operating.md).
  containers.addStackDependency(functions)
  const observability = new ObservabilityStack(app, named('Observability'), {
    config,
    data,
    functions,
    containers,
    ...(queues && { queues }),
    ...(tigerbeetle && { tigerbeetle }),
  })
  const stacks = [network, data, queues, tigerbeetle, migrations, containers, functions, observability]
  return { app, stacks: stacks.filter((stack) => stack !== undefined) }
}

/** AWS's rules for such stacks, held against them when they are synthesised: what is found and not acknowledged is an error. */
export function holdAgainstRules({ app }: Installation): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks())
}
