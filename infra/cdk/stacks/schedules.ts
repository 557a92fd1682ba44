import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda'
import { CfnSchedule, ScheduleGroup } from 'aws-cdk-lib/aws-scheduler'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Duration, RemovalPolicy } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import schedule from '../../schedule.json' with { type: 'json' }
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'

export interface Schedules {
  /** Invocations that could not be made. */
  deadLetters: Queue
}

/** The next one comes anyway, and knows nothing of this one. */
const AGE_MAX = Duration.minutes(5)

const rate = (minutes: number): string => `rate(${minutes} minute${minutes === 1 ? '' : 's'})`

/**
 * Work that is due by the clock, as `infra/schedule.json` has it: what a role does at one rate is one invocation. Where a role's
 * containers run, their timers do the same; twice is harmless.
 */
export function createSchedules(
  scope: Construct,
  config: UpesiConfig,
  functions: ReadonlyMap<string, Lambda>,
): Schedules {
  const deadLetters = new Queue(scope, 'schedules-dead', {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
    removalPolicy: RemovalPolicy.DESTROY,
  })
  acknowledge(deadLetters, { 'AwsSolutions-SQS3': 'It is a dead-letter queue.' })
  const group = new ScheduleGroup(scope, 'Schedules', { removalPolicy: RemovalPolicy.DESTROY })
  const role = new Role(scope, 'SchedulesRole', {
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com'),
  })
  deadLetters.grantSendMessages(role)
  const invoked = new Map<string, Lambda>()
  for (const [id, entries] of Map.groupBy(schedule, (entry) => `${entry.role}-${entry.rateMinutes}`)) {
    const [first] = entries
    const fn = functions.get(`${first?.role}-task`)
    // The relay has nothing to publish where the database is the queue.
    if (!first || !fn) continue
    invoked.set(first.role, fn)
    new CfnSchedule(scope, `Schedule-${id}`, {
      description: `${config.name}: ${first.role}, every ${first.rateMinutes} min`,
      groupName: group.scheduleGroupName,
      scheduleExpression: rate(first.rateMinutes),
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: fn.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify({ tasks: entries.map(({ task }) => task) }),
        retryPolicy: { maximumRetryAttempts: 1, maximumEventAgeInSeconds: AGE_MAX.toSeconds() },
        deadLetterConfig: { arn: deadLetters.queueArn },
      },
    })
  }
  // Lambda takes what is scheduled and carries it out later: by itself it would try again twice, and for hours where it is throttled.
  for (const fn of invoked.values()) fn.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: AGE_MAX })
  const resources = [...invoked.values()].map(({ functionArn }) => functionArn)
  role.addToPolicy(new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources }))
  return { deadLetters }
}
