import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError } from './config.ts'
import { withEnvironmentFile } from './deployable.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'upesi-env-'))
})
after(() => rmSync(folder, { recursive: true }))

test('a dotenv file adds what is not set', () => {
  const file = join(folder, 'some.env')
  writeFileSync(file, 'ADMIN_PORT=1\nKEY_ID="from the file"\n# a comment\n')
  const env = withEnvironmentFile({ ENV_FILE: file, ADMIN_PORT: '2' })
  assert.equal(env.ADMIN_PORT, '2')
  assert.equal(env.KEY_ID, 'from the file')
})

test('a file that was named and is not there stops the start', () => {
  assert.throws(
    () => withEnvironmentFile({ ENV_FILE: join(folder, 'missing.env') }),
    (error) => error instanceof ConfigError && /missing\.env/.test(error.message),
  )
})

test('without a name and a file the environment is as it was', () => {
  assert.deepEqual(withEnvironmentFile({ KEY_ID: 'x' }), { KEY_ID: 'x' })
})

test('told to end while it starts a process ends at once; afterwards it drains', () => {
  // Process 1 of a container: what it does not listen for does nothing. Here that would end it, but by the signal.
  const run = (start: string) => {
    const script = `
      import { runDeployable } from './shared/platform/deployable.ts'
      const close = async () => console.log('drained')
      await runDeployable(${start}, {})
      process.kill(process.pid, 'SIGTERM')
      setTimeout(() => process.exit(9), 5_000)`
    const { status, signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: new URL('../..', import.meta.url),
      encoding: 'utf8',
      timeout: 20_000,
    })
    return { status, signal, drained: /drained/.test(stdout) }
  }
  const starting = `() => new Promise(() => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.exit(9), 5_000)
  })`
  assert.deepEqual(run(starting), { status: 143, signal: null, drained: false })
  assert.deepEqual(run(`async () => ({ name: 'x', ports: {}, close })`), {
    status: 0,
    signal: null,
    drained: true,
  })
})

test('a start that fails ends the process, whatever it has left open', () => {
  const script = `
    import { runDeployable } from './shared/platform/deployable.ts'
    const start = async () => {
      setInterval(() => undefined, 1_000)
      throw new Error('no database')
    }
    await runDeployable(start, {})`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('../..', import.meta.url),
    encoding: 'utf8',
    timeout: 30_000,
  })
  assert.equal(status, 1)
  assert.match(stderr, /no database/)
})
