import { spawn } from 'node:child_process'
import { RUN_FOLDER_VARIABLE } from '../run-folder.ts'
import type { TestRef } from './guard.ts'

export interface TestRun {
  passed: number
  /** Names of tests and suites that failed. */
  failed: readonly string[]
  /** The file could not be run at all: what was tested is not known. */
  isBroken: boolean
  timedOut: boolean
  ms: number
  output: string
}

const LINE = /^\s*(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO).*)?$/

/** Reads what the TAP reporter prints of one file. */
export function readTap(output: string, file: string): Pick<TestRun, 'passed' | 'failed' | 'isBroken'> {
  let passed = 0
  const failed: string[] = []
  for (const line of output.split('\n')) {
    const [match, notOk, name = '', skipped] = LINE.exec(line) ?? []
    if (match === undefined || skipped !== undefined) continue
    if (notOk === undefined) passed++
    else failed.push(name.replace(/\\(.)/g, '$1'))
  }
  // A file that does not load is reported as a test of its own name; so is one whose last checks, after its tests, fail as well.
  const tests = failed.filter((name) => !name.endsWith(file))
  return { passed, failed: tests, isBroken: tests.length < failed.length && tests.length === 0 }
}

/** Runs tests of one file whose full names contain one of `names`, for a limited time. */
export function runTests(
  folder: string,
  tests: readonly TestRef[],
  options: { environment: Record<string, string | undefined>; timeoutMs: number },
): Promise<TestRun> {
  const file = tests[0]?.file ?? ''
  const patterns = tests.map(
    ({ name }) => `--test-name-pattern=${name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}`,
  )
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', ...patterns, file], {
    cwd: folder,
    // What test files of a run share is made of other sources.
    env: { ...process.env, [RUN_FOLDER_VARIABLE]: undefined, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that processes which a test started end with it.
    detached: true,
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  let timedOut = false
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Gone already.
    }
  }
  const timer = setTimeout(() => {
    timedOut = true
    end()
  }, options.timeoutMs)
  const interrupt = () => {
    end()
    process.exit(130)
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => {
      clearTimeout(timer)
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
      const output = Buffer.concat(chunks).toString()
      resolve({ ...readTap(output, file), timedOut, ms: Math.round(performance.now() - startedAt), output })
    })
  })
}
