// Removes each security guard in turn, in a copy of the source tree, and expects its test to fail. Arguments are parts of names of
// threats, guards or files to look at; without any, everything is.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startTestServer, TEST_SERVER_VARIABLE } from '../../shared/testing/index.ts'
import type { Guard, TestRef } from './guard.ts'
import { runTests, type TestRun } from './run-test.ts'
import { threatTables } from './threats/index.ts'
import { createWorkCopy, type WorkCopy, withoutGuard } from './work-copy.ts'

const TIMEOUT_MS = 60_000
const BASELINE_TIMEOUT_MS = 180_000
/** The same inputs in every run. */
const SEED = '1'

interface Verdict {
  guard: Guard
  threat: string
  /** What noticed; absent when nothing did. */
  caughtBy?: string
  problem?: string
  ms: number
}

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const filters = process.argv.slice(2).map((filter) => filter.toLowerCase())

const chosen = threatTables
  .flatMap(({ threats }) => threats)
  .flatMap((threat) => threat.guards.map((guard) => ({ guard, threat: threat.name })))
  .filter(({ guard, threat }) => {
    const text = `${threat} ${guard.name} ${guard.file} ${guard.test.file}`.toLowerCase()
    return filters.length === 0 || filters.some((filter) => text.includes(filter))
  })

const keyOf = (test: TestRef) => `${test.file}: ${test.name}`

/** Tests that do not pass as things are prove nothing. By test, why not. */
async function findUselessTests(
  copy: WorkCopy,
  environment: Record<string, string>,
): Promise<Map<string, string>> {
  const useless = new Map<string, string>()
  const byFile = Map.groupBy(
    [...new Map(chosen.map(({ guard }) => [keyOf(guard.test), guard.test])).values()],
    (test) => test.file,
  )
  console.log(`${chosen.length} guards; first, do the tests of ${byFile.size} files pass as things are?`)
  for (const tests of byFile.values()) {
    const run = await runTests(copy.folder, tests, { environment, timeoutMs: BASELINE_TIMEOUT_MS })
    if (!run.timedOut && run.failed.length === 0 && run.passed >= tests.length) continue
    // Something is wrong in this file: which of them is it?
    for (const test of tests) {
      const single = await runTests(copy.folder, [test], { environment, timeoutMs: TIMEOUT_MS })
      if (single.timedOut) useless.set(keyOf(test), 'takes too long as things are')
      else if (single.failed.length > 0) useless.set(keyOf(test), 'fails as things are')
      else if (single.passed === 0) useless.set(keyOf(test), 'there is no such test')
    }
  }
  return useless
}

function judge({ guard, threat }: (typeof chosen)[number], run: TestRun): Verdict {
  const { ms } = run
  if (run.timedOut) return { guard, threat, ms, caughtBy: `${guard.test.name} (did not end)` }
  if (run.isBroken) return { guard, threat, ms, problem: 'without it the test file does not run at all' }
  const [caughtBy] = run.failed
  return caughtBy === undefined
    ? { guard, threat, ms, problem: 'its removal goes unnoticed' }
    : { guard, threat, ms, caughtBy }
}

function print({ guard, threat, caughtBy, problem, ms }: Verdict): void {
  const outcome = caughtBy === undefined ? `✖ ${problem}` : `✔ ${caughtBy}`
  console.log(`${threat} · ${guard.name} (${guard.file})\n    ${outcome} · ${ms} ms`)
}

async function check(copy: WorkCopy, environment: Record<string, string>): Promise<Verdict[]> {
  const useless = await findUselessTests(copy, environment)
  const verdicts: Verdict[] = []
  for (const item of chosen) {
    const { guard } = item
    const problem = useless.get(keyOf(guard.test))
    let verdict: Verdict
    if (problem !== undefined) verdict = { ...item, ms: 0, problem: `${keyOf(guard.test)}: ${problem}` }
    else {
      const restore = copy.remove(guard)
      verdict = judge(item, await runTests(copy.folder, [guard.test], { environment, timeoutMs: TIMEOUT_MS }))
      restore()
    }
    print(verdict)
    verdicts.push(verdict)
  }
  return verdicts
}

if (chosen.length === 0) {
  console.error(`no guard matches ${filters.join(', ')}`)
  process.exit(1)
}
// Before anything is started: is every guard where the list says?
for (const { guard } of chosen) withoutGuard(readFileSync(join(root, guard.file), 'utf8'), guard)

const given = process.env[TEST_SERVER_VARIABLE]
const server = given === undefined ? await startTestServer() : undefined
const copy = createWorkCopy(root)
process.on('exit', () => copy.delete())
const verdicts = await check(copy, {
  [TEST_SERVER_VARIABLE]: given ?? server?.connectionString ?? '',
  FAST_CHECK_SEED: SEED,
})
if (server && !server.adopted) await server.stop()

const unnoticed = verdicts.filter(({ caughtBy }) => caughtBy === undefined)
const seconds = Math.round(verdicts.reduce((sum, { ms }) => sum + ms, 0) / 1000)
console.log(
  `\n${verdicts.length} guards removed one at a time, ${verdicts.length - unnoticed.length} noticed, ${seconds} s`,
)
for (const { guard, problem } of unnoticed) console.error(`✖ ${guard.name} (${guard.file}): ${problem}`)
process.exit(unnoticed.length > 0 ? 1 : 0)
