import assert from 'node:assert/strict'
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
