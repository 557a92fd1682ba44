// Runs while an image is built: takes out what its target does not need, and compiles the roles, so that a process starts with
// V8's code at hand. Node keeps that for each user apart, so it is made by the user that will run.
import { spawnSync } from 'node:child_process'
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

mkdirSync(COMPILED, { recursive: true })
chownSync(COMPILED, RUNTIME_USER, RUNTIME_USER)
for (const role of readdirSync(ROLES))
  for (const entry of ['server.mjs', 'task.mjs']) {
    const file = join(ROLES, role, entry)
    if (!existsSync(file)) continue
    // It has no configuration, says so, and ends: everything that it imports has been compiled by then.
    const { error, status } = spawnSync(process.execPath, [file], {
      uid: RUNTIME_USER,
      gid: RUNTIME_USER,
      cwd: '/app',
      env: { NODE_COMPILE_CACHE: COMPILED, PATH: process.env.PATH },
      timeout: ROLE_MS_MAX,
      stdio: 'ignore',
    })
    if (error || status !== 1)
      throw new Error(`${file} ended with ${error?.message ?? status}, and not for want of configuration`)
  }
