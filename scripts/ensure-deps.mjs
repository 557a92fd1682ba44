// Installs the dependencies when they were not installed from this lockfile, of the folders that are named, by default of the
// project itself. npm writes its own record of an installation at its very end, so what is half finished has none, and `npm ci`
// by hand counts as well.
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const packagesIn = (file) => JSON.parse(readFileSync(file, 'utf8')).packages

function isInstalled(folder) {
  const modules = join(folder, 'node_modules')
  // Made by an install script of the project's own packages, which `--ignore-scripts` leaves out.
  if (folder === root && !existsSync(join(modules, '.bin', 'node'))) return false
  const record = join(modules, '.package-lock.json')
  if (!existsSync(record)) return false
  const present = packagesIn(record)
  return Object.entries(packagesIn(join(folder, 'package-lock.json'))).every(
    ([path, { integrity, optional }]) => {
      if (path === '') return true
      // What is for other platforms stays away.
      return present[path] ? present[path].integrity === integrity : optional === true
    },
  )
}

/** A cache for this once, when the user has no home to keep one in. */
function temporaryCache() {
  const usual = process.env.npm_config_cache ?? join(homedir(), '.npm')
  try {
    mkdirSync(usual, { recursive: true })
    accessSync(usual, constants.W_OK)
    return undefined
  } catch {
    return mkdtempSync(join(tmpdir(), 'upesi-npm-'))
  }
}

/** Resolves to npm's exit status. */
function install(folder, cache) {
  const name = relative(root, folder)
  console.error(`Installing dependencies${name && ` of ${name}`} (once per lockfile) …`)
  const windows = process.platform === 'win32'
  const npm = spawn(
    windows ? 'npm.cmd' : 'npm',
    ['ci', '--include=dev', '--no-ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: folder,
      stdio: ['ignore', 2, 2],
      shell: windows,
      env: { ...process.env, ...(cache && { npm_config_cache: cache }) },
    },
  )
  return new Promise((resolve) => {
    npm.once('error', () => resolve(1))
    npm.once('close', (status) => resolve(status ?? 1))
  })
}

const named = process.argv.slice(2)
const missing = (named.length > 0 ? named : ['.'])
  .map((name) => resolve(root, name))
  .filter((folder) => !isInstalled(folder))
if (missing.length > 0) {
  const cache = temporaryCache()
  const statuses = await Promise.all(missing.map((folder) => install(folder, cache)))
  if (cache) rmSync(cache, { recursive: true, force: true })
  const failure = statuses.find((status) => status !== 0)
  if (failure !== undefined) {
    console.error('The dependencies could not be installed; npm says why above.')
    process.exit(failure)
  }
}
