import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  TextWidget,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { ApplicationLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { FilterPattern, type LogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { CrossStackReferences, Duration, ReferenceStrength, Stack, type StackProps } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import type { UpesiConfig } from '../config.ts'
import { lambdaFunctions } from '../roles.ts'
import type { ContainersStack } from './containers.ts'
import type { DataStack } from './data.ts'
import type { FunctionsStack } from './functions.ts'
import type { QueuesStack } from './queues.ts'
import type { TigerBeetleStack } from './tigerbeetle.ts'

export interface Watched {
  config: UpesiConfig
  data: DataStack
  functions: FunctionsStack
  containers: ContainersStack
  queues?: QueuesStack
  tigerbeetle?: TigerBeetleStack
}

interface AlarmSpec {
  metric: IMetric
  above?: number
  below?: number
  periods?: number
  /** What it means, and where to read on. */
  about: string
  missing?: TreatMissingData
}

/** Lines of the connector's log that are about money, as its code writes them (connector/pipeline/settle-hold.ts). */
export const MONEY_LINES = {
  'late-postings': 'hold was gone when its packet was fulfilled: posted late',
  'covered-postings': 'payer could not pay a fulfilled packet: node covered it',
  'unrecorded-postings': 'a fulfilled packet could not be recorded',
} as const

const MINUTE = Duration.minutes(1)
const FIVE_MINUTES = Duration.minutes(5)
const NAMESPACE = 'Upesi'

/**
 * Connections that Aurora Serverless allows, by its most capacity: about so many a unit, 5,000 at most and 2,000 where it may come down to
 * less than one unit. The proxy leaves a tenth of them to others.
 */
const connectionsMax = ({ capacityMin, capacityMax }: UpesiConfig['database']): number =>
  Math.min(capacityMax * 205, capacityMin < 1 ? 2_000 : 5_000)
/** Of them: beyond, few are left. */
const CONNECTIONS_SHARE = 0.8

/** What a load balancer could not pass on, and what stood behind it answered. */
const serverErrorsOf = ({ metrics }: ApplicationLoadBalancer): IMetric => {
  const sum = { period: FIVE_MINUTES, statistic: 'Sum' }
  return new MathExpression({
    expression: 'FILL(own, 0) + FILL(behind, 0)',
    usingMetrics: {
      own: metrics.custom('HTTPCode_ELB_5XX_Count', sum),
      behind: metrics.custom('HTTPCode_Target_5XX_Count', sum),
    },
    label: '5xx',
    period: FIVE_MINUTES,
  })
}

/** One topic, every alarm tells it; and one page that shows what they look at. */
export class ObservabilityStack extends Stack {
  readonly topic: Topic
  readonly #config: UpesiConfig
  readonly #widgets: GraphWidget[] = []

  constructor(scope: Construct, id: string, props: StackProps & Watched) {
    super(scope, id, props)
    // What it looks at may go before it does: the stacks that have it are updated first.
    CrossStackReferences.of(this).consume(ReferenceStrength.WEAK)
    this.#config = props.config
    this.topic = this.#topic(props.config)
    if (props.queues) this.#queues(props.queues)
    this.#functions(props.functions)
    this.#fronts(props)
    this.#databases(props.data)
    this.#containers(props.containers)
    if (props.tigerbeetle) this.#tigerbeetle(props.tigerbeetle)
    new Dashboard(this, 'Dashboard', {
      dashboardName: props.config.name,
      widgets: [
        [
          new TextWidget({
            markdown: `# ${props.config.name}\nWhat the alarms look at.`,
            width: 24,
            height: 2,
          }),
        ],
        ...Array.from({ length: Math.ceil(this.#widgets.length / 3) }, (_, row) =>
          this.#widgets.slice(row * 3, row * 3 + 3),
        ),
      ],
    })
  }

  #topic(config: UpesiConfig): Topic {
    const key = new Key(this, 'TopicKey', { description: `${config.name}: alarms`, enableKeyRotation: true })
    key.grantEncryptDecrypt(new ServicePrincipal('cloudwatch.amazonaws.com'))
    const topic = new Topic(this, 'Alarms', {
      displayName: `${config.name} alarms`,
      masterKey: key,
      enforceSSL: true,
    })
    topic.grantPublish(new ServicePrincipal('cloudwatch.amazonaws.com'))
    if (config.alarms.email) topic.addSubscription(new EmailSubscription(config.alarms.email))
    return topic
  }

  #alarm(id: string, { metric, above, below, periods = 1, about, missing }: AlarmSpec): void {
    const alarm = new Alarm(this, id, {
      alarmName: `${this.#config.name}-${id}`,
      alarmDescription: about,
      metric,
      threshold: above ?? below ?? 0,
      comparisonOperator:
        above === undefined
          ? ComparisonOperator.LESS_THAN_THRESHOLD
          : ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
    })
    alarm.addAlarmAction(new SnsAction(this.topic))
    alarm.addOkAction(new SnsAction(this.topic))
  }

  #graph(title: string, left: IMetric[], right: IMetric[] = []): void {
    this.#widgets.push(new GraphWidget({ title, left, right, width: 8, height: 6 }))
  }

  #queues({ queues }: QueuesStack): void {
    for (const { definition, queue, deadLetters } of Object.values(queues)) {
      const { id } = definition
      const dead = deadLetters.metricApproximateNumberOfMessagesVisible({
        period: MINUTE,
        statistic: 'Maximum',
      })
      const age = queue.metricApproximateAgeOfOldestMessage({ period: MINUTE, statistic: 'Maximum' })
      this.#alarm(`${id}-dead-letters`, {
        metric: dead,
        above: 0,
        about: `Messages of ${id} could not be worked on: find out why, then redrive them.`,
      })
      this.#alarm(`${id}-age`, {
        metric: age,
        above: this.#config.alarms.queueAgeSeconds,
        periods: 3,
        about: `Messages of ${id} wait: consumers fail, are throttled or are too few.`,
      })
      this.#graph(
        `Queue ${id}`,
        [
          queue.metricApproximateNumberOfMessagesVisible({ period: MINUTE }),
          queue.metricApproximateNumberOfMessagesNotVisible({ period: MINUTE }),
          dead,
        ],
        [age],
      )
    }
  }

  #functions({ functions, schedules }: FunctionsStack): void {
    for (const { id } of lambdaFunctions) {
      const fn = functions.get(id)
      if (!fn) continue
      const errors = fn.metricErrors({ period: FIVE_MINUTES })
      const throttles = fn.metricThrottles({ period: FIVE_MINUTES })
      const duration = fn.metricDuration({ period: FIVE_MINUTES, statistic: 'p99' })
      this.#alarm(`${id}-errors`, {
        metric: errors,
        above: 0,
        periods: 2,
        about: `${id} throws or runs out of time.`,
      })
      this.#alarm(`${id}-throttles`, {
        metric: throttles,
        above: 0,
        periods: 2,
        about: `${id} has too few sandboxes: raise its reserved concurrency, and look at the database's connections.`,
      })
      this.#alarm(`${id}-duration`, {
        metric: duration,
        above: (fn.timeout?.toMilliseconds() ?? 30_000) * 0.8,
        periods: 3,
        about: `${id} is near its time limit.`,
      })
      this.#graph(
        `Function ${id}`,
        [fn.metricInvocations({ period: FIVE_MINUTES }), errors, throttles],
        [duration],
      )
    }
    this.#alarm('schedules-dead-letters', {
      metric: schedules.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: MINUTE,
        statistic: 'Maximum',
      }),
      above: 0,
      about: 'Scheduled work could not be started.',
    })
  }

  #fronts({ functions, containers }: Watched): void {
    for (const { listener, stage } of functions.publicFront.apis) {
      const failed = stage.metricServerError({ period: FIVE_MINUTES, statistic: 'Sum' })
      this.#alarm(`${listener}-5xx`, {
        metric: failed,
        above: 5,
        periods: 2,
        about: `${listener} answers 5xx.`,
      })
      this.#graph(
        `API ${listener}`,
        [
          stage.metricCount({ period: FIVE_MINUTES }),
          stage.metricClientError({ period: FIVE_MINUTES }),
          failed,
        ],
        [stage.metricLatency({ period: FIVE_MINUTES, statistic: 'p99' })],
      )
    }
    // HTTP APIs count them for their functions; a function's own address does it itself.
    for (const { listener, fn } of functions.publicFront.urls) {
      const failed = fn.metric('Url5xxCount', { period: FIVE_MINUTES, statistic: 'Sum' })
      this.#alarm(`${listener}-5xx`, {
        metric: failed,
        above: 5,
        periods: 2,
        about: `${listener} answers 5xx.`,
      })
      this.#graph(`URL ${listener}`, [
        fn.metric('UrlRequestCount', { period: FIVE_MINUTES, statistic: 'Sum' }),
        fn.metric('Url4xxCount', { period: FIVE_MINUTES, statistic: 'Sum' }),
        failed,
      ])
    }
    const failed = serverErrorsOf(functions.privateFront.loadBalancer)
    this.#alarm('private-5xx', {
      metric: failed,
      above: 5,
      periods: 2,
      about: 'Private listeners answer 5xx.',
    })
    const { peers } = containers
    if (!peers) return
    const refused = serverErrorsOf(peers.loadBalancer)
    const unhealthy = new Metric({
      namespace: 'AWS/ApplicationELB',
      metricName: 'UnHealthyHostCount',
      dimensionsMap: {
        LoadBalancer: peers.loadBalancer.loadBalancerFullName,
        TargetGroup: peers.targets.targetGroupFullName,
      },
      period: MINUTE,
      statistic: 'Maximum',
    })
    this.#alarm('peers-5xx', {
      metric: refused,
      above: 5,
      periods: 2,
      about: 'Peers get 5xx, of the connector or for want of one.',
    })
    this.#alarm('connector-unhealthy', {
      metric: unhealthy,
      above: 0,
      periods: 3,
      about: 'A connector does not answer.',
    })
    this.#graph('Peers', [peers.loadBalancer.metrics.requestCount({ period: MINUTE }), refused], [unhealthy])
  }

  #databases({ clusters }: DataStack): void {
    clusters.forEach((cluster, index) => {
      const id = index === 0 ? 'database' : 'auth-database'
      const capacity = cluster.metricACUUtilization({ period: FIVE_MINUTES, statistic: 'Maximum' })
      const connections = cluster.metricDatabaseConnections({ period: FIVE_MINUTES, statistic: 'Maximum' })
      this.#alarm(`${id}-capacity`, {
        metric: capacity,
        above: 90,
        periods: 3,
        about: `${id} is at the end of its capacity: raise capacityMax.`,
      })
      this.#alarm(`${id}-connections`, {
        metric: connections,
        above: Math.floor(connectionsMax(this.#config.database) * CONNECTIONS_SHARE),
        periods: 3,
        about: `${id} has nearly all connections that its capacity allows.`,
      })
      this.#graph(`Database ${id}`, [capacity], [connections])
    })
  }

  #containers({ cluster, services }: ContainersStack): void {
    for (const [id, { service, logs }] of services) {
      const running = new Metric({
        namespace: 'ECS/ContainerInsights',
        metricName: 'RunningTaskCount',
        dimensionsMap: { ClusterName: cluster.clusterName, ServiceName: service.serviceName },
        period: MINUTE,
        statistic: 'Minimum',
      })
      const memory = service.metricMemoryUtilization({ period: FIVE_MINUTES, statistic: 'Maximum' })
      this.#alarm(`${id}-running`, {
        metric: running,
        below: id === 'connector' ? this.#config.connector.count : 1,
        periods: 5,
        about: `Containers of ${id} are missing.`,
        missing: TreatMissingData.BREACHING,
      })
      this.#alarm(`${id}-memory`, {
        metric: memory,
        above: 90,
        periods: 3,
        about: `${id} is short of memory.`,
      })
      this.#graph(
        `Service ${id}`,
        [service.metricCpuUtilization({ period: FIVE_MINUTES }), memory],
        [running],
      )
      if (id === 'connector') this.#moneyLines(logs)
    }
  }

  /** Each is money that the node may have to claim from somebody. */
  #moneyLines(logs: LogGroup): void {
    const metrics = Object.entries(MONEY_LINES).map(([id, line]) => {
      const filter = new MetricFilter(this, `${id}-lines`, {
        logGroup: logs,
        filterPattern: FilterPattern.stringValue('$.msg', '=', line),
        metricNamespace: NAMESPACE,
        metricName: `${this.#config.name}-${id}`,
        metricValue: '1',
        defaultValue: 0,
      })
      const metric = filter.metric({ period: FIVE_MINUTES, statistic: 'Sum' })
      this.#alarm(id, { metric, above: 0, about: `The connector wrote: ${line}. Audit the node.` })
      return metric
    })
    this.#graph('Money to look at', metrics)
  }

  #tigerbeetle({ replicas }: TigerBeetleStack): void {
    const metrics = replicas.map(({ index, group }) => {
      const inService = new Metric({
        namespace: 'AWS/AutoScaling',
        metricName: 'GroupInServiceInstances',
        dimensionsMap: { AutoScalingGroupName: group.autoScalingGroupName },
        label: `replica ${index}`,
        period: MINUTE,
        statistic: 'Minimum',
      })
      this.#alarm(`tigerbeetle-${index}`, {
        metric: inService,
        below: 1,
        periods: 3,
        about: `The machine of TigerBeetle replica ${index} is missing.`,
        missing: TreatMissingData.BREACHING,
      })
      return inService
    })
    this.#graph('TigerBeetle machines', metrics)
  }
}
