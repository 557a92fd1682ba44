// A bank whose function groups are functions of Lambda, in a process of its own: handlers as bundles export them, behind an HTTP API
// for the public hosts, a load balancer for the private ones, event source mappings for the queues and a scheduler for work by the
// clock. Beside them, as servers, what is never a function: the connector and the relay.
import { readFileSync } from 'node:fs'
import { SQSClient } from '@aws-sdk/client-sqs'
import { startConnector } from '../../connector/wiring.ts'
import { startRelayProcess } from '../../functions/relay/wiring.ts'
import { brokerQueues, LAMBDA_TIMEOUT_SECONDS } from '../../localstack/queues.ts'
import { messageOf } from '../../shared/platform/index.ts'
import {
  invokeFunction,
  type LambdaHandler,
  startEventSourceMapping,
  startLambdaGateway,
} from '../../shared/testing/lambda-simulator/index.ts'
import { localhostCertificate, trustLocalhost } from '../../shared/testing/localhost-certificate.ts'
import { closeAll } from '../bank.ts'
import type { BankListener, BankSettings } from '../bank-settings.ts'

export interface LambdaBankOrder {
  settings: BankSettings
  /** Of the functions; their bundles read it as `process.env`. */
  functions: Record<string, string>
  /** Of the connector and the relay. */
  servers: Record<string, string>
}

export interface LambdaBankReport {
  status: 'ready' | 'failed' | 'closed'
  reason?: string
  /** Invocations by function, and those that failed. */
  invocations?: Record<string, { ok: number; failed: number }>
}

interface Scheduled {
  role: string
  task: string
}

const TIMEOUT_MS = LAMBDA_TIMEOUT_SECONDS * 1000
/** For a minute between two calls of a scheduler. */
const SCHEDULE_MS = 2_000

const say = (report: LambdaBankReport) => process.send?.(report)
const invocations: NonNullable<LambdaBankReport['invocations']> = {}

/** Counts what is invoked. */
function counted(functionName: string, handler: LambdaHandler): LambdaHandler {
  const count = { ok: 0, failed: 0 }
  invocations[functionName] = count
  return async (event, context) => {
    try {
      const answer = await handler(event, context)
      count.ok++
      return answer
    } catch (error) {
      count.failed++
      console.error(`${functionName}: ${messageOf(error)}`)
      throw error
    }
  }
}

type Module = Record<string, LambdaHandler>

async function load(): Promise<Record<string, LambdaHandler>> {
  // After the environment is there: bundles read it when they are loaded.
  const [openPayments, auth, admin, webhooks, payments] = (await Promise.all([
    import('../../functions/open-payments/lambda.ts'),
    import('../../functions/auth/lambda.ts'),
    import('../../functions/admin/lambda.ts'),
    import('../../functions/webhooks/lambda.ts'),
    import('../../functions/payments/lambda.ts'),
  ])) as unknown as Module[]
  const functions = {
    'open-payments': openPayments?.handler,
    auth: auth?.auth,
    'auth-introspection': auth?.introspection,
    'auth-interaction': auth?.interaction,
    'auth-service': auth?.service,
    'auth-admin': auth?.admin,
    admin: admin?.handler,
    webhooks: webhooks?.handler,
    payments: payments?.handler,
    'auth-task': auth?.task,
    'admin-task': admin?.task,
    'webhooks-task': webhooks?.task,
    'payments-task': payments?.task,
  }
  return Object.fromEntries(
    Object.entries(functions).map(([name, handler]) => {
      if (!handler) throw new Error(`no handler of function ${name}`)
      return [name, counted(name, handler)]
    }),
  )
}

const gateways: readonly { functionName: string; listener: BankListener; front: 'httpApi' | 'alb' }[] = [
  { functionName: 'open-payments', listener: 'openPayments', front: 'httpApi' },
  { functionName: 'auth', listener: 'auth', front: 'httpApi' },
  { functionName: 'auth-introspection', listener: 'introspection', front: 'alb' },
  { functionName: 'auth-interaction', listener: 'interaction', front: 'alb' },
  { functionName: 'auth-service', listener: 'authService', front: 'alb' },
  { functionName: 'auth-admin', listener: 'authAdmin', front: 'alb' },
  { functionName: 'admin', listener: 'admin', front: 'alb' },
]

/** Calls every task of a role again and again, as EventBridge Scheduler does. */
function startScheduler(functions: Record<string, LambdaHandler>): { close(): Promise<void> } {
  const schedule = JSON.parse(
    readFileSync(new URL('../../infra/schedule.json', import.meta.url), 'utf8'),
  ) as Scheduled[]
  const roles = Object.groupBy(schedule, ({ role }) => role)
  let isClosing = false
  let wake: (() => void) | undefined
  const run = async (role: string, tasks: string[]): Promise<void> => {
    const handler = functions[`${role}-task`]
    if (!handler) return
    while (!isClosing) {
      await invokeFunction(handler, { tasks }, { functionName: `${role}-task`, timeoutMs: TIMEOUT_MS }).catch(
        () => undefined,
      )
      if (isClosing) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, SCHEDULE_MS)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  const running = Object.entries(roles).map(([role, entries]) =>
    run(
      role,
      (entries ?? []).map(({ task }) => task),
    ),
  )
  return {
    async close() {
      isClosing = true
      wake?.()
      await Promise.all(running)
    },
  }
}

async function start({ settings, functions: environment, servers }: LambdaBankOrder) {
  trustLocalhost()
  Object.assign(process.env, environment)
  const functions = await load()
  const parts: { close(): Promise<void> }[] = []
  for (const { functionName, listener, front } of gateways) {
    const handler = functions[functionName]
    if (!handler) throw new Error(`no function ${functionName}`)
    const port = settings.ports[listener]
    const isPublic = front === 'httpApi'
    parts.push(
      await startLambdaGateway(handler, {
        front,
        port,
        host: '::',
        functionName,
        timeoutMs: 30_000,
        publicUrl: `${isPublic ? 'https' : 'http'}://localhost:${port}`,
        ...(isPublic && { tls: localhostCertificate() }),
      }),
    )
  }
  parts.push(await startConnector(servers), await startRelayProcess(servers))
  const client = new SQSClient({
    endpoint: environment.AWS_ENDPOINT_URL ?? '',
    region: environment.AWS_REGION ?? '',
  })
  for (const { id, urlVariable } of brokerQueues) {
    const handler = functions[id]
    const queueUrl = environment[urlVariable]
    if (!handler || queueUrl === undefined) throw new Error(`no function or queue ${id}`)
    parts.push(
      startEventSourceMapping(handler, { client, queueUrl, functionName: id, timeoutMs: TIMEOUT_MS }),
    )
  }
  parts.push(startScheduler(functions))
  return parts
}

process.once('message', (order: LambdaBankOrder) => {
  start(order).then(
    (parts) => {
      const stop = () => {
        closeAll(parts).then(
          () => {
            say({ status: 'closed', invocations })
            process.exit(0)
          },
          (error: unknown) => {
            console.error(messageOf(error))
            process.exit(1)
          },
        )
      }
      process.on('SIGTERM', stop)
      process.on('disconnect', stop)
      say({ status: 'ready' })
    },
    (error: unknown) => {
      say({ status: 'failed', reason: messageOf(error) })
      process.exitCode = 1
      process.disconnect()
    },
  )
})
