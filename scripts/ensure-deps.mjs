// Installs the dependencies when they were not installed from this lockfile. The marker holds the lockfile's hash and is
// written only after a successful install: modification times mislead, and a half-finished install must not count.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const marker = join(root, 'node_modules', '.upesi-lockfile')
const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

const installed = () => existsSync(marker) && readFileSync(marker, 'utf8').trim() === lockHash

if (!installed()) {
  console.error('Installing dependencies (once per lockfile) …')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const result = spawnSync(
    npm,
    ['ci', '--include=dev', '--no-ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    },
  )
  if (result.status !== 0) {
    console.error('npm ci failed; run it by hand to see why.')
    process.exit(result.status ?? 1)
  }
  writeFileSync(marker, `${lockHash}\n`)
}
