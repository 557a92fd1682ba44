import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { build, type Metafile } from 'esbuild'
import { lateExports } from './chunk-text.ts'
import { joinChunks } from './joined-chunks.ts'
import { AS_CHUNKS, importsWhenRun, writeScripts } from './to-scripts.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'upesi-scripts-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

interface Run {
  name: string
  outdir: string
  metafile: Metafile
  /** What the entries export when they have run. */
  exported: Record<string, unknown>[]
}

/** Bundles sources as roles are bundled; entries are those that are called so. */
async function run(name: string, sources: Record<string, string>): Promise<Run> {
  const isEntry = (file: string) => /^entry.*\.mjs$/.test(file)
  const entries = Object.keys(sources).filter(isEntry)
  const [from, outdir] = [join(folder, name), join(folder, `${name}-bundle`)]
  for (const made of [from, outdir]) mkdirSync(made)
  for (const [file, text] of Object.entries(sources))
    writeFileSync(join(from, file), isEntry(file) ? importsWhenRun(text) : text)
  const { outputFiles, metafile } = await build({
    ...AS_CHUNKS,
    entryPoints: entries.map((file) => join(from, file)),
    write: false,
    outdir,
  })
  await writeScripts(outdir, outputFiles, metafile)
  const exported: Record<string, unknown>[] = []
  for (const file of entries) exported.push(await import(join(outdir, file)))
  return { name, outdir, metafile, exported }
}

test('scripts give one another what they export, and each is evaluated once', async () => {
  const { exported } = await run('plain', {
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
  assert.deepEqual(exported[0]?.answer, ['a1', 'b2n'])
})

test('a package of CommonJS that is imported when it is needed is what its script exports by default', async () => {
  const { exported } = await run('package', {
    'entry.mjs': `import { first } from './first.mjs'
export const answer = await first()`,
    'first.mjs': `export async function first() {
  const { default: made } = await import('./package.cjs')
  return [made.say('a'), (await import('./package.cjs')).default === made]
}`,
    'package.cjs': `exports.say = (word) => word + 1`,
  })
  assert.deepEqual(exported[0]?.answer, ['a1', true])
})

test('what a module exports that is evaluated only when it is asked for is seen then', async () => {
  const { exported } = await run('late', {
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
  assert.deepEqual(exported[0]?.answer, [[secret, secret], secret])
})

test('of exports those are late whose variables are declared without a value', () => {
  const text =
    'var a=1,b,c=2;var d;function e(){}var $f,g=h(()=>{$f=b=d=1});export{a as x,b as y,c,d,e,$f as z,g};'
  assert.deepEqual([...lateExports(text)].sort(), ['d', 'y', 'z'])
  assert.deepEqual([...lateExports('var a=1;')], [])
})

/** Two entries: what both load at once, what one of them does, and what is loaded when it is asked for. */
const twoEntries = (both: string) => ({
  'entry-a.mjs': `import { say } from './only-a.mjs'
export const answer = await say()`,
  'entry-b.mjs': `import { say } from './both.mjs'
export const answer = await say('b')`,
  'only-a.mjs': `import { order, say as ofBoth } from './both.mjs'
order.push('only a')
export const say = () => ofBoth('a')`,
  'both.mjs': both,
  'base.mjs': `export const order = ['base']
export class Named { static name = 'Named' }
export const same = Symbol('same')`,
  'rare.mjs': `import { same, order } from './base.mjs'
import late, { count } from './counted.cjs'
export const mine = same
export const seen = () => [...order, count(), late.count()]`,
  'counted.cjs': `let calls = 0
exports.count = () => ++calls`,
})
const BOTH = `import { Named, order, same } from './base.mjs'
import counted from './counted.cjs'
order.push('both')
export { order }
export async function say(word) {
  const rare = await import('./rare.mjs')
  return [word, Named.name, rare.mine === same, rare.seen(), counted.count()].join(' ')
}`

test('what every entry loads at once is one script, evaluated in the order of its modules', async () => {
  const { exported, outdir, metafile } = await run('joined', twoEntries(BOTH))
  // Each entry has what it loads to itself, as if it were alone.
  assert.deepEqual(
    exported.map(({ answer }) => answer),
    ['a Named true base,both,only a,1,2 3', 'b Named true base,both,1,2 3'],
  )
  const scripts = readdirSync(outdir).filter((name) => name.endsWith('.js'))
  const texts = new Map(scripts.map((name) => [name, readFileSync(join(outdir, name), 'utf8')]))
  const [joined, ...more] = scripts.filter((name) => texts.get(name)?.includes('"base"'))
  assert.ok(joined)
  assert.deepEqual(more, [])
  assert.match(texts.get(joined) ?? '', /"both"/)
  assert.doesNotMatch(texts.get(joined) ?? '', /only a/)
  for (const entry of ['entry-a', 'entry-b'])
    assert.match(
      readFileSync(join(outdir, `${entry}.mjs`), 'utf8'),
      new RegExp(joined.replace('.js', '.mjs')),
    )
  // Sizes are counted of what is there.
  const paths = Object.keys(metafile.outputs).filter((path) => path.endsWith('.mjs'))
  assert.deepEqual(
    paths.map((path) => basename(path, '.mjs')).sort(),
    [...scripts.map((name) => basename(name, '.js')), 'entry-a', 'entry-b'].sort(),
  )
  for (const [path, { bytes, imports }] of Object.entries(metafile.outputs)) {
    if (path.endsWith('.map')) continue
    for (const made of imports) assert.ok(paths.includes(made.path), made.path)
    const written = join(
      outdir,
      basename(path).startsWith('chunk-') ? `${basename(path, '.mjs')}.js` : basename(path),
    )
    assert.equal(bytes, readFileSync(written).length)
  }
})

test('joined chunks are named by what is in them', async () => {
  const joinedOf = async (text: string) => {
    const chunk = { name: 'chunk-A', text, map: '{"version":3,"sources":[],"names":[],"mappings":""}' }
    return await joinChunks(
      ['chunk-A'],
      ['import{a}from"./chunk-A.mjs";'],
      new Map([['chunk-A', chunk]]),
      folder,
    )
  }
  const { name, text, given } = await joinedOf('var a="one",b="two";export{a,b};')
  assert.match(name, /^chunk-[0-9A-F]{8}$/)
  assert.equal((await joinedOf('var a="one",b="two";export{a,b};')).name, name)
  assert.notEqual((await joinedOf('var a="ten",b="two";export{a,b};')).name, name)
  // What nobody takes is left out.
  assert.match(text, /"one"/)
  assert.doesNotMatch(text, /"two"/)
  assert.deepEqual([...(given.get('chunk-A')?.keys() ?? [])], ['a'])
})

test('the map of joined scripts tells of the sources', async () => {
  const { outdir, exported } = await run('mapped', {
    'entry.mjs': `import { fail } from './fails.mjs'
export { fail }`,
    'fails.mjs': `import { place } from './place.mjs'
export function fail() {
  const message = place()
  throw new Error(message)
}
export const later = () => import('./later.mjs')`,
    'place.mjs': `export const place = () => 'here'`,
    'later.mjs': `import { place } from './place.mjs'
export const other = place`,
  })
  const [{ fail } = {}] = exported as { fail?: () => void }[]
  assert.ok(fail)
  const thrown = (() => {
    try {
      return fail()
    } catch (error) {
      return error as Error
    }
  })()
  const [, file = '', line = '', column = ''] = /(chunk-\w+\.js):(\d+):(\d+)/.exec(thrown?.stack ?? '') ?? []
  const map = new SourceMap(JSON.parse(readFileSync(join(outdir, `${file}.map`), 'utf8')))
  const entry = map.findEntry(Number(line) - 1, Number(column) - 1)
  assert.ok('originalSource' in entry)
  assert.match(entry.originalSource, /mapped\/fails\.mjs$/)
  assert.equal(entry.originalLine + 1, 4)
})
