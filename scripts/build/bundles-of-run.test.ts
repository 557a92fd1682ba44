import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { bundleOfRun } from './bundles-of-run.ts'
import { findRoles } from './roles.ts'

const [role] = findRoles().filter(({ name }) => name === 'migrate')
assert.ok(role)

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'upesi-bundles-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('a bundle of a run is made once, and who asks meanwhile or afterwards gets the same', async () => {
  const [first, second] = await Promise.all([bundleOfRun(role, root), bundleOfRun(role, root)])
  const entry = join(first.outdir, 'server.mjs')
  const { ino, mtimeMs } = statSync(entry)
  const third = await bundleOfRun(role, root)
  for (const bundle of [second, third]) assert.deepEqual(bundle, JSON.parse(JSON.stringify(first)))
  assert.deepEqual([statSync(entry).ino, statSync(entry).mtimeMs], [ino, mtimeMs])
})

test('who waits for a bundle that fails is told, and so is whoever comes later', async () => {
  const broken = { ...role, entries: ['nothing'] }
  const [first, second] = await Promise.allSettled([bundleOfRun(broken, root), bundleOfRun(broken, root)])
  assert.equal(first.status, 'rejected')
  assert.match(String(second.status === 'rejected' && second.reason), /could not bundle migrate: .*nothing/s)
  await assert.rejects(bundleOfRun(broken, root), /could not bundle migrate/)
})

test('a bundle is not taken before it is whole', async () => {
  mkdirSync(join(root, 'migrate.begun'))
  mkdirSync(join(root, 'migrate'))
  let taken = false
  const waiting = bundleOfRun(role, root, 50).then(
    () => {
      taken = true
    },
    (error: Error) => error,
  )
  assert.match(String(await waiting), /waited 50 ms/)
  assert.equal(taken, false)
  assert.ok(!existsSync(join(root, 'migrate.json')))
})
