import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { openAdminTasks } from '../functions/admin/wiring.ts'
import { openAuthTasks } from '../functions/auth/wiring.ts'
import { openAutoPeeringTasks } from '../functions/auto-peering/wiring.ts'
import { openPaymentsTasks } from '../functions/payments/wiring.ts'
import { openRelayTasks } from '../functions/relay/wiring.ts'
import { openWebhooksTasks } from '../functions/webhooks/wiring.ts'
import { createNodeQueues } from '../localstack/create-queues.ts'
import type { OpenTasksOf } from '../shared/schedule/index.ts'
import { createTestDatabase, startTestSqs, type TestDatabase, type TestSqs } from '../shared/testing/index.ts'
import { authEnvironment, type BankSettings, bankEnvironment, createBankSettings } from './bank-settings.ts'

interface Scheduled {
  role: string
  task: string
  everySeconds: number
  rateMinutes: number
}

const schedule = JSON.parse(
  readFileSync(new URL('../infra/schedule.json', import.meta.url), 'utf8'),
) as Scheduled[]

const roles: Record<string, OpenTasksOf> = {
  admin: openAdminTasks,
  auth: openAuthTasks,
  'auto-peering': openAutoPeeringTasks,
  payments: openPaymentsTasks,
  relay: openRelayTasks,
  webhooks: openWebhooksTasks,
}

let created: TestDatabase[]
let settings: BankSettings
let environment: Record<string, string>
let sqs: TestSqs
let queues: Record<string, string>
before(async () => {
  sqs = await startTestSqs()
  queues = {
    ...sqs.environment,
    ...(await createNodeQueues(sqs.client, (name) => `${name}-tasks-${process.pid}`)),
    QUEUE_DRIVER: 'sqs',
  }
  created = [await createTestDatabase('resources'), await createTestDatabase('auth')]
  settings = await createBankSettings('a', [])
  environment = bankEnvironment(
    settings,
    { resources: created[0]?.connectionString ?? '', auth: created[1]?.connectionString ?? '' },
    { LOG_LEVEL: 'silent' },
  )
})
after(async () => {
  await sqs.stop()
  for (const database of created) await database.drop()
})

const environmentOf = (role: string) => {
  if (role === 'auth') return authEnvironment(settings, environment)
  if (role === 'auto-peering') return { ...environment, ENABLE_AUTO_PEERING: 'true' }
  return role === 'relay' ? { ...environment, ...queues } : environment
}

describe('infra/schedule.json', () => {
  for (const [role, open] of Object.entries(roles))
    test(`names every task of ${role}, as often as its timer runs it, and all of them run`, async () => {
      const { tasks, close } = await open(environmentOf(role), 'server')
      try {
        const named = schedule.filter((entry) => entry.role === role)
        assert.deepEqual(
          named.map(({ task, everySeconds }) => [task, everySeconds * 1000]).sort(),
          tasks.map(({ name, everyMs }) => [name, everyMs]).sort(),
        )
        for (const { run } of tasks) {
          await run()
          await Promise.all([run(), run()])
        }
      } finally {
        await close()
      }
    })
  test('knows no other role', () => {
    assert.deepEqual([...new Set(schedule.map(({ role }) => role))].sort(), Object.keys(roles).sort())
    for (const { everySeconds, rateMinutes } of schedule) assert.ok(rateMinutes * 60 >= everySeconds)
  })
})

describe('the command of a CronJob', () => {
  const command = (role: string, names: string[]) =>
    new Promise<{ code: number | null; output: string }>((resolve) => {
      const child = spawn(process.execPath, [`functions/${role}/task.ts`, ...names], {
        env: { PATH: process.env.PATH, ...environmentOf(role) },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text
        })
      child.once('close', (code) => resolve({ code, output }))
    })
  test('runs what is named and ends', async () => {
    const { code, output } = await command('payments', ['outgoing-sweep', 'incoming-sweep'])
    assert.deepEqual([code, output], [0, '{"ran":["outgoing-sweep","incoming-sweep"]}\n'])
  })
  test('says what there is when it knows no such task, and fails', async () => {
    const { code, output } = await command('auth', ['sweep'])
    assert.equal(code, 1)
    assert.match(output, /unknown task sweep; there are: grants-cleanup/)
  })
})
