import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { AS_CHUNKS, importsWhenRun, lateExports, writeScripts } from './to-scripts.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'upesi-scripts-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Bundles sources as roles are bundled, and gives what the entry exports when it has run. */
async function run(name: string, sources: Record<string, string>): Promise<Record<string, unknown>> {
  const [from, outdir] = [join(folder, name), join(folder, `${name}-bundle`)]
  for (const made of [from, outdir]) mkdirSync(made)
  for (const [file, text] of Object.entries(sources))
    writeFileSync(join(from, file), file === 'entry.mjs' ? importsWhenRun(text) : text)
  const { outputFiles, metafile } = await build({
    ...AS_CHUNKS,
    entryPoints: [join(from, 'entry.mjs')],
    write: false,
    outdir,
  })
  await writeScripts(outdir, outputFiles, metafile)
  return await import(join(outdir, 'entry.mjs'))
}

test('scripts give one another what they export, and each is evaluated once', async () => {
  const { answer } = await run('plain', {
    'entry.mjs': `import { first, second } from './both.mjs'
export const answer = [await first(), await second()]`,
    'both.mjs': `export const first = async () => (await import('./first.mjs')).say('a')
export const second = async () => (await import('./second.mjs')).default('b')`,
    'first.mjs': `import { count } from './shared.mjs'
export function say(word) { return word + count() }`,
    'second.mjs': `import { count, Name as Other } from './shared.mjs'
export default (word) => word + count() + new Other().name`,
    'shared.mjs': `let calls = 0
export const count = () => ++calls
export class Name { name = 'n' }`,
  })
  assert.deepEqual(answer, ['a1', 'b2n'])
})

test('what a module exports that is evaluated only when it is asked for is seen then', async () => {
  const { answer } = await run('late', {
    'entry.mjs': `import { first, second } from './both.mjs'
export const answer = [await first(), await second()]`,
    'both.mjs': `export const first = async () => (await import('./first.mjs')).say()
export const second = async () => (await import('./second.mjs')).say()`,
    'first.mjs': `import common from './common.cjs'
import { secret } from './late.mjs'
export const say = () => [secret, common().secret]`,
    'second.mjs': `import common from './common.cjs'
export const say = () => common().secret`,
    'common.cjs': `module.exports = () => require('./late.mjs')`,
    'late.mjs': `export const secret = ['made when asked for'].join()`,
  })
  const secret = 'made when asked for'
  assert.deepEqual(answer, [[secret, secret], secret])
})

test('of exports those are late whose variables are declared without a value', () => {
  const text =
    'var a=1,b,c=2;var d;function e(){}var $f,g=h(()=>{$f=b=d=1});export{a as x,b as y,c,d,e,$f as z,g};'
  assert.deepEqual([...lateExports(text)].sort(), ['d', 'y', 'z'])
  assert.deepEqual([...lateExports('var a=1;')], [])
})
