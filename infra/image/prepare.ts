// Runs while an image is built: takes out what its target does not need, and compiles the roles by the image's own Node, so that a
// process starts with V8's code at hand.
import { type SpawnSyncOptions, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const RUNTIME_USER = 10001
const ROLE_MS_MAX = 30_000
const ROLES = '/app/dist'
const COMPILED = '/app/.compiled'
const CLIENTS = '/app/node_modules/tigerbeetle-node/dist/bin'

const [target] = process.argv.slice(2)
if (target !== 'functions' && target !== 'connector') throw new Error('which target: functions or connector?')

if (target === 'functions') rmSync(join(ROLES, 'connector'), { recursive: true, force: true })
else {
  const platform = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  for (const name of readdirSync(CLIENTS))
    if (name !== platform) rmSync(join(CLIENTS, name), { recursive: true })
  if (!existsSync(join(CLIENTS, platform))) throw new Error(`tigerbeetle-node has no client for ${platform}`)
}

const run = (file: string, expected: number, why: string, options: SpawnSyncOptions = {}) => {
  const { error, status } = spawnSync(process.execPath, [file], {
    timeout: ROLE_MS_MAX,
    stdio: 'ignore',
    ...options,
  })
  if (error || status !== expected) throw new Error(`${file} ended with ${error?.message ?? status}, ${why}`)
}

for (const role of readdirSync(ROLES)) {
  const compile = join(ROLES, role, 'compile.mjs')
  if (existsSync(compile)) {
    // What the build has compiled may be of another Node.
    rmSync(join(ROLES, role, 'compiled'), { recursive: true, force: true })
    run(compile, 0, 'and has compiled nothing')
    continue
  }
  // Node keeps this for each user apart, so it is made by the user that will run.
  mkdirSync(COMPILED, { recursive: true })
  chownSync(COMPILED, RUNTIME_USER, RUNTIME_USER)
  // It has no configuration, says so, and ends: everything that it imports has been compiled by then.
  run(join(ROLES, role, 'server.mjs'), 1, 'and not for want of configuration', {
    uid: RUNTIME_USER,
    gid: RUNTIME_USER,
    cwd: '/app',
    env: { NODE_COMPILE_CACHE: COMPILED, PATH: process.env.PATH },
  })
}
