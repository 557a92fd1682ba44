// Runs every *.test.ts on one PostgreSQL. Arguments filter the files by parts of their paths; --stop ends a test server that
// single test files left running.
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startTestServer, TEST_SERVER_VARIABLE } from '../shared/testing/index.ts'
import { RUN_FOLDER_VARIABLE } from './run-folder.ts'

const ROOMS = ['shared', 'functions', 'connector', 'cli', 'examples', 'scripts', 'infra', 'localstack']
/** Most test files wait for a database or a socket, so a few at once are faster even on two cores. */
const FILES_AT_ONCE = 5
const FILE_MS_MAX = 240_000
/** Node keeps what it compiled here, types stripped: half of what starting a test file or a child process costs. */
const COMPILED = 'node_modules/.cache/compiled'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const filters = process.argv.slice(2)

if (filters.includes('--stop')) {
  await (await startTestServer()).stop()
  process.exit(0)
}

const files = globSync(`{${ROOMS.join(',')}}/**/*.test.ts`, { exclude: ['**/node_modules/**'] })
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort()
if (files.length === 0) {
  console.error(`no test files${filters.length > 0 ? ` match ${filters.join(', ')}` : ''}`)
  process.exit(1)
}

const server = await startTestServer()
const shared = mkdtempSync(join(tmpdir(), 'upesi-run-'))
const tests = spawn(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${FILE_MS_MAX}`,
    '--test-reporter=spec',
    ...files,
  ],
  {
    stdio: 'inherit',
    env: {
      NODE_COMPILE_CACHE: resolve(COMPILED),
      // Helm and the bundler are written in Go and live shortly: what they would collect ends with them anyway. Saves them a tenth of
      // their CPU time at most.
      GOGC: '400',
      ...process.env,
      [TEST_SERVER_VARIABLE]: server.connectionString,
      [RUN_FOLDER_VARIABLE]: shared,
    },
  },
)
// A terminal sends its Ctrl-C to both; other senders only to us. Either way the server stops after the tests.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal))
const exitCode = await new Promise<number>((ended) => {
  tests.once('exit', (code) => ended(code ?? 1))
  tests.once('error', (error) => {
    console.error(error.message)
    ended(1)
  })
})
rmSync(shared, { recursive: true, force: true })
// An adopted server belongs to whoever started it, and tests run by hand may be using it.
if (!server.adopted) await server.stop()
process.exit(exitCode)
