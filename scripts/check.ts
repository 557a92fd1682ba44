// What must hold before a change lands: format, lint, types, the dependency law, then the tests. `npm test` runs this.
import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Check {
  name: string
  /** Arguments for node: the tools' own entry files, so that the PATH decides nothing. */
  args: string[]
}

interface Outcome {
  passed: boolean
  seconds: string
  output: string
}

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))

const staticChecks: Check[] = [
  {
    name: 'format and lint (biome)',
    args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  },
  {
    name: 'types (TypeScript) and lint with them (eslint)',
    // With room for what is young it collects less: a ninth of its CPU time. What it finds out about types stays to its end.
    args: ['--max-semi-space-size=64', '--max-old-space-size=3072', 'scripts/check-code.ts'],
  },
  { name: 'dependency rule', args: ['scripts/check-dependencies.ts'] },
]

function run(args: string[], stdio: 'inherit' | 'pipe'): Promise<Outcome> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', stdio, stdio] })
  // The tests stop their database before they end, so a signal is passed on and the end awaited.
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  process.on('SIGINT', forward).on('SIGTERM', forward)
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => {
    const finish = (passed: boolean, failure = '') => {
      process.off('SIGINT', forward).off('SIGTERM', forward)
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      resolve({ passed, seconds, output: Buffer.concat(chunks).toString() + failure })
    }
    child.once('close', (code) => finish(code === 0))
    child.once('error', (error) => finish(false, error.message))
  })
}

const report = (name: string, outcome: Outcome) => {
  console.log(`${outcome.passed ? '✔' : '✖'} ${name} (${outcome.seconds} s)`)
  if (!outcome.passed) console.log(outcome.output)
}

const outcomes = await Promise.all(
  staticChecks.map(async (check) => {
    const outcome = await run(check.args, 'pipe')
    report(check.name, outcome)
    return outcome
  }),
)
if (!outcomes.every((outcome) => outcome.passed)) process.exit(1)

const tests = await run(['scripts/run-tests.ts', ...process.argv.slice(2)], 'inherit')
report('tests', tests)
process.exit(tests.passed ? 0 : 1)
