import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNodeQueues } from '../localstack/create-queues.ts'
import { createDb, silentLogger, sql } from '../shared/platform/index.ts'
import { createTestDatabase, startTestSqs, type TestDatabase, type TestSqs } from '../shared/testing/index.ts'
import { auditBanks } from './audit/audit-banks.ts'
import { auditedBank } from './audit/audited-bank.ts'
import { deployableNames } from './bank.ts'
import { type BankName, type BankSettings, bankEnvironment, createBankSettings } from './bank-settings.ts'
import { awaitWithdrawals, type PaymentPlan, pay } from './payment.ts'
import type { LambdaBankOrder, LambdaBankReport } from './testing/lambda-bank-process.ts'
import { plainPlans } from './testing/test-banks.ts'
import { startTwoBanks, type TwoBanks } from './two-banks.ts'

const START_MS = 60_000
const timeoutMs = 60_000

interface LambdaBank {
  /** Ends it; what was invoked. */
  close(): Promise<NonNullable<LambdaBankReport['invocations']>>
}

async function nextReport(child: ChildProcess): Promise<LambdaBankReport> {
  const [report] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => [{ status: 'failed', reason: 'it ended' }]),
  ])) as [LambdaBankReport]
  return report
}

async function startLambdaBank(order: LambdaBankOrder): Promise<LambdaBank> {
  const child = fork(fileURLToPath(new URL('testing/lambda-bank-process.ts', import.meta.url)), [], {
    execArgv: [],
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS)
  child.send(order)
  const report = await nextReport(child)
  clearTimeout(timer)
  if (report.status !== 'ready') throw new Error(`bank ${order.settings.name}: ${report.reason}`)
  return {
    async close() {
      const closed = nextReport(child)
      child.kill('SIGTERM')
      const { invocations } = await closed
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      return invocations ?? {}
    },
  }
}

const names = ['a', 'b'] as const satisfies readonly BankName[]

describe('two banks whose functions are all functions of Lambda', () => {
  let sqs: TestSqs
  const created: TestDatabase[] = []
  const lambdaBanks: Partial<Record<BankName, LambdaBank>> = {}
  const environments = {} as Record<BankName, Record<string, string>>
  let banks: TwoBanks

  before(async () => {
    sqs = await startTestSqs()
    const codes = plainPlans.a.assets.map(({ code }) => code)
    const settings = {} as Record<BankName, BankSettings>
    const databases = {} as Record<BankName, { resources: string; auth: string }>
    const starting = names.map(async (name) => {
      settings[name] = await createBankSettings(name, codes)
      const [resources, auth] = [await createTestDatabase('resources'), await createTestDatabase('auth')]
      created.push(resources, auth)
      databases[name] = { resources: resources.connectionString, auth: auth.connectionString }
      environments[name] = bankEnvironment(settings[name], databases[name], {
        ...sqs.environment,
        ...(await createNodeQueues(
          sqs.client,
          (queue) => `${queue}-lambda-${name}-${settings[name].ports.admin}`,
        )),
        QUEUE_DRIVER: 'sqs',
        LOG_LEVEL: 'silent',
        // Public hosts speak https, as they do behind a gateway, and are addressed so.
        EGRESS_ALLOW_HTTP: 'false',
      })
      lambdaBanks[name] = await startLambdaBank({
        settings: settings[name],
        functions: {
          ...environments[name],
          ENABLE_MANUAL_MIGRATIONS: 'true',
          DATABASE_POOLER: 'true',
          DATABASE_POOL_SIZE: '2',
        },
        servers: environments[name],
      })
    })
    await Promise.all(starting)
    banks = await startTwoBanks({
      settings,
      databases,
      environments,
      plans: plainPlans,
      log: silentLogger,
      except: { a: deployableNames, b: deployableNames },
    })
  })
  after(async () => {
    await banks?.close()
    for (const bank of Object.values(lambdaBanks)) await bank.close()
    await sqs?.stop()
    for (const database of created) await database.drop()
  })

  it('pay across currencies, from creation to withdrawals, with every signature that there is, and audit clean', async () => {
    const plan: PaymentPlan = {
      payer: banks.side('a', 'alice'),
      payee: banks.side('b', 'bob'),
      receiveValue: 500n,
      timeoutMs,
    }
    const outcome = await pay(plan)
    assert.equal(outcome.outgoing.state, 'COMPLETED')
    assert.equal(outcome.outgoing.sentAmount.value, '550')
    assert.equal(outcome.received?.value, '500')
    const withdrawn = await awaitWithdrawals(plan, outcome)
    assert.deepEqual([withdrawn.payer.value, withdrawn.payee.value], ['6', '500'])
  })

  it('pay within a bank', async () => {
    const outcome = await pay({
      payer: banks.side('a', 'alice'),
      payee: banks.side('a', 'amara'),
      receiveValue: 500n,
      timeoutMs,
    })
    assert.equal(outcome.received?.value, '500')
  })

  it('make a tenant here and at the authorization server, by functions that call each other', async () => {
    const startedAt = performance.now()
    const { createTenant } = await banks.a.admin.graphql<{ createTenant: { tenant: { id: string } } }>(
      `mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }`,
      {
        input: { apiSecret: 'secret of the tenant', idpConsentUrl: 'https://idp.example', idpSecret: 'idp' },
      },
    )
    // Not by the scheduler, some time.
    assert.ok(performance.now() - startedAt < 5_000)
    const db = createDb({ connectionString: environments.a.AUTH_DATABASE_URL ?? '', poolSizeMax: 1 })
    const found = await db.execute(sql`select from tenants where id = ${createTenant.tenant.id}`)
    await db.close()
    assert.equal(found, 1)
  })

  it('had every function invoked that such payments need, none of them in vain', async () => {
    const findings = await auditBanks({ a: auditedBank(environments.a), b: auditedBank(environments.b) })
    assert.deepEqual(
      findings.filter(({ problem }) => problem),
      [],
    )
    const counts = { a: await lambdaBanks.a?.close(), b: await lambdaBanks.b?.close() }
    for (const name of names) delete lambdaBanks[name]
    for (const [bank, invocations] of Object.entries(counts))
      for (const [functionName, { failed }] of Object.entries(invocations ?? {}))
        assert.equal(failed, 0, `${functionName} of bank ${bank}`)
    const used = (bank: BankName) =>
      Object.entries(counts[bank] ?? {})
        .filter(([, { ok }]) => ok > 0)
        .map(([name]) => name)
    for (const functionName of [
      'admin',
      'webhooks',
      'payments',
      'payments-task',
      'webhooks-task',
      'admin-task',
      'auth-task',
    ])
      assert.ok(used('a').includes(functionName) && used('b').includes(functionName), functionName)
    for (const functionName of ['open-payments', 'auth', 'auth-introspection'])
      assert.ok(used('b').includes(functionName), functionName)
  })
})
