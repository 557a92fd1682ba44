// A bank's deployables in a process of their own, for benchmarks and crash tests. The parent sends what to start over IPC and
// the process ends with it.
import { messageOf } from '../shared/platform/index.ts'
import { closeAll, type DeployableName, startDeployables } from './bank.ts'
import type { BankSettings } from './bank-settings.ts'

export interface BankProcessOrder {
  settings: BankSettings
  environment: Record<string, string>
  except: readonly DeployableName[]
}

export type BankProcessAnswer = { status: 'ready' } | { status: 'failed'; reason: string }

const answer = (message: BankProcessAnswer) => process.send?.(message)

process.once('message', (order: BankProcessOrder) => {
  startDeployables(order).then(
    (running) => {
      const stop = () => {
        closeAll(running).then(
          () => process.exit(0),
          () => process.exit(1),
        )
      }
      process.on('SIGTERM', stop)
      process.on('disconnect', stop)
      answer({ status: 'ready' })
    },
    (error: unknown) => {
      answer({ status: 'failed', reason: messageOf(error) })
      process.exitCode = 1
      process.disconnect()
    },
  )
})
