import assert from 'node:assert/strict'
import { type Environment, silentLogger } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { auditBanks } from '../audit/audit-banks.ts'
import { auditedBank } from '../audit/audited-bank.ts'
import type { Bank, DeployableName } from '../bank.ts'
import { type BankName, createBankSettings } from '../bank-settings.ts'
import { demoPlan, type SeedPlan } from '../seed.ts'
import { startTwoBanks, type TwoBanks } from '../two-banks.ts'

export interface TestBanks extends TwoBanks {
  databases: Record<BankName, { resources: string; auth: string }>
  /** Fails the test when the books of the two banks do not hold together. Waits a little for the last postings. */
  audit(): Promise<void>
}

/** Pinned amounts are without a sending fee. */
const withoutFee = (plan: SeedPlan): SeedPlan => {
  const { sendingFee: _fee, ...rest } = plan
  return rest
}

export const plainPlans: Record<BankName, SeedPlan> = { a: withoutFee(demoPlan.a), b: withoutFee(demoPlan.b) }

/** Their databases come with the migrations: that each deployable looks whether any is pending is enough. */
const ENVIRONMENT = { LOG_LEVEL: 'silent', ENABLE_MANUAL_MIGRATIONS: 'true' }

/** Two peered banks on real sockets and real Postgres, with databases of their own. */
export async function startTestBanks(
  options: {
    environments?: Partial<Record<BankName, Environment>>
    plans?: Record<BankName, SeedPlan>
    rates?: Record<string, Record<string, string>>
    except?: Partial<Record<BankName, readonly DeployableName[]>>
  } = {},
): Promise<TestBanks> {
  const created = await Promise.all([
    createTestDatabase('resources'),
    createTestDatabase('auth'),
    createTestDatabase('resources'),
    createTestDatabase('auth'),
  ])
  const [resourcesA, authA, resourcesB, authB] = created
  const databases = {
    a: { resources: resourcesA.connectionString, auth: authA.connectionString },
    b: { resources: resourcesB.connectionString, auth: authB.connectionString },
  }
  const drop = async () => {
    for (const database of created) await database.drop()
  }
  const codes = demoPlan.a.assets.map((asset) => asset.code)
  const settings = { a: await createBankSettings('a', codes), b: await createBankSettings('b', codes) }
  let banks: TwoBanks
  try {
    banks = await startTwoBanks({
      settings,
      databases,
      plans: options.plans ?? plainPlans,
      log: silentLogger,
      environments: {
        a: { ...ENVIRONMENT, ...options.environments?.a },
        b: { ...ENVIRONMENT, ...options.environments?.b },
      },
      ...(options.rates && { rates: options.rates }),
      ...(options.except && { except: options.except }),
    })
  } catch (error) {
    await drop()
    throw error
  }
  return {
    ...banks,
    databases,
    async audit() {
      const findings = await auditBanks({
        a: auditedBank(banks.a.environment),
        b: auditedBank(banks.b.environment),
      })
      assert.deepEqual(
        findings.filter((finding) => finding.problem),
        [],
      )
    },
    async close() {
      await banks.close()
      await drop()
    },
  }
}

/** Ends one deployable of a bank; the rest go on. */
export async function stopDeployable(bank: Bank, name: DeployableName): Promise<void> {
  const running = bank.deployables.find((deployable) => deployable.name === name)
  if (!running) throw new Error(`bank ${bank.settings.name} runs no ${name} here`)
  await running.close()
  bank.deployables.splice(bank.deployables.indexOf(running), 1)
}
