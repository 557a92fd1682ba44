import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LoadOrder, LoadReport } from './load-process.ts'

export type { LoadOrder } from './load-process.ts'
export type LoadResult = Extract<LoadReport, { kind: 'measured' }>

export interface LoadGenerator {
  pid: number
  /** `onEdge` is called when measuring begins and again when it ends: the moments to read clocks. */
  run(order: LoadOrder, onEdge: () => void): Promise<LoadResult>
  close(): Promise<void>
}

function nextReport(child: ChildProcess): Promise<Exclude<LoadReport, { kind: 'failed' }>> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the load generator ended'))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      const report = message as LoadReport
      if (report.kind === 'failed') reject(new Error(report.reason))
      else resolve(report)
    })
  })
}

/** One load at a time. */
export function startLoadGenerator(): LoadGenerator {
  const child = fork(fileURLToPath(new URL('load-process.ts', import.meta.url)), [], {
    execArgv: [],
    // Requests are bytes.
    serialization: 'advanced',
  })
  const { pid } = child
  if (pid === undefined) throw new Error('the load generator did not start')
  return {
    pid,
    async run(order, onEdge) {
      child.send(order)
      for (;;) {
        const report = await nextReport(child)
        onEdge()
        if (report.kind === 'measured') return report
      }
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
