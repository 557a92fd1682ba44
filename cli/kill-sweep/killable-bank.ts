import { closeAll, deployableNames } from '../bank.ts'
import type { BankName } from '../bank-settings.ts'
import { startChildBank } from '../child-bank.ts'
import type { TestBanks } from '../testing/test-banks.ts'
import { createStatementCounter, type Moment, startStatementProxy } from './statement-proxy.ts'

/** Where a node is killed: at a statement to its databases, the ledger's calls among them. */
export interface Place {
  statement: number
  moment: Moment
}

export interface KillableBank {
  /** Counts statements from now. */
  countStatements(): () => number
  /** SIGKILL at that place, and a new process as soon as this one is gone. */
  killAt(place: Place): Kill
  close(): Promise<void>
}

export interface Kill {
  /** The place was reached and the node is back. */
  done: Promise<Killed>
  /** Kills it now, when the place was not reached. */
  now(): void
}

export interface Killed {
  /** What the statement says; empty: it was not reached. */
  at: string
  awayMs: number
}

/** Moves a bank into a process of its own, which reaches its databases through a counter of statements. Its wallet stays here. */
export async function moveElsewhere(
  banks: TestBanks,
  name: BankName,
  /** Called between a death and the new life. */
  whileDead: () => Promise<void> = async () => undefined,
): Promise<KillableBank> {
  const { settings, environment, deployables } = banks[name]
  await closeAll(deployables.splice(0))
  const counter = createStatementCounter()
  const resources = await startStatementProxy(banks.databases[name].resources, counter)
  const auth = await startStatementProxy(banks.databases[name].auth, counter)
  const start = () =>
    startChildBank({
      settings,
      environment: {
        ...environment,
        DATABASE_URL: resources.connectionString,
        AUTH_DATABASE_URL: auth.connectionString,
      },
      only: deployableNames,
    })
  let child = await start()
  return {
    countStatements() {
      counter.open()
      return () => counter.count
    },
    killAt({ statement, moment }) {
      const reached = Promise.withResolvers<string>()
      const done = reached.promise.then(async (at) => {
        const startedAt = performance.now()
        await child.kill()
        await whileDead()
        counter.open()
        child = await start()
        return { at, awayMs: performance.now() - startedAt }
      })
      // Whoever waits hears of it when the payment has ended.
      done.catch(() => undefined)
      counter.stopAt(statement, moment, reached.resolve)
      return { done, now: () => reached.resolve('') }
    },
    async close() {
      await child.close()
      await Promise.all([resources.close(), auth.close()])
    },
  }
}
