import type { Environment, Logger } from '../shared/platform/index.ts'
import { type Bank, closeAll, type DeployableName, startBank } from './bank.ts'
import { type BankName, type BankSettings, bankEnvironment } from './bank-settings.ts'
import { createJournal, type Journal } from './journal.ts'
import type { Side } from './payment.ts'
import { demoPlan, type SeededBank, type SeedPlan, seedBank } from './seed.ts'

/** Prices that both banks' rates services give, as decimal text: one unit of the first in units of the second. */
const demoRates: Record<string, Record<string, string>> = {
  USD: { EUR: '0.91' },
  EUR: { USD: '1.0989' },
}

export interface TwoBanks {
  a: Bank
  b: Bank
  seeded: Record<BankName, SeededBank>
  journals: Record<BankName, Journal>
  /** A customer as one side of a payment. */
  side(bank: BankName, customer: string): Side
  close(): Promise<void>
}

export interface TwoBanksInput {
  settings: Record<BankName, BankSettings>
  databases: Record<BankName, { resources: string; auth: string }>
  environments?: Partial<Record<BankName, Environment>>
  plans?: Record<BankName, SeedPlan>
  rates?: Record<string, Record<string, string>>
  except?: Partial<Record<BankName, readonly DeployableName[]>>
  log: Logger
}

/** Starts both banks, peers them and seeds them, by their public interfaces. Used by `npm start`, benchmarks and tests alike. */
export async function startTwoBanks(input: TwoBanksInput): Promise<TwoBanks> {
  const plans = input.plans ?? demoPlan
  const journals = { a: createJournal('A'), b: createJournal('B') }
  const start = (name: BankName) =>
    startBank({
      settings: input.settings[name],
      environment: bankEnvironment(input.settings[name], input.databases[name], input.environments?.[name]),
      rates: input.rates ?? demoRates,
      log: input.log,
      onEvent: journals[name].record,
      ...(input.except?.[name] && { except: input.except[name] }),
    })
  const started = await Promise.allSettled([start('a'), start('b')])
  const running = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = started.find((result) => result.status === 'rejected')
  const [a, b] = running
  if (failed || !a || !b) {
    await closeAll(running)
    throw failed?.status === 'rejected' ? failed.reason : new Error('a bank did not start')
  }
  try {
    const [seededA, seededB] = await Promise.all([seedBank(a, b, plans.a), seedBank(b, a, plans.b)])
    const seeded = { a: seededA, b: seededB }
    return {
      a,
      b,
      seeded,
      journals,
      side(name, customer) {
        const walletAddress = seeded[name].walletAddresses[customer]
        if (!walletAddress) throw new Error(`bank ${name} has no customer ${customer}`)
        return { bank: name === 'a' ? a : b, journal: journals[name], walletAddress }
      },
      close: () => closeAll([a, b]),
    }
  } catch (error) {
    await closeAll([a, b])
    throw error
  }
}
