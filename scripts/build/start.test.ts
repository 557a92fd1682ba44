import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { bundleOfRun, folderOfRun } from './bundles-of-run.ts'
import { findRoles } from './roles.ts'

const run = promisify(execFile)

const ofRun = folderOfRun()
let root: string
let built: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'upesi-start-'))
  const [role] = findRoles().filter(({ name }) => name === 'open-payments')
  assert.ok(role)
  built = (await bundleOfRun(role, ofRun.root)).outdir
})
after(async () => {
  ofRun.remove()
  await rm(root, { recursive: true, force: true })
})

/** Says for each script that is loaded whether V8 took the code that it was given. */
const SPY = `
import vm from 'node:vm'
const { Script } = vm
globalThis.taken = []
globalThis.read = []
vm.Script = class extends Script {
  constructor(text, options) {
    super(text, options)
    globalThis.read.push(options.filename.split('/').pop())
    globalThis.taken.push(options.cachedData === undefined ? 'none' : String(this.cachedDataRejected === false))
  }
}`

/** Imports the function's entry in a process of its own; what `say` makes of it. */
async function inProcess(folder: string, say: string, nodeOptions: readonly string[] = []): Promise<string> {
  const script = `const lambda = await import(process.argv[1])
process.stdout.write(JSON.stringify(await (${say})(lambda)), () => process.exit(0))`
  const spy = `data:text/javascript,${encodeURIComponent(SPY)}`
  const { stdout } = await run(
    process.execPath,
    [...nodeOptions, '--import', spy, '--input-type=module', '-e', script, join(folder, 'lambda.mjs')],
    { cwd: root, env: { PATH: process.env.PATH } },
  )
  return JSON.parse(stdout)
}

const refusalOf = `({ handler }) => handler({}, {}).then(() => 'answered', (error) => [error.name, error.stack])`
const codeTaken = (folder: string, nodeOptions?: readonly string[]) =>
  inProcess(folder, '() => [...new Set(globalThis.taken)]', nodeOptions)

describe('V8’s code of a bundle', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(root, 'copy-'))
    cpSync(built, folder, { recursive: true })
  })
  const compiledFiles = () => {
    const [of = ''] = readdirSync(join(folder, 'compiled'))
    return readdirSync(join(folder, 'compiled', of)).map((name) => join(folder, 'compiled', of, name))
  }

  test('is there for every script, and is taken', async () => {
    const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'))
    assert.ok(scripts.length > 10)
    assert.equal(compiledFiles().length, scripts.length)
    assert.deepEqual(await codeTaken(folder), ['true'])
  })

  test('is read from a folder of somebody else, and nothing is written', async () => {
    const before = readdirSync(folder, { recursive: true }).sort()
    await run('chmod', ['-R', 'a-w', folder])
    assert.deepEqual(await codeTaken(folder), ['true'])
    await run('chmod', ['-R', 'u+w', folder])
    assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), before)
  })

  test('is not taken where it is damaged, of other flags or of another script, and the function is the same', async () => {
    assert.deepEqual(await codeTaken(folder, ['--no-use-ic']), ['false'])
    for (const file of compiledFiles()) writeFileSync(file, readFileSync(file).subarray(0, 100))
    assert.deepEqual(await codeTaken(folder), ['false'])
    assert.equal(((await inProcess(folder, refusalOf)) as unknown as [string])[0], 'ConfigError')
    const [one = '', ...others] = compiledFiles()
    cpSync(built, folder, { recursive: true })
    for (const file of others) cpSync(one, file)
    assert.ok((await codeTaken(folder)).includes('false'))
    assert.equal(((await inProcess(folder, refusalOf)) as unknown as [string])[0], 'ConfigError')
  })

  test('is missing for another Node, which compiles for itself', async () => {
    rmSync(join(folder, 'compiled'), { recursive: true })
    assert.deepEqual(await codeTaken(folder), ['none'])
    assert.equal(((await inProcess(folder, refusalOf)) as unknown as [string])[0], 'ConfigError')
    await run(process.execPath, [join(folder, 'compile.mjs')], { cwd: '/', env: {} })
    assert.deepEqual(await codeTaken(folder), ['true'])
  })
})

describe('a function that has started', () => {
  test('has loaded of Node what it needs for a first answer', async () => {
    const loaded = (await inProcess(
      built,
      `async () => { await import(${JSON.stringify(join(built, 'server.mjs'))}); return process.moduleLoadList }`,
    )) as unknown as string[]
    assert.ok(loaded.includes('NativeModule crypto'))
    for (const name of [
      'http2',
      'https',
      'tls',
      'child_process',
      'zlib',
      'dns/promises',
      'fs/promises',
      'perf_hooks',
    ])
      assert.ok(!loaded.includes(`NativeModule ${name}`), name)
    assert.deepEqual(
      loaded.filter((name) => /undici|internal\/http2|webcrypto/.test(name)),
      [],
    )
  })

  test('has read what all entries need as one script', async () => {
    const asked = (await inProcess(built, `() => globalThis.read`)) as unknown as string[]
    const sizeOf = (name: string) => statSync(join(built, name)).size
    assert.ok(asked.length <= 3, asked.join())
    assert.ok(Math.max(...asked.map(sizeOf)) > 400 * 1024)
  })

  test('says in a trace where its source is, when it is told to', async () => {
    const [, plain] = (await inProcess(built, refusalOf)) as unknown as [string, string]
    assert.match(plain, /chunk-\w+\.js:\d+:\d+/)
    const [, mapped] = (await inProcess(built, refusalOf, ['--enable-source-maps'])) as unknown as [
      string,
      string,
    ]
    assert.match(mapped, /shared\/platform\/config\.ts:\d+:\d+/)
    assert.match(mapped, /^ConfigError: /)
  })
})
