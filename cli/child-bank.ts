import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { DeployableName } from './bank.ts'
import { deployableNames } from './bank.ts'
import type { BankProcessAnswer, BankProcessOrder } from './bank-process.ts'
import type { BankSettings } from './bank-settings.ts'

export interface ChildBank {
  pid: number
  /** Drains and ends. */
  close(): Promise<void>
  /** SIGKILL: nothing is drained, nothing is told. */
  kill(): Promise<void>
}

const STOP_MS = 15_000

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** Runs the named deployables of a bank in a process of their own. */
export async function startChildBank(input: {
  settings: BankSettings
  environment: Record<string, string>
  only?: readonly DeployableName[]
  /** Takes what the process logs; default: this process's output. */
  onLog?: (text: string) => void
}): Promise<ChildBank> {
  const output = input.onLog ? 'pipe' : 'inherit'
  const child = fork(fileURLToPath(new URL('bank-process.ts', import.meta.url)), [], {
    stdio: ['ignore', output, output, 'ipc'],
    execArgv: [],
  })
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => input.onLog?.(text))
  const except = input.only ? deployableNames.filter((name) => !input.only?.includes(name)) : []
  const order: BankProcessOrder = { settings: input.settings, environment: input.environment, except }
  child.send(order)
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => [{ status: 'failed', reason: 'it ended while starting' }]),
  ])) as [BankProcessAnswer]
  if (message.status === 'failed')
    throw new Error(`bank ${input.settings.name} in a process of its own: ${message.reason}`)
  const { pid } = child
  if (pid === undefined) throw new Error('a running process has a pid')
  return {
    pid,
    async close() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await exited(child)
      clearTimeout(timer)
    },
    async kill() {
      child.kill('SIGKILL')
      await exited(child)
    },
  }
}
